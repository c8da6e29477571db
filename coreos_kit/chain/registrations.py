"""The links that etcd tells of: key, value, TTL."""

from collections.abc import Iterator

from coreos_kit.balancer.pool import shown
from coreos_kit.chain.evidence import Evidence
from coreos_kit.model.chain import Link, LinkName, State
from coreos_kit.model.cluster import EtcdEntry, ObservedMachine
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import Registration, server_of

RENEWAL_GRACE_S = 2


def registration_links(
    evidence: Evidence,
    machine: ObservedMachine | None,
    registration: Registration,
    instance: str,
    sidekick: UnitName,
) -> Iterator[Link]:
    """Judge key, value and TTL of one instance."""
    where = machine.name if machine else ""
    address = machine.private_ip if machine else ""
    names = (LinkName.KEY, LinkName.VALUE, LinkName.TTL)
    if not address:
        seen = "its machine's private address is not known" if machine else "its unit stands on no machine"
        yield from (
            Link(name, State.UNKNOWN, where, f"a registration below {registration.prefix}", seen)
            for name in names
        )
        return
    key, value = registration.key_for(address, instance), server_of(address, instance)
    newest = registration.renew_s + RENEWAL_GRACE_S
    expectations = dict(zip(names, (key, value, f"renewed within {newest} s"), strict=True))
    entries = evidence.entries.get(registration.prefix)
    if entries is None:
        seen = evidence.etcd_error or "etcd was not asked"
        yield from (Link(name, State.UNKNOWN, where, expectations[name], seen) for name in names)
        return
    remedy = _remedy(evidence, machine, sidekick)
    entry = next((entry for entry in entries if entry.key == key), None)
    if entry is None:
        yield Link(LinkName.KEY, State.BROKEN, where, key, "there is no such key", remedy)
        yield from (
            Link(name, State.UNKNOWN, where, expectations[name], "there is no key to look at")
            for name in names[1:]
        )
        return
    yield Link(LinkName.KEY, State.OK, where, key, "present")
    right = entry.value == value
    yield Link(
        LinkName.VALUE,
        State.OK if right else State.BROKEN,
        where,
        value,
        shown(entry.value),
        "" if right else remedy,
    )
    yield _ttl_link(where, entry, registration, remedy)


def _ttl_link(machine: str, entry: EtcdEntry, registration: Registration, remedy: str) -> Link:
    newest = registration.renew_s + RENEWAL_GRACE_S
    expected = f"renewed within {newest} s"
    if entry.ttl_left_s is None:
        return Link(
            LinkName.TTL, State.BROKEN, machine, expected, "it has no TTL: it would stay for ever", remedy
        )
    granted = entry.ttl_granted_s if entry.ttl_granted_s is not None else registration.ttl_s
    age = granted - entry.ttl_left_s
    seen = f"renewed {max(0, age):.0f} s ago, {entry.ttl_left_s:.0f} s of {granted:.0f} s left"
    fresh = age <= newest
    return Link(
        LinkName.TTL, State.OK if fresh else State.BROKEN, machine, expected, seen, "" if fresh else remedy
    )


def _remedy(evidence: Evidence, machine: ObservedMachine | None, sidekick: UnitName) -> str:
    """A sidekick registers with its own machine's etcd, where the configuration names no other."""
    cluster = evidence.cluster
    if machine and machine.etcd_state in ("inactive", "failed") and not cluster.etcd.endpoints:
        return f"coreos-kit ssh {machine.name} -- sudo systemctl start {cluster.profile.etcd_unit}"
    return f"coreos-kit restart {sidekick}"
