"""Balancers that send requests to nobody's address, or run what their files do not say."""

from collections.abc import Iterator

from coreos_kit.balancer.pool import shown
from coreos_kit.chain import Evidence, places
from coreos_kit.model.ghosts import Ghost, GhostKind
from coreos_kit.model.project import LoadBalancer
from coreos_kit.ports import Probe


def balancer_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Look at what each balancer's watcher said; of one that said nothing a link is unknown."""
    for balancer in evidence.cluster.load_balancers:
        probe = evidence.probes.get(balancer.name)
        if probe is None:
            continue
        machine = next((machine.name for machine in places(evidence, balancer.unit)), "")
        yield from _strangers_in_the_pool(evidence, balancer, probe, machine)
        yield from _deaf(evidence, balancer, probe, machine)
        yield from _configuration(balancer, probe, machine)


def _strangers_in_the_pool(
    evidence: Evidence, balancer: LoadBalancer, probe: Probe, machine: str
) -> Iterator[Ghost]:
    service = evidence.cluster.service(balancer.upstream)
    prefix = service.registration.prefix if service and service.registration else ""
    if probe.pool is None or prefix not in evidence.entries:
        return
    registered = {entry.value for entry in evidence.entries[prefix]}
    for server in sorted(probe.pool - registered - probe.watcher.held):
        yield Ghost(
            GhostKind.POOL_WITHOUT_KEY,
            machine,
            f"{balancer.name} {server}",
            f"a key below {prefix} that holds {server}",
            f"{balancer.name} sends requests there, and there is no such key",
            f"coreos-kit restart {balancer.unit}",
        )


def _deaf(evidence: Evidence, balancer: LoadBalancer, probe: Probe, machine: str) -> Iterator[Ghost]:
    if probe.watcher.etcd_problem and not evidence.etcd_error:
        yield Ghost(
            GhostKind.BALANCER_DEAF,
            machine,
            balancer.name,
            "it follows etcd",
            f"its pool stays as it is: {shown(probe.watcher.etcd_problem)}",
            f"coreos-kit logs {balancer.unit}",
        )


def _configuration(balancer: LoadBalancer, probe: Probe, machine: str) -> Iterator[Ghost]:
    said = probe.watcher
    if said.configuration_problem:
        yield Ghost(
            GhostKind.BALANCER_CONFIGURATION,
            machine,
            balancer.name,
            "Nginx runs what its files say",
            f"the last good configuration: {said.configuration_problem[:300]}",
            f"coreos-kit logs {balancer.unit}",
        )
    elif said.configuration_differs:
        yield Ghost(
            GhostKind.BALANCER_CONFIGURATION,
            machine,
            balancer.name,
            "Nginx runs what its files say",
            f"not as Nginx runs them: {', '.join(said.configuration_differs)}",
            f"coreos-kit restart {balancer.unit}",
        )
