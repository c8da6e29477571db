"""The verdict on each link of each chain, from what was seen. Pure; nothing is looked at here."""

from collections.abc import Iterator

from coreos_kit.chain.balancers import backend_link, balancer_links
from coreos_kit.chain.evidence import Evidence, balancer_places, places, places_or_nowhere
from coreos_kit.chain.registrations import RENEWAL_GRACE_S, registration_links
from coreos_kit.chain.units import container_link, held_links, unit_link
from coreos_kit.model.chain import Chain, Verdict
from coreos_kit.model.cluster import Observation
from coreos_kit.model.plan import UnitKind
from coreos_kit.model.services import HealthKind, LoadBalancer, Service, is_port

__all__ = ["RENEWAL_GRACE_S", "Evidence", "balancer_places", "judge", "places"]


def judge(evidence: Evidence) -> Verdict:
    """Return the chain of every configured instance and balancer; the workspace's own units have one link."""
    cluster = evidence.cluster
    chains = (
        *(chain for service in cluster.services for chain in _service_chains(evidence, service)),
        *(chain for balancer in cluster.load_balancers for chain in _balancer_chains(evidence, balancer)),
        *(
            Chain(
                unit.name,
                machine.name if machine else "",
                held_links(evidence, machine, [unit.name]) or (unit_link(evidence, machine, [unit.name]),),
            )
            for unit in evidence.desired or ()
            if unit.kind is UnitKind.EXTRA
            for machine in places_or_nowhere(evidence, unit.name)
        ),
    )
    return Verdict(
        chains=tuple(chain.with_causes() for chain in chains),
        unreachable=tuple(
            f"{name}: {error}"
            for name, error in sorted(evidence.observed.unreachable.items())
            if not _is_given_up(evidence.observed, name)
        ),
    )


def _is_given_up(observed: Observation, machine: str) -> bool:
    """Whether the cluster's own scheduler counts on a machine no more: then nothing of ours is there."""
    return observed.scheduler is not None and machine not in observed.machines


def _service_chains(evidence: Evidence, service: Service) -> Iterator[Chain]:
    for instance in service.instances:
        main = service.template.instantiate(instance)
        sidekick = service.sidekick.instantiate(instance) if service.sidekick else None
        for machine in places_or_nowhere(evidence, main):
            units = [main, *([sidekick] if sidekick else [])]
            if held := held_links(evidence, machine, units):
                yield Chain(main, machine.name if machine else "", held)
                continue
            links = [
                unit_link(evidence, machine, units),
                container_link(evidence, machine, main),
            ]
            if service.registration and sidekick:
                links += registration_links(evidence, machine, service.registration, instance, sidekick)
            if service.health.kind is not HealthKind.NONE and is_port(instance):
                links.append(backend_link(evidence, machine, service, instance))
            if service.registration:
                links += balancer_links(evidence, machine, service, instance)
            yield Chain(main, machine.name if machine else "", tuple(links))


def _balancer_chains(evidence: Evidence, balancer: LoadBalancer) -> Iterator[Chain]:
    for unit in balancer.units():
        for machine in places_or_nowhere(evidence, unit):
            links = held_links(evidence, machine, [unit]) or (
                unit_link(evidence, machine, [unit]),
                container_link(evidence, machine, unit),
            )
            yield Chain(unit, machine.name if machine else "", links)
