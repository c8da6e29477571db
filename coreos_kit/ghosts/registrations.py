"""Registrations that no unit stands behind: of nobody, of the wrong place, or of nothing at all."""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.balancer.pool import parse_networks, shown, why_refused
from coreos_kit.chain import RENEWAL_GRACE_S, Evidence
from coreos_kit.model.cluster import EtcdEntry, ObservedMachine
from coreos_kit.model.ghosts import DeleteKey, Ghost, GhostKind
from coreos_kit.model.project import EtcdApi
from coreos_kit.model.services import Registration, Service, is_port

_EVERYWHERE = (ipaddress.IPv4Network("0.0.0.0/0"),)
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}", re.ASCII)
_PLAIN_KEY = re.compile(r"/[A-Za-z0-9/._:-]{1,200}")
_FIX = "coreos-kit verify --fix"
_WATCH = "coreos-kit registrations --watch"


def registration_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Judge every key below the services' prefixes, but for those that a chain has judged already."""
    for prefix, services in _by_prefix(evidence.cluster.services).items():
        folder = _Folder(evidence, prefix, services)
        for entry in evidence.entries.get(prefix, ()):
            if entry.key not in folder.expected and (ghost := folder.judge(entry)):
                yield ghost
        for entry in evidence.other_entries.get(prefix, ()):
            yield _in_the_other_api(evidence, entry)


def _by_prefix(services: Sequence[Service]) -> Mapping[str, list[Service]]:
    found: dict[str, list[Service]] = defaultdict(list)
    for service in services:
        if service.registration:
            found[service.registration.prefix].append(service)
    return found


@dataclass(frozen=True, slots=True)
class _Age:
    """How a key's time runs."""

    is_fresh: bool
    said: str

    @classmethod
    def of(cls, entry: EtcdEntry, registration: Registration) -> "_Age":
        if entry.ttl_left_s is None:
            return cls(is_fresh=False, said="without a TTL: it would stay for ever")
        granted = entry.ttl_granted_s if entry.ttl_granted_s is not None else registration.ttl_s
        age = max(0, granted - entry.ttl_left_s)
        is_fresh = age <= registration.renew_s + RENEWAL_GRACE_S
        words = f"renewed {age:.0f} s ago" if is_fresh else f"not renewed for {age:.0f} s"
        return cls(is_fresh, f"{words}, {entry.ttl_left_s:.0f} s left")


