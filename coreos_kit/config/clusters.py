"""The clusters of a coreos-kit.toml: machines, etcd, network, and what they override."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from coreos_kit.config import addresses, schema, words
from coreos_kit.config.entries import Entry, entry
from coreos_kit.config.findings import Place, shown
from coreos_kit.config.reading import Fields, mapping, table
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, EtcdApi, EtcdSettings, MachineEntry
from coreos_kit.model.secret import RegistryLogin
from coreos_kit.model.services import LoadBalancer, Service

_FROM_THE_LAB = ("machines", "network", "push_to", "host_keys")
_DEFAULT_LAB_PROFILE = "debian"
_MACHINES_ALLOWED = 'an array of SSH destinations such as ["core@198.51.100.11"], or a table of machines'

Entries = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Bases:
    """The services and balancers of the file itself, as fields."""

    services: Mapping[str, Fields] = field(default_factory=dict)
    load_balancers: Mapping[str, Fields] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterDraft:
    """A cluster whose own tables were read; its services and balancers are still entries."""

    name: str
    place: Place
    fields: Fields
    machines: tuple[MachineEntry, ...]
    services: Entries
    load_balancers: Entries

    def cluster(
        self, root: Path, services: tuple[Service, ...], load_balancers: tuple[LoadBalancer, ...]
    ) -> Cluster:
        """Return the value; only of use where nothing was refused. Paths begin at the workspace's `root`."""
        fields = self.fields
        return Cluster(
            name=self.name,
            profile=PROFILES[fields.get("profile", _DEFAULT_LAB_PROFILE)],
            driver=fields.get("driver", DriverKind.AUTO),
            machines=self.machines,
            services=services,
            load_balancers=load_balancers,
            lab=fields.get("lab", ""),
            private_network=fields.get("network", {}).get("private", ""),
            push_to=fields.get("push_to", ""),
            etcd=_etcd(fields.get("etcd", {}), root),
            registry=_registry(fields["registry"]) if "registry" in fields else None,
            accept_new_host_keys=fields.get("host_keys") == "accept-new",
        )


def read_cluster(name: str, raw: object, place: Place, bases: Bases) -> ClusterDraft:
    """Read one cluster's table and check what can be said about it alone."""
    tables = dict.fromkeys(schema.CLUSTER_TABLES, _as_it_is)
    fields = table(schema.CLUSTER | tables)(raw, place) or {}
    services = _overridden(fields.get("services", {}), place.at("services"), bases.services, schema.SERVICE)
    balancers = _overridden(
        fields.get("load_balancers", {}),
        place.at("load_balancers"),
        bases.load_balancers,
        schema.LOAD_BALANCER,
    )
    machines = _machines(fields["machines"], place.at("machines")) if "machines" in fields else ()
    if isinstance(raw, dict):
        _check_kind(raw, place)
        _check_etcd(fields.get("etcd", {}), place.at("etcd"))
        _check_machines(machines, fields.get("network", {}).get("private", ""), place)
    return ClusterDraft(name, place, fields, machines, services, balancers)


def without_cluster(top: Place, bases: Bases) -> ClusterDraft:
    """Return a draft of no cluster, so that services can be checked where the file has no cluster yet."""
    services = _entries(top.at("services"), bases.services, {})
    return ClusterDraft(
        "", top, {}, (), services, _entries(top.at("load_balancers"), bases.load_balancers, {})
    )


def _as_it_is(value: Any, place: Place) -> Any:
    del place
    return value


def _overridden(raw: object, place: Place, bases: Mapping[str, Fields], keys: Mapping[str, Any]) -> Entries:
    """Lay the overrides over all services (or balancers); one that overrides nothing is refused."""
    overrides: dict[str, Fields] = {}
    if not isinstance(raw, dict):
        place.refuse(raw, "a table")
        raw = {}
    for name, value in raw.items():
        if name in bases:
            overrides[name] = table(keys)(value, place.at(name)) or {}
        elif place.findings.is_sound((place.path[-1], name)):
            place.refuse_unknown(name, bases)
    return _entries(place, bases, overrides)


def _entries(place: Place, bases: Mapping[str, Fields], overrides: Mapping[str, Fields]) -> Entries:
    base = Place(place.findings, place.path[-1:])
    return {
        name: entry(name, fields, overrides.get(name, {}), at=base.at(name), override_at=place.at(name))
        for name, fields in bases.items()
    }


