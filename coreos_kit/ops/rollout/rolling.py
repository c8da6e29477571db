"""Rolling: wave after wave, with a service's pause between its instances."""

from collections.abc import Sequence

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Plan, Step
from coreos_kit.model.project import Cluster
from coreos_kit.model.services import Service
from coreos_kit.ops.rollout.coming import Places
from coreos_kit.ops.rollout.ledger import Ledger
from coreos_kit.ops.rollout.wave import Wave
from coreos_kit.ops.rollout.work import Work
from coreos_kit.planning import change_of


def roll(work: Work, waves: Sequence[Sequence[Step]], ledger: Ledger) -> Places:
    """Carry out waves; return where units came up. Raises what went wrong, with the ledger up to date."""
    places: dict[UnitName, tuple[str, ...]] = {}
    paused: Service | None = None
    for steps in waves:
        rolled = _rolled(work, steps)
        if paused and rolled == paused and paused.rollout.pause_s:
            work.session.progress(f"{paused.name}: waiting {paused.rollout.pause_s} s before the next")
            work.session.clock.sleep(paused.rollout.pause_s)
        for step in steps:
            work.heard.before_step(step)
        wave = Wave(work, steps)
        try:
            results = wave.run()
        finally:
            ledger.begin(step for step in steps if step.machine in wave.begun)
        finished = [step for step in steps if not isinstance(results.get(step.machine, _UNTOUCHED), KitError)]
        ledger.finish(finished)
        for step in finished:
            work.heard.after_step(step)
        for result in results.values():
            if isinstance(result, KitError):
                raise result
            for unit, machines in result.items():  # a global unit comes up on one machine after the other
                places[unit] = tuple(dict.fromkeys((*places.get(unit, ()), *machines)))
        paused = rolled
    return places


_UNTOUCHED = KitError("an earlier step of its wave could not begin")


def _rolled(work: Work, steps: Sequence[Step]) -> Service | None:
    """Return the service of which running instances are changed; a wave has those of one service only."""
    return next(
        (instance.service for step in steps if change_of(step).stop for instance in work.instances(step)),
        None,
    )


def guarded_services(cluster: Cluster, observed: Observation, plan: Plan) -> frozenset[str]:
    """Return the services that serve now and have to go on: all but those of which downtime is accepted."""
    accepted = {downtime.service for downtime in plan.downtimes}
    return frozenset(
        service.name
        for service in cluster.services
        if service.name not in accepted and not service.rollout.allow_downtime
        if any(
            unit.is_active and unit.name.is_instance and unit.name.template == service.template
            for machine in observed.machines.values()
            for unit in machine.units
        )
    )
