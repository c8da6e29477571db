"""What one service or balancer may not say, though each of its values is fine in itself."""

from collections.abc import Sequence

from coreos_kit.config import crossings
from coreos_kit.config.addresses import HIGHEST_PORT
from coreos_kit.config.clusters import ClusterDraft, Entries
from coreos_kit.config.entries import Entry, load_balancer_of, service_of
from coreos_kit.config.findings import nearest, shown
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import (
    HealthKind,
    KeyForm,
    LoadBalancer,
    Registration,
    Requirements,
    Service,
    Watcher,
    is_port,
)
from coreos_kit.units import globs


def check_cluster(draft: ClusterDraft) -> None:
    """Check every service and balancer as the cluster has it, alone and with each other."""
    for entry in draft.services.values():
        _check_service(entry, service_of(entry))
    for entry in draft.load_balancers.values():
        _check_load_balancer(entry, load_balancer_of(entry), draft.services)
    crossings.check_names(draft)
    crossings.check_prefixes(draft)
    crossings.check_ports(draft)


def _check_service(entry: Entry, service: Service) -> None:
    _check_requirements(entry, service.requirements)
    health = entry.fields.get("health", {})
    if health.get("kind", HealthKind.NONE) is not HealthKind.NONE and not service.container_port:
        _needs_container_port(entry, f"health.kind is {health['kind']}")
    if service.registration is None:
        return
    _check_times(entry, service, service.registration)
    if not service.container_port:
        _needs_container_port(entry, "it has a registration")
    if entry.is_sound("instances"):
        for index, instance in enumerate(service.instances):
            if not is_port(instance):
                at = entry.place("instances").at(index)
                at.object_to(shown(instance), "ports only: a registration's value is <private ip>:<port>")
        _check_own_conflicts(entry, service, service.registration)


def _needs_container_port(entry: Entry, reason: str) -> None:
    if entry.is_sound("container_port"):
        entry.place("container_port").refuse_missing(f"an integer from 1 to {HIGHEST_PORT}, since {reason}")


def _check_times(entry: Entry, service: Service, registration: Registration) -> None:
    renew_s, ttl_s = registration.renew_s, registration.ttl_s
    if not (entry.is_sound("registration", "renew_s") and entry.is_sound("registration", "ttl_s")):
        return
    if renew_s * 2 >= ttl_s:
        # Blame what was written; the other of the two may be a default.
        at = entry.place("registration", "renew_s")
        at.object_to(
            _with_origin(entry, renew_s, "registration", "renew_s"),
            f"less than half of ttl_s, which is {ttl_s}",
        )
    elif service.health.kind is not HealthKind.NONE and entry.is_sound("health", "timeout_s"):
        timeout_s = service.health.timeout_s
        if renew_s + timeout_s >= ttl_s:
            entry.place("health", "timeout_s").object_to(
                _with_origin(entry, timeout_s, "health", "timeout_s"),
                f"less than {ttl_s - renew_s}: with renew_s ({renew_s}) it must be less than ttl_s ({ttl_s})",
            )


def _check_own_conflicts(entry: Entry, service: Service, registration: Registration) -> None:
    """Two instances on one machine must not share a key, and a sidekick must be able to stand by its unit."""
    conflicts = service.requirements.conflicts
    if not entry.is_sound("conflicts"):
        return
    is_by_address = registration.key is KeyForm.IP and entry.is_sound("registration", "key")
    names = [service.template.instantiate(instance) for instance in service.instances]
    if is_by_address and _may_share_a_machine(conflicts, names):
        key = _with_origin(entry, "ip", "registration", "key")
        entry.place("registration", "key").object_to(
            f"{key}, with instances that may share a machine and so the key",
            f'ip with conflicts = ["{service.template.prefix}@*.service"], or ip-port',
        )
    sidekick = service.sidekick
    for index, glob in enumerate(conflicts):
        if sidekick and any(
            globs.matches(glob, f"{sidekick.prefix}@{name}.service") for name in service.instances
        ):
            entry.place("conflicts").at(index).object_to(
                f"{shown(glob)}, which matches {sidekick} too",
                "patterns that leave its own sidekick beside it",
            )


