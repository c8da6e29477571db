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

    Only the label says that a container is the project's: another is reported, and left. So is one whose unit
    is configured and stands nowhere: it may be the last that serves, and a deploy puts its unit back first.
    """
    names = {container_name(unit): str(unit) for unit in _configured(evidence)}
    placed = {
        str(unit.name)
        for machine in evidence.observed.machines.values()
        for unit in machine.units
        if unit.project == evidence.project
    }
    needed = {*names.values()} - placed
    for name, machine in sorted(evidence.observed.machines.items()):
        if name in evidence.observed.unreachable or machine.engine_error:
            continue
        standing = {str(unit.name) for unit in machine.units if unit.project == evidence.project}
        for container in machine.containers:
            if container.state not in _ALIVE:
                continue
            if container.project == evidence.project:
                if container.unit not in standing:
                    yield _of_ours(machine, container, is_needed=container.unit in needed)
            elif not container.project and names.get(container.name, "") not in {"", *standing}:
                yield _of_nobody(evidence, machine, container, names[container.name])


def _configured(evidence: Evidence) -> Iterator[UnitName]:
    for service in evidence.cluster.services:
        yield from (service.template.instantiate(instance) for instance in service.instances)
    for balancer in evidence.cluster.load_balancers:
        yield from balancer.units()


def _of_ours(machine: ObservedMachine, container: ObservedContainer, *, is_needed: bool) -> Ghost:
    seen = f"{container.name} is {container.state}, and its unit does not stand "
    return Ghost(
        GhostKind.CONTAINER_WITHOUT_UNIT,
        machine.name,
        container.name,
        f"{container.unit or 'its unit'} on {machine.name}",
        seen + ("anywhere" if is_needed else "there"),
        "coreos-kit deploy" if is_needed else "coreos-kit verify --fix",
        None if is_needed else RemoveContainer(machine.name, container.id, container.name),
    )


def _of_nobody(
    evidence: Evidence, machine: ObservedMachine, container: ObservedContainer, unit: str
) -> Ghost:
    return Ghost(
        GhostKind.CONTAINER_WITHOUT_UNIT,
        machine.name,
        container.name,
        f"{unit} on {machine.name}",
        f"{container.name} is {container.state}, without the kit's label",
        f"coreos-kit ssh {machine.name} -- sudo {evidence.cluster.profile.engine} rm -f {container.name}",
    )
