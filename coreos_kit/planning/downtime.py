"""What of the project will serve nobody while a plan is carried out: the plan's waves, played through."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence

from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Downtime, Step, UnitKind, Verb
from coreos_kit.model.project import Cluster, Watcher

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
    siblings = {unit.service for unit in kinds.values() if unit.name.is_instance}
    serving: dict[str, set[Place]] = defaultdict(set)
    for unit in _active(observed):
        if service := _service(unit, kinds, siblings):
            serving[service].add((unit.name, unit.machine))
    service_of = {place: service for service, places in serving.items() for place in places}
    allowed = {service.name for service in cluster.services if service.rollout.allow_downtime}
    allowed |= {unit.service for unit in kinds.values() if unit.kind is UnitKind.LOAD_BALANCER}
    found: dict[str, Downtime] = {}
    for wave in waves:
        gone: dict[str, list[Place]] = defaultdict(list)
        for place in ((unit, step.machine) for step in wave for unit in _stopped(step)):
            if place in service_of and place in serving[service_of[place]]:
                gone[service_of[place]].append(place)
        for service, places in gone.items():
            if len(places) == len(serving[service]) and service not in found:
                found[service] = Downtime(service, tuple(places), is_allowed=service in allowed)
        for change, machine in ((change, step.machine) for step in wave for change in step.changes):
            place = (change.name, machine)
            if change.verb is Verb.REMOVE and place in service_of:
                serving[service_of[place]].discard(place)
            elif change.verb is not Verb.REMOVE and change.name in kinds:
                service = kinds[change.name].service
                if service in serving:
                    serving[service].add(place)
                    service_of[place] = service
    return tuple(found[service] for service in sorted(found))


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


def _service(unit: ObservedUnit, kinds: Mapping[UnitName, DesiredUnit], siblings: Container[str]) -> str:
    """Return the service that a unit serves for; an instance that is no longer configured still does."""
    if unit.name in kinds:
        return kinds[unit.name].service
    is_sibling = unit.name.is_instance and unit.name.prefix == unit.service and unit.service in siblings
    return unit.service if is_sibling else ""


def _stopped(step: Step) -> Iterator[UnitName]:
    yield from (change.name for change in step.changes if change.verb in (Verb.REPLACE, Verb.REMOVE))
    yield from step.restarts
