"""Adopt: read a running fleet cluster into a new workspace. The cluster is only looked at."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from coreos_kit.errors import Refused
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.project import Cluster
from coreos_kit.ops.files import write_atomically
from coreos_kit.planning.carrying import NO_FAILOVER, obstacles
from coreos_kit.units.ownership import SECTION
from coreos_kit.units.sources import FOLDER, SUFFIX
from coreos_kit.units.unit_file import UnitFile

RECORD = "adopted.json"
COREOS_ENVIRONMENT = "/etc/environment"
_JINJA = re.compile(r"\{[{%#]")


@dataclass(frozen=True, slots=True)
class Adopted:
    """A fleet cluster as a workspace: its files by path, and what can't come along."""

    files: Mapping[str, str]
    units: tuple[UnitName, ...]  # that the workspace will run
    left_out: tuple[str, ...] = ()  # "unit: why"
    obstacles: tuple[str, ...] = ()  # "unit: why", on a cluster without fleet


@dataclass(slots=True)
class _Sources:
    texts: dict[UnitName, str] = field(default_factory=dict)  # by the unit or template that a file makes
    instances: dict[UnitName, list[str]] = field(default_factory=dict)


def adopted(name: str, project: str, cluster: Cluster, observed: Observation) -> Adopted:
    """Turn what was seen into files of a workspace; the same cluster gives the same files.

    Instances that share a text share a template. Raises `Refused` for a cluster that fleet does not run.
    """
    if observed.scheduler is None:
        raise Refused(
            f"{cluster.name} is not run by fleet",
            hint="Name a machine of one: coreos-kit adopt DIR --ssh HOST",
        )
    standing = [unit for _, machine in sorted(observed.machines.items()) for unit in machine.units]
    left_out = tuple(_left_out(observed.unplaced))
    wanted: dict[UnitName, str] = {}
    for unit in (*standing, *observed.unplaced):
        if unit.text is not None and not (unit in observed.unplaced and unit.active_state == "inactive"):
            wanted[unit.name] = unit.text
    sources = _sources(wanted)
    files = {f"{FOLDER}/{unit}{SUFFIX}": _as_source(text) for unit, text in sorted(sources.texts.items())}
    files["coreos-kit.toml"] = _configuration(name, project, cluster, observed, sources.instances)
    files[RECORD] = _record(name, observed, standing)
    return Adopted(files, tuple(sorted(wanted)), left_out, tuple(_obstacles(wanted, cluster)))


