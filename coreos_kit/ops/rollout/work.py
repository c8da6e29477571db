"""What every step of a deploy needs: the session, what was planned, and who and what the step goes by."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.services import Service, server_of
from coreos_kit.model.stage import Stage
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ops.rollout.pools import Pools
from coreos_kit.ops.session import Session
from coreos_kit.ports import Glance


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service on one machine."""

    service: Service = field(hash=False)
    name: str
    machine: str
    private_ip: str

    @property
    def main(self) -> UnitName:
        """Its unit, e.g. ``apache@7777.service``."""
        return self.service.template.instantiate(self.name)

    @property
    def sidekick(self) -> UnitName | None:
        """The unit that registers it."""
        return self.service.sidekick.instantiate(self.name) if self.service.sidekick else None

    @property
    def server(self) -> str:
        """What it is called in etcd and in the pools."""
        return server_of(self.private_ip, self.name)

    @property
    def key(self) -> str:
        """The key under which it is registered."""
        registration = self.service.registration
        return registration.key_for(self.private_ip, self.name) if registration else ""


@dataclass(frozen=True, slots=True)
class Work:
    """Steps are done with it; `look` judges a machine once more before a step of it begins."""

    session: Session
    observed: Observation
    timeout_s: int
    heard: Listener
    pools: Pools
    look: Callable[[Step, Glance], None]
    guarded: frozenset[str]  # services of which something has to serve at every moment
    is_awaited: Callable[[UnitName, str], bool]  # whether a unit on a machine has to come up

    def instance(self, unit: UnitName, machine: str) -> Instance | None:
        """Return the instance of a main unit or a sidekick, even of one that is configured no more."""
        if not unit.is_instance:
            return None
        there = self.observed.machines.get(machine)
        for service in self.session.cluster.services:
            if unit.template in (service.template, service.sidekick):
                return Instance(service, unit.instance or "", machine, there.private_ip if there else "")
        return None

    def instances(self, step: Step) -> tuple[Instance, ...]:
        """Return the instances that a step touches on its own machine."""
        found = (self.instance(unit, step.machine) for unit in step.units)
        return tuple(dict.fromkeys(instance for instance in found if instance))

    def tell(self, step: Step, stage: Stage) -> None:
        """Tell of a stage that all of a step has come to: once an instance, not for its sidekick too."""
        units = (
            instance.main if (instance := self.instance(unit, step.machine)) else unit for unit in step.units
        )
        for unit in dict.fromkeys(units):
            self.heard.stage(unit, step.machine, stage)