def _may_share_a_machine(conflicts: Sequence[str], names: Sequence[UnitName]) -> bool:
    # Conflicts bind both sides, so all but one have to be matched for no two to meet.
    unmatched = sum(not any(globs.matches(glob, str(name)) for glob in conflicts) for name in names)
    return unmatched > 1


def _check_requirements(entry: Entry, wanted: Requirements) -> None:
    if not wanted.machine_id:
        return
    for key, given in (("conflicts", wanted.conflicts), ("global", wanted.is_global)):
        if given:
            entry.place("machine_id").object_to(f"machine_id beside {key}", "one of the two, as for fleet")


def _check_load_balancer(entry: Entry, balancer: LoadBalancer, services: Entries) -> None:
    _check_requirements(entry, balancer.requirements)
    _check_several(entry, balancer)
    _check_confd(entry, balancer)
    if not balancer.upstream:
        return
    upstream = services.get(balancer.upstream)
    place = entry.place("upstream")
    if upstream is None:
        if place.findings.is_sound(("services", balancer.upstream)):
            registered = [name for name, service in services.items() if "registration" in service.fields]
            allowed = f"a service with a registration: {', '.join(registered) or 'there is none'}"
            place.object_to(shown(balancer.upstream), allowed, nearest=nearest(balancer.upstream, registered))
    elif "registration" in upstream.fields:
        _check_drain(entry, balancer, upstream)
    elif upstream.is_sound("registration"):
        place.object_to(
            f"{shown(balancer.upstream)}, which has no registration",
            f"a service with one: add [services.{balancer.upstream}.registration]",
        )


def _check_several(entry: Entry, balancer: LoadBalancer) -> None:
    """All of a balancer's instances publish one port, so no two of them may stand on one machine."""
    if not balancer.instances or not entry.is_sound("instances"):
        return
    if balancer.requirements.is_global:
        entry.place("instances").object_to("instances beside global", "one of the two")
    elif entry.is_sound("conflicts") and _may_share_a_machine(
        balancer.requirements.conflicts, balancer.units()
    ):
        entry.place("instances").object_to(
            f"instances that may share a machine, and so port {balancer.port}",
            f'instances with "{balancer.name}@*.service" among conflicts',
        )


def _check_confd(entry: Entry, balancer: LoadBalancer) -> None:
    confd = balancer.confd
    if confd.path and confd.url:
        entry.place("confd", "url").object_to("url beside path", "one of the two")
    elif confd.url and not confd.sha256 and entry.is_sound("confd", "sha256"):
        entry.place("confd", "sha256").refuse_missing(
            "the checksum of what url gives, 64 lower-case hex digits"
        )
    elif not (confd.path or confd.url) and balancer.watcher is Watcher.CONFD and entry.is_sound("confd"):
        entry.place("confd").refuse_missing(
            'where confd comes from: { path = "/path/to/confd" } or { url = "https://…", sha256 = "…" }'
        )


def _check_drain(entry: Entry, balancer: LoadBalancer, upstream: Entry) -> None:
    registration = service_of(upstream).registration
    interval_s = balancer.confd.interval_s
    sound = upstream.is_sound("registration", "drain_s") and entry.is_sound("confd_interval_s")
    if registration and balancer.watcher is Watcher.CONFD and sound and registration.drain_s < interval_s:
        upstream.place("registration", "drain_s").object_to(
            _with_origin(upstream, registration.drain_s, "registration", "drain_s"),
            f"at least {interval_s}: load_balancers.{balancer.name}.confd_interval_s is"
            f" {_with_origin(entry, interval_s, 'confd_interval_s')}, and confd has to see the key gone",
        )


def _with_origin(entry: Entry, value: object, *keys: str) -> str:
    """Show a value, and say so where it is a default that stands nowhere in the file."""
    inside: object = entry.fields
    for key in keys:
        inside = inside.get(key) if isinstance(inside, dict) else None
    return shown(value) if inside is not None else f"{shown(value)}, the default"