def _machines(raw: object, place: Place) -> tuple[MachineEntry, ...]:
    if isinstance(raw, list):
        return _listed_machines(raw, place)
    if not isinstance(raw, dict):
        place.refuse(raw, _MACHINES_ALLOWED)
        return ()
    read = mapping(words.MACHINE_NAME, words.MACHINE_NAME_ALLOWED, table(schema.MACHINE))(raw, place) or {}
    return tuple(
        MachineEntry(
            name=name,
            destination=fields.get("ssh", name),
            metadata=fields.get("metadata", {}),
            private_ip=fields.get("private_ip", ""),
            public_ip=fields.get("public_ip", ""),
        )
        for name, fields in read.items()
    )


def _listed_machines(raw: list[object], place: Place) -> tuple[MachineEntry, ...]:
    machines: dict[str, MachineEntry] = {}
    for index, element in enumerate(raw):
        destination = addresses.destination(element, place.at(index))
        if destination is None:
            continue
        name = addresses.host_of(destination)
        if name in machines:
            found = f"{shown(destination)}, a second machine called {name}"
            place.at(index).object_to(
                found,
                f'each machine once, or tables of machines: clusters.{place.path[1]}.machines.NAME.ssh = "…"',
            )
        machines[name] = MachineEntry(name, destination)
    return tuple(machines.values())


def _check_kind(raw: Fields, place: Place) -> None:
    """A cluster is a lab, or it has machines and a private network of its own."""
    if "lab" in raw:
        for key in _FROM_THE_LAB:
            if key in raw:
                place.at(key).object_to(
                    f"{key} beside lab",
                    "one of the two: a lab's machines, network, registry and host keys are its own",
                )
        return
    if "machines" not in raw:
        place.at("machines").refuse_missing(f'{_MACHINES_ALLOWED}; or lab = "default"')
    elif raw["machines"] in ([], {}):
        place.at("machines").object_to("none", _MACHINES_ALLOWED)
    if "profile" not in raw:
        place.at("profile").refuse_missing(", ".join(PROFILES))
    network = raw.get("network")
    if network is None or (isinstance(network, dict) and "private" not in network):
        place.at("network", "private").refuse_missing(
            "the machines' private IPv4 network, such as 192.0.2.0/24"
        )


def _check_machines(machines: tuple[MachineEntry, ...], network: str, place: Place) -> None:
    seen: dict[tuple[str, str], str] = {}
    for machine in machines:
        for key, value in (
            ("ssh", machine.destination),
            ("private_ip", machine.private_ip),
            ("public_ip", machine.public_ip),
        ):
            other = seen.setdefault((key, value), machine.name)
            if value and other != machine.name:
                at = place.at("machines", machine.name, key)
                at.object_to(f"{shown(value)}, which is {other} already", "each machine once")
        if machine.private_ip and network and IPv4Address(machine.private_ip) not in IPv4Network(network):
            place.at("machines", machine.name, "private_ip").refuse(
                machine.private_ip, f"an address inside {network} (network.private)"
            )


def _check_etcd(fields: Fields, place: Place) -> None:
    for one, other in (
        ("cert", "key"),
        ("key", "cert"),
        ("username", "password_file"),
        ("password_file", "username"),
    ):
        if one in fields and other not in fields and place.findings.is_sound(place.at(other).path):
            place.at(other).refuse_missing(f"a value, since {one} is set")
    endpoints = fields.get("endpoints", ())
    schemes = {endpoint.partition(":")[0] for endpoint in endpoints}
    if len(schemes) > 1:
        place.at("endpoints").object_to("http and https", "one of the two for all endpoints")
    for key in ("ca", "cert"):
        if key in fields and schemes != {"https"} and place.findings.is_sound(place.at("endpoints").path):
            place.at(key).object_to(
                f"{key} without https", "ca, cert and key only with endpoints that begin with https://"
            )


def _etcd(fields: Fields, root: Path) -> EtcdSettings:
    api = fields.get("api", schema.AUTO)
    files: Fields = {
        key: str(root / Path(fields[key]).expanduser())
        for key in ("ca", "cert", "key", "password_file")
        if key in fields
    }
    return EtcdSettings(**(fields | files | {"api": None if api == schema.AUTO else EtcdApi(api)}))


def _registry(fields: Fields) -> RegistryLogin:
    return RegistryLogin(fields.get("username", ""), fields.get("password_secret", ""))
