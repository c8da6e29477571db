"""What of the project will serve nobody while a plan is carried out: the plan's waves, played through."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from coreos_kit.errors import Refused
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Downtime, Plan, Step, UnitKind, Verb
from coreos_kit.model.project import Cluster
from coreos_kit.model.services import Watcher
from coreos_kit.planning.waits import longest_stop_s

Place = tuple[UnitName, str]  # a unit on a machine


def downtimes_of(
    cluster: Cluster,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    waves: Sequence[Sequence[Step]],
) -> tuple[Downtime, ...]:
    """Return each service that serves now, stays configured, and has a wave in which none of it serves.

    What is not active serves nobody, so starting it takes nothing down. A balancer counts as its own service.
    """
    kinds = {unit.name: unit for unit in desired if unit.kind in (UnitKind.MAIN, UnitKind.LOAD_BALANCER)}
    allowed = {service.name for service in cluster.services if service.rollout.allow_downtime}
    allowed |= {unit.service for unit in kinds.values() if unit.kind is UnitKind.LOAD_BALANCER}
    sidekicks = {service.template: service.sidekick for service in cluster.services if service.sidekick}
    serving = _Serving(kinds, sidekicks, observed)
    found: dict[str, Downtime] = {}
    for wave in waves:
        for service, places in serving.stopped_by(wave).items():
            if len(places) == len(serving.places[service]) and service not in found:
                found[service] = Downtime(service, tuple(places), is_allowed=service in allowed)
        serving.pass_over(wave)
    within = longest_stop_s(cluster, [*found])
    return tuple(replace(found[service], stops_within_s=within.get(service, 0)) for service in sorted(found))


class _Serving:
    """What serves of each service, as the waves go by."""

    def __init__(
        self,
        kinds: Mapping[UnitName, DesiredUnit],
        sidekicks: Mapping[UnitName, UnitName],
        observed: Observation,
    ) -> None:
        self._kinds = kinds
        self._mains = {sidekick: main for main, sidekick in sidekicks.items()}
        self._siblings = {unit.service for unit in kinds.values()}
        self.places: dict[str, set[Place]] = defaultdict(set)
        active = {(unit.name, unit.machine): unit for unit in _active(observed)}
        for place, unit in active.items():
            if (service := self._service_of(unit)) and _registered(place, sidekicks) in active:
                self.places[service].add(place)
        self._services = {place: service for service, places in self.places.items() for place in places}

    def _service_of(self, unit: ObservedUnit) -> str:
        """Return the service that a unit serves for; an instance that is no longer configured still does."""
        if unit.name in self._kinds:
            return self._kinds[unit.name].service
        is_sibling = unit.name.prefix == unit.service and unit.service in self._siblings
        return unit.service if is_sibling else ""

    def stopped_by(self, wave: Sequence[Step]) -> Mapping[str, list[Place]]:
        """Return what a wave stops of each service."""
        gone: dict[str, list[Place]] = defaultdict(list)
        for place in ((unit, step.machine) for step in wave for unit in _stopped(step)):
            service = self._services.get(place)
            if service is not None and place in self.places[service]:
                gone[service].append(place)
        return gone

    def pass_over(self, wave: Sequence[Step]) -> None:
        """Take a wave for done, and everything in it for well."""
        for change, machine in ((change, step.machine) for step in wave for change in step.changes):
            place = (change.name, machine)
            if change.verb is Verb.REMOVE:
                if place in self._services:
                    self.places[self._services[place]].discard(place)
                continue
            name = self._serving_with(change.name)
            if name in self._kinds and (service := self._kinds[name].service) in self.places:
                self.places[service].add((name, machine))
                self._services[name, machine] = service

    def _serving_with(self, unit: UnitName) -> UnitName:
        """Return the unit that serves once this one has started: with a sidekick it is its main unit."""
        main = self._mains.get(unit.template) if unit.is_instance else None
        return main.instantiate(unit.instance or "") if main else unit


def refuse_downtime(plan: Plan, *, allowed: bool) -> None:
    """Refuse to take a service down as a whole, unless it is allowed here or in the configuration."""
    refused = [downtime for downtime in plan.downtimes if not downtime.is_allowed]
    if refused and not allowed:
        raise Refused(
            f"this takes {', '.join(one.service for one in refused)} down, so nothing was touched",
            details=[str(downtime) for downtime in refused],
            hint="Allow it with --allow-downtime, or with allow_downtime = true in"
            f" [services.{refused[0].service}.rollout], or give it one more instance first.",
        )


def taken_down(
    project: str, cluster: Cluster, observed: Observation, stopping: Collection[Place]
) -> list[str]:
    """Return the services and balancers that serve now, and of which nothing serves without these units."""
    names = {service.template: service.name for service in cluster.services}
    balancers = {unit: balancer.name for balancer in cluster.load_balancers for unit in balancer.units()}
    sidekicks = {service.template: service.sidekick for service in cluster.services if service.sidekick}

    def serving(places: Collection[Place]) -> set[str]:
        return {
            balancers.get(unit) or names[unit.template]
            for unit, machine in places
            if unit in balancers or (unit.is_instance and unit.template in names)
            if _registered((unit, machine), sidekicks) in places
        }

    active = {(unit.name, unit.machine) for unit in _active(observed) if unit.project == project}
    return sorted(serving(active) - serving(active.difference(stopping)))


def rollout_notes(
    cluster: Cluster, waves: Sequence[Sequence[Step]], downtimes: Sequence[Downtime]
) -> Iterator[str]:
    """Say what a rollout costs: what will be down, and what it means that a balancer polls."""
    yield from (str(downtime) for downtime in downtimes)
    rolled = {
        unit.prefix
        for wave in waves
        for step in wave
        if any(change.verb in (Verb.REPLACE, Verb.REMOVE) for change in step.changes)
        for unit in step.units
    }
    for balancer in cluster.load_balancers:
        if balancer.watcher is Watcher.CONFD and balancer.upstream in rolled:
            yield (
                f"{balancer.name} asks etcd every {balancer.confd.interval_s} s (confd): each instance that"
                " changes waits so long until it has left the pool, and again until it is back, and each of"
                " the reloads of Nginx may lose a request"
            )


def _active(observed: Observation) -> Iterator[ObservedUnit]:
    for name, machine in sorted(observed.machines.items()):
        if name not in observed.silent:
            yield from (unit for unit in machine.units if unit.is_active)


def _registered(place: Place, sidekicks: Mapping[UnitName, UnitName]) -> Place:
    """Return what has to run so that a unit that runs is registered: its sidekick, if it has one."""
    unit, machine = place
    sidekick = sidekicks.get(unit.template) if unit.is_instance else None
    return (sidekick.instantiate(unit.instance or ""), machine) if sidekick else place


def _stopped(step: Step) -> Iterator[UnitName]:
    yield from (change.name for change in step.changes if change.verb in (Verb.REPLACE, Verb.REMOVE))
    yield from step.restarts
