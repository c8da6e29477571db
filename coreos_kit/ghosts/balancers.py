"""Balancers that send requests to nobody's address, or run what their files do not say.

All of it may pass: a watcher drops what has no key, asks etcd again, and tries again what Nginx did not take.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from coreos_kit.balancer.pool import shown
from coreos_kit.chain import Evidence, balancer_places
from coreos_kit.model.ghosts import Ghost, GhostKind
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Probe


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one balancer said, where it stands."""

    name: str
    unit: UnitName
    machine: str
    prefix: str  # of the registrations that it follows
    probe: Probe


def balancer_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Look at what each balancer's watcher said; of one that said nothing a link is unknown."""
    for balancer in evidence.cluster.load_balancers:
        service = evidence.cluster.service(balancer.upstream)
        prefix = service.registration.prefix if service and service.registration else ""
        for name, (unit, machine) in balancer_places(evidence, balancer).items():
            if probe := evidence.probes.get(name):
                seen = _Seen(unit.stem, unit, machine.name, prefix, probe)
                yield from _strangers_in_the_pool(evidence, seen)
                yield from _deaf(evidence, seen)
                yield from _configuration(seen)


def _strangers_in_the_pool(evidence: Evidence, seen: _Seen) -> Iterator[Ghost]:
    probe = seen.probe
    if probe.pool is None or seen.prefix not in evidence.entries:
        return
    registered = {entry.value for entry in evidence.entries[seen.prefix]}
    for server in sorted(probe.pool - registered - probe.watcher.held):
        yield Ghost(
            GhostKind.POOL_WITHOUT_KEY,
            seen.machine,
            f"{seen.name} {server}",
            f"a key below {seen.prefix} that holds {server}",
            f"{seen.name} sends requests there, and there is no such key",
            f"coreos-kit restart {seen.unit}",
            may_pass=True,
        )


def _deaf(evidence: Evidence, seen: _Seen) -> Iterator[Ghost]:
    if seen.probe.watcher.etcd_problem and not evidence.etcd_error:
        yield Ghost(
            GhostKind.BALANCER_DEAF,
            seen.machine,
            seen.name,
            "it follows etcd",
            f"its pool stays as it is: {shown(seen.probe.watcher.etcd_problem)}",
            f"coreos-kit logs {seen.unit}",
            may_pass=True,
        )


def _configuration(seen: _Seen) -> Iterator[Ghost]:
    said = seen.probe.watcher
    if said.configuration_problem:
        yield Ghost(
            GhostKind.BALANCER_CONFIGURATION,
            seen.machine,
            seen.name,
            "Nginx runs what its files say",
            f"the last good configuration: {said.configuration_problem[:300]}",
            f"coreos-kit logs {seen.unit}",
            may_pass=True,
        )
    elif said.configuration_differs:
        yield Ghost(
            GhostKind.BALANCER_CONFIGURATION,
            seen.machine,
            seen.name,
            "Nginx runs what its files say",
            f"not as Nginx runs them: {', '.join(said.configuration_differs)}",
            f"coreos-kit restart {seen.unit}",
            may_pass=True,
        )
