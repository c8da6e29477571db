"""The ghosts: what is there and should not be, from what was seen. Pure; nothing is looked at here."""

from collections.abc import Iterator

from coreos_kit.chain import Evidence
from coreos_kit.ghosts.balancers import balancer_ghosts
from coreos_kit.ghosts.containers import container_ghosts
from coreos_kit.ghosts.edits import edited_units
from coreos_kit.ghosts.registrations import registration_ghosts
from coreos_kit.ghosts.units import machine_ghosts, unit_ghosts
from coreos_kit.model.ghosts import Ghost

__all__ = ["find_ghosts", "find_unseen"]


def find_ghosts(evidence: Evidence) -> tuple[Ghost, ...]:
    """Return every ghost, machines' first: units, containers, registrations, balancers.

    A link that is broken is not told again as a ghost, and what could not be seen is none.
    """
    return (
        *machine_ghosts(evidence),
        *unit_ghosts(evidence),
        *edited_units(evidence),
        *container_ghosts(evidence),
        *registration_ghosts(evidence),
        *balancer_ghosts(evidence),
    )


def find_unseen(evidence: Evidence) -> tuple[str, ...]:
    """Say what could not be looked at for ghosts, beside the machines that say nothing."""
    return tuple(_unseen(evidence))


def _unseen(evidence: Evidence) -> Iterator[str]:
    # Where the balancer's own API does not answer, the links say so already.
    if evidence.other_error and not evidence.etcd_error:
        yield f"registrations in etcd's other API: {evidence.other_error}"
    for name, machine in sorted(evidence.observed.machines.items()):
        if machine.engine_error and name not in evidence.observed.unreachable:
            yield f"containers without a unit on {name}: {machine.engine_error}"
    if evidence.desired is None and evidence.render_error:
        yield f"units that stand where they should not: {evidence.render_error}"