class _Folder:
    """One prefix, with what belongs below it."""

    def __init__(self, evidence: Evidence, prefix: str, services: Sequence[Service]) -> None:
        self._cluster = evidence.cluster
        self._prefix = prefix
        self._services = services
        self._registrations = [service.registration for service in services if service.registration]
        self._unreachable = evidence.observed.unreachable
        machines = [machine for _, machine in sorted(evidence.observed.machines.items())]
        self._standing = {
            (machine.private_ip, unit.name.instance or ""): machine
            for machine in machines
            for unit in machine.units
            for service in services
            if machine.private_ip
            and unit.project == evidence.project
            and unit.name.is_instance
            and unit.name.template == service.template
        }
        self.expected = {key for place in self._standing for key in self._keys(*place)}
        self._machine_of = {machine.private_ip: machine for machine in machines if machine.private_ip}
        self._name_of = {entry.private_ip: entry.name for entry in self._cluster.machines if entry.private_ip}
        self._name_of |= {address: machine.name for address, machine in self._machine_of.items()}
        seen = {machine.name for machine in self._machine_of.values()}
        self._is_address_missing = any(
            not entry.private_ip and entry.name not in seen for entry in self._cluster.machines
        )
        self._networks = _networks(self._cluster.private_network)
        self._ports = {
            instance for service in services for instance in service.instances if is_port(instance)
        } | {instance for _, instance in self._standing}

    def _keys(self, address: str, instance: str) -> set[str]:
        return {registration.key_for(address, instance) for registration in self._registrations}

    def judge(self, entry: EtcdEntry) -> Ghost | None:
        """Say what is wrong with a key that belongs to no unit which stands; None: nobody can tell."""
        age = _Age.of(entry, self._registrations[0])
        parent, _, name = entry.key.rpartition("/")
        problem = why_refused(entry.value, self._networks)
        if parent != self._prefix or not name or (problem and not _ADDRESS.fullmatch(entry.value)):
            expected = f"address:port directly below {self._prefix}"
            why = problem or f"not directly below {self._prefix}"
            return self._ghost(GhostKind.NONSENSE, entry, age, expected, why)
        if problem:
            expected = f"an address inside {self._cluster.private_network or 'the network'}"
            return self._ghost(GhostKind.OUTSIDE_NETWORK, entry, age, expected, problem)
        address, _, port = entry.value.partition(":")
        if address not in self._name_of:
            return None if self._is_address_missing else self._of_a_stranger(entry, age)
        machine = self._name_of[address]
        keys = self._keys(address, port)
        if entry.key not in keys:
            expected = f"{entry.value} at {' or '.join(sorted(keys))}"
            return self._ghost(GhostKind.WRONG_MACHINE, entry, age, expected, "", machine)
        if machine in self._unreachable or address not in self._machine_of:
            if age.is_fresh:
                return None
            newest = self._registrations[0].renew_s + RENEWAL_GRACE_S
            why = f"{machine} can't be looked at"
            expected = f"renewed within {newest} s"
            return self._ghost(GhostKind.NOT_RENEWED, entry, age, expected, why, machine, is_safe=False)
        if port not in self._ports:
            ports = ", ".join(sorted(self._ports, key=lambda port: (len(port), port))) or "none"
            return self._ghost(GhostKind.WRONG_PORT, entry, age, f"one of the instances {ports}", "", machine)
        unit = " or ".join(str(service.template.instantiate(port)) for service in self._services)
        return self._ghost(
            GhostKind.KEY_WITHOUT_UNIT, entry, age, f"{unit} on {machine}", "it does not stand there", machine
        )

    def _of_a_stranger(self, entry: EtcdEntry, age: _Age) -> Ghost:
        known = ", ".join(f"{name} {address}" for address, name in sorted(self._name_of.items()))
        ghost = self._ghost(
            GhostKind.UNKNOWN_MACHINE, entry, age, f"a machine of {self._cluster.name}: {known}", ""
        )
        if not age.is_fresh:
            return ghost
        # Something lives there: the project's units, on a machine that was taken out of the configuration?
        remedy = "put the machine back into coreos-kit.toml, then: coreos-kit deploy --evacuate MACHINE"
        return Ghost(ghost.kind, "", ghost.subject, ghost.expected, ghost.seen, remedy)

    def _ghost(
        self,
        kind: GhostKind,
        entry: EtcdEntry,
        age: _Age,
        expected: str,
        why: str,
        machine: str = "",
        *,
        is_safe: bool = True,
    ) -> Ghost:
        # A key that somebody renews would be back at once; one that holds what is no text can't be compared.
        is_safe = is_safe and not age.is_fresh and "\ufffd" not in entry.key + entry.value
        seen = "; ".join(part for part in (shown(entry.value), why, age.said) if part)
        return Ghost(
            kind,
            machine,
            shown(entry.key) if not _PLAIN_KEY.fullmatch(entry.key) else entry.key,
            expected,
            seen,
            _FIX if is_safe else _WATCH,
            DeleteKey(entry.key, entry.value) if is_safe else None,
            may_pass=_expires(entry),
        )


def _expires(entry: EtcdEntry) -> bool:
    """Whether a key goes by itself. One that was just renewed may have been renewed for the last time."""
    return entry.ttl_left_s is not None


def _networks(text: str) -> tuple[ipaddress.IPv4Network, ...]:
    """Read the cluster's networks; without any, no address is outside."""
    return parse_networks(text) if text else _EVERYWHERE


def _in_the_other_api(evidence: Evidence, entry: EtcdEntry) -> Ghost:
    api = evidence.cluster.etcd_api
    other = api.other
    seen: Sequence[ObservedMachine] = [
        machine
        for name, machine in sorted(evidence.observed.machines.items())
        if name not in evidence.observed.unreachable
    ]
    address = entry.value.partition(":")[0]
    machine = next((found.name for found in seen if found.private_ip == address), "")
    remedy = _WATCH
    if seen and _PLAIN_KEY.fullmatch(entry.key):
        verb = "rm" if other is EtcdApi.V2 else "del"
        words = f"env ETCDCTL_API={other.value[1:]} etcdctl {verb} {entry.key}"
        remedy = f"coreos-kit ssh {machine or seen[0].name} -- {words}"
    return Ghost(
        GhostKind.OTHER_API,
        machine,
        entry.key if _PLAIN_KEY.fullmatch(entry.key) else shown(entry.key),
        f"registrations in etcd's {api} API, which the balancer reads",
        f"{shown(entry.value)} in its {other} API",
        remedy,
        may_pass=_expires(entry),
    )
