"""Containers that run, though no unit that would run them stands on their machine."""

from collections.abc import Iterator

from coreos_kit.chain import Evidence
from coreos_kit.model.cluster import ObservedContainer, ObservedMachine
from coreos_kit.model.ghosts import Ghost, GhostKind, RemoveContainer
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import container_name

# What has ended is litter, not a lie: without Restart= a profile leaves it until the next start.
_ALIVE = frozenset({"running", "paused", "restarting"})


def container_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Look for containers with the project's label, and for others that go by the name of one of its units.

    Only the label says that a container is the project's: another is reported, and left.
    """
    names = {container_name(unit): str(unit) for unit in _configured(evidence)}
    for name, machine in sorted(evidence.observed.machines.items()):
        if name in evidence.observed.unreachable or machine.engine_error:
            continue
        standing = {str(unit.name) for unit in machine.units if unit.project == evidence.project}
        for container in machine.containers:
            if container.state not in _ALIVE:
                continue
            if container.project == evidence.project:
                if container.unit not in standing:
                    yield _ghost(evidence, machine, container, container.unit, is_ours=True)
            elif not container.project and names.get(container.name, "") not in {"", *standing}:
                yield _ghost(evidence, machine, container, names[container.name], is_ours=False)


def _configured(evidence: Evidence) -> Iterator[UnitName]:
    for service in evidence.cluster.services:
        yield from (service.template.instantiate(instance) for instance in service.instances)
    for balancer in evidence.cluster.load_balancers:
        yield from balancer.units()


def _ghost(
    evidence: Evidence, machine: ObservedMachine, container: ObservedContainer, unit: str, *, is_ours: bool
) -> Ghost:
    engine = evidence.cluster.profile.engine
    return Ghost(
        GhostKind.CONTAINER_WITHOUT_UNIT,
        machine.name,
        container.name,
        f"{unit or 'its unit'} on {machine.name}",
        f"{container.name} is {container.state}"
        + (", and its unit does not stand there" if is_ours else ", without the kit's label"),
        "coreos-kit verify --fix"
        if is_ours
        else f"coreos-kit ssh {machine.name} -- sudo {engine} rm -f {container.name}",
        RemoveContainer(machine.name, container.id, container.name) if is_ours else None,
    )