def project_name(folder: Path) -> str:
    """Return a name for the project of a folder: the folder's, as far as it can be one."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_") or "adopted"


def write_workspace(target: Path, found: Adopted) -> None:
    """Write the files to a folder that holds none of them; raises `Refused` with every one that is there."""
    there = [path for path in found.files if (target / path).exists()]
    if there:
        raise Refused(
            f"{len(there)} of the files to write are there already in {target}; nothing was written",
            details=there,
            hint="Adopt into a new folder: coreos-kit adopt DIR",
        )
    for path, text in found.files.items():
        # As it was read: a unit of fleet's may hold any bytes.
        write_atomically(target / path, text.encode("utf-8", "surrogateescape"), root=target)


def _left_out(unplaced: Sequence[ObservedUnit]) -> Iterator[str]:
    for unit in unplaced:
        if unit.active_state == "inactive":
            yield f"{unit.name}: it is only submitted, and was never to run"


def _sources(wanted: Mapping[UnitName, str]) -> _Sources:
    """Give each text that instances share to their template; the others keep files of their own."""
    by_template: dict[UnitName, dict[str, list[UnitName]]] = {}
    found = _Sources()
    for unit, text in wanted.items():
        if unit.is_instance:
            by_template.setdefault(unit.template, {}).setdefault(text, []).append(unit)
        else:
            found.texts[unit] = text
    for template, texts in by_template.items():
        shared = max(texts, key=lambda text: len(texts[text]))
        found.texts[template] = shared
        found.instances[template] = [unit.instance or "" for unit in sorted(texts.pop(shared))]
        found.texts |= {unit: text for text, units in texts.items() for unit in units}
    return found


def _as_source(text: str) -> str:
    """Make a template of a text: what Jinja2 would read as its own is kept from it.

    /etc/environment is where only CoreOS writes its addresses; every profile knows its own file.
    """
    raw = UnitFile.parse(text).with_section(SECTION, ()).text if f"[{SECTION}]" in text else text
    if _JINJA.search(raw):
        raw = f"{{% raw %}}{raw}{{% endraw %}}\n"
        before, after = "{% endraw %}", "{% raw %}"
    else:
        before = after = ""
    return raw.replace(
        f"EnvironmentFile={COREOS_ENVIRONMENT}\n",
        f"EnvironmentFile={before}{{{{ environment_file }}}}{after}\n",
    )


def _configuration(
    name: str,
    project: str,
    cluster: Cluster,
    observed: Observation,
    instances: Mapping[UnitName, Sequence[str]],
) -> str:
    lines = [
        f"# Read from a cluster that fleet {observed.scheduler.version if observed.scheduler else ''} runs.",
        "# unit_templates/ holds its units; add a cluster below, and see what becomes of them there:",
        "#   coreos-kit plan --cluster new",
        "",
        "[project]",
        f"name = {_quoted(project)}",
        f"default_cluster = {_quoted(name)}",
        "",
        "[units]                                 # instances of the templates in unit_templates/",
        *(
            f"{_quoted(str(template))} = [{', '.join(_instance(one) for one in names)}]"
            for template, names in sorted(instances.items())
        ),
        "",
        f"[clusters.{name}]",
        'profile = "coreos"',
        'driver = "fleet"',
        *_machines(name, cluster, observed),
        "",
        "# [clusters.new]",
        '# profile = "flatcar"',
        '# driver = "systemd"',
        '# machines = ["core@198.51.100.21", "core@198.51.100.22"]',
        '# network = { private = "192.0.2.0/24" }',
    ]
    return "".join(f"{line}\n" for line in lines)


def _machines(name: str, cluster: Cluster, observed: Observation) -> Iterator[str]:
    if cluster.lab:
        yield f"lab = {_quoted(cluster.lab)}"
        return
    addresses = [machine.private_ip for machine in observed.machines.values() if machine.private_ip]
    yield f'network = {{ private = "{cluster.private_network or _network_of(addresses)}" }}'
    known = {entry.name: entry.destination for entry in cluster.machines}
    asked = known.get(observed.scheduler.gateway, "") if observed.scheduler else ""
    user = asked[: asked.rfind("@") + 1]  # of the machines that only fleet named, nobody has said another
    for machine in (machine for _, machine in sorted(observed.machines.items())):
        destination = known.get(machine.name) or f"{user}{machine.private_ip or machine.name}"
        yield ""
        yield f"[clusters.{name}.machines.{_quoted(machine.name)}]"
        yield f"ssh = {_quoted(destination)}"
        if machine.private_ip:
            yield f"private_ip = {_quoted(machine.private_ip)}"
        if machine.metadata:
            pairs = (f"{_quoted(key)} = {_quoted(value)}" for key, value in sorted(machine.metadata.items()))
            yield f"metadata = {{ {', '.join(pairs)} }}"


def _network_of(addresses: Sequence[str]) -> str:
    """Return the smallest network, of 256 addresses at least, that all of these are in."""
    for bits in range(24, 0, -1):
        network = ip_network(f"{addresses[0]}/{bits}", strict=False)
        if all(ip_network(address).subnet_of(network) for address in addresses):  # type: ignore[arg-type]
            return str(network)
    return "0.0.0.0/0"


def _record(name: str, observed: Observation, standing: Sequence[ObservedUnit]) -> str:
    """Write down where everything was, for whoever wants to know later."""
    placements: dict[str, list[str]] = {}
    for unit in (*standing, *observed.unplaced):
        placements.setdefault(str(unit.name), []).extend([unit.machine] if unit.machine else [])
    body = {
        "cluster": name,
        "fleet": observed.scheduler.version if observed.scheduler else "",
        "machines": {
            machine.name: {
                "id": machine.machine_id,
                "address": machine.private_ip,
                "metadata": dict(sorted(machine.metadata.items())),
            }
            for _, machine in sorted(observed.machines.items())
        },
        "units": {unit: sorted(machines) for unit, machines in sorted(placements.items())},
    }
    return json.dumps(body, indent=2) + "\n"


def carry_over_notes(root: Path, desired: Sequence[DesiredUnit], cluster: Cluster) -> Iterator[str]:
    """Say what can't carry over from fleet to this cluster; nothing in a workspace that was not adopted."""
    if (root / RECORD).is_file():
        own = {unit.name: unit.text for unit in desired if unit.kind is UnitKind.EXTRA}
        yield from _obstacles(own, cluster)


def _obstacles(wanted: Mapping[UnitName, str], cluster: Cluster) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for unit, text in sorted(wanted.items()):
        for reason in obstacles(text, cluster.profile, cluster.etcd_api):
            reasons.setdefault(reason, []).append(str(unit))
    yield from (f"{', '.join(units)}: {reason}" for reason, units in reasons.items())
    if wanted:
        yield f"every unit: {NO_FAILOVER}"


def _instance(name: str) -> str:
    return name if name.isdigit() and str(int(name)) == name else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text)
