"""Where services and balancers of one cluster get in each other's way: names, keys of etcd, ports."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import PurePosixPath

from coreos_kit.config.clusters import ClusterDraft
from coreos_kit.config.entries import Entry, load_balancer_of, service_of
from coreos_kit.config.findings import shown
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import DISCOVERY_SUFFIX, Bind, LoadBalancer, Requirements, Service, is_port
from coreos_kit.units import globs
from coreos_kit.units.x_fleet import metadata_pair

_PRIVATE = frozenset({Bind.PRIVATE, Bind.ANY})


def check_names(draft: ClusterDraft) -> None:
    """No two of them under one name, and none under the name of another's sidekick."""
    for name, entry in draft.load_balancers.items():
        if name in draft.services:
            entry.base.object_to(f"the name {name}, which a service has too", "a name of its own")
    templates = [entry for entry in draft.load_balancers.values() if load_balancer_of(entry).instances]
    for entry in (*draft.services.values(), *templates):
        name = entry.name
        registered = name.removesuffix(DISCOVERY_SUFFIX)
        other = draft.services.get(registered)
        if registered != name and other and "registration" in other.fields:
            entry.base.object_to(
                f"the name {name}, which is that of {registered}'s sidekick",
                f"a name that doesn't end in {DISCOVERY_SUFFIX}",
            )


def check_prefixes(draft: ClusterDraft) -> None:
    """No service's keys below another's: its pool would list both."""
    owners: dict[str, str] = {}
    registered = [(entry, service_of(entry).registration) for entry in draft.services.values()]
    known = [
        (entry, found.prefix)
        for entry, found in registered
        if found and entry.is_sound("registration", "prefix")
    ]
    for entry, prefix in known:
        if (owner := owners.setdefault(prefix, entry.name)) != entry.name:
            entry.place("registration", "prefix").object_to(
                f"{shown(prefix)}, which services.{owner} has too", "a prefix of its own"
            )
    for entry, prefix in known:
        for above in PurePosixPath(prefix).parents:
            if owner := owners.get(str(above), ""):
                entry.place("registration", "prefix").object_to(
                    f"{shown(prefix)}, which is below {above} of services.{owner}", "a prefix of its own"
                )


def check_ports(draft: ClusterDraft) -> None:
    """No port twice where it would be published twice."""
    services = _instance_ports(draft)
    balancers = [
        (entry, load_balancer_of(entry))
        for entry in draft.load_balancers.values()
        if all(entry.is_sound(key) for key in ("port", "bind", "conflicts", "machine_metadata", "machine_id"))
    ]
    for entry, balancer in balancers:
        service = services.get(str(balancer.port))
        if service and balancer.bind in _PRIVATE:
            instance = service.template.instantiate(str(balancer.port))
            if _may_meet(balancer, service, [instance]):
                _port_taken(entry, balancer, str(instance))
    for (_, one), (entry, other) in combinations(balancers, 2):
        same_address = one.bind is other.bind or Bind.ANY in {one.bind, other.bind}
        if one.port == other.port and same_address and _may_meet(one, other, other.units()):
            _port_taken(entry, other, f"load_balancers.{one.name}")


def _instance_ports(draft: ClusterDraft) -> Mapping[str, Service]:
    """Return who publishes each port, after refusing those that two services publish."""
    owners: dict[str, Service] = {}
    for entry in draft.services.values():
        service = service_of(entry)
        if service.container_port is None or not entry.is_sound("instances"):
            continue
        for index, instance in enumerate(service.instances):
            owner = owners.setdefault(instance, service)
            if owner is not service and is_port(instance):
                entry.place("instances").at(index).object_to(
                    f"{instance}, a port that services.{owner.name} has too",
                    "a port that no other service has",
                )
    return owners


def _port_taken(entry: Entry, balancer: LoadBalancer, by: str) -> None:
    entry.place("port").object_to(
        f"{balancer.port}, which {by} publishes as well",
        "a port of its own, another bind, or conflicts that keep the two apart",
    )


def _may_meet(one: LoadBalancer, other: LoadBalancer | Service, others: Sequence[UnitName]) -> bool:
    """Whether a unit of one and a unit of the other could stand on one machine."""
    mine, theirs = one.requirements, other.requirements
    if all(_conflict(mine, unit, theirs, peer) for unit in one.units() for peer in others):
        return False
    if mine.machine_id and theirs.machine_id and mine.machine_id[:8] != theirs.machine_id[:8]:
        return False
    wanted, offered = _metadata(mine), _metadata(theirs)
    return all(wanted[key] & offered[key] for key in wanted.keys() & offered.keys())


def _conflict(mine: Requirements, unit: UnitName, theirs: Requirements, peer: UnitName) -> bool:
    return any(globs.matches(glob, str(peer)) for glob in mine.conflicts) or any(
        globs.matches(glob, str(unit)) for glob in theirs.conflicts
    )


def _metadata(requirements: Requirements) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for text in requirements.machine_metadata:
        if pair := metadata_pair(text):
            values.setdefault(pair[0], set()).add(pair[1])
    return values
