"""One machine's snapshot, read from what observe.sh printed."""

import contextlib
import ipaddress
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from coreos_kit.adapters.answers import Line, properties, understood
from coreos_kit.adapters.archive import files_of
from coreos_kit.errors import CommandFailed, InvalidUnit
from coreos_kit.model.cluster import ObservedContainer, ObservedMachine, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import MachineEntry
from coreos_kit.units.ownership import owner_of


def read_machine(entry: MachineEntry, private_network: str, lines: tuple[Line, ...]) -> ObservedMachine:
    """Read what observe.sh printed; raises `CommandFailed` where it contradicts itself or makes no sense."""
    with understood(entry.name):
        return _machine(entry, private_network, lines)


def _machine(entry: MachineEntry, private_network: str, lines: tuple[Line, ...]) -> ObservedMachine:
    said = {line.key: line for line in lines}
    addresses = [line.split()[3].split("/")[0] for line in said["addresses"].text().splitlines()]
    return ObservedMachine(
        name=entry.name,
        machine_id=said["machine-id"].word(),
        boot_id=said["boot-id"].word(),
        private_ip=entry.private_ip or _inside(addresses, private_network),
        public_ip=entry.public_ip or _source_address(said["route"].text()),
        metadata=entry.metadata,
        units=tuple(_units(entry.name, lines)),
        containers=tuple(_containers(said)),
        environment=said["environment"].text() if "environment" in said else None,
        clock=_clock(said["clock"].word()),
        release=said["release"].text(),
        engine_error=said["engine-error"].text().strip() if "engine-error" in said else "",
        etcd_state=said["etcd"].word(),
    )


def _clock(text: str) -> float:
    clock = float(text)
    if not math.isfinite(clock):
        raise ValueError(f"{text} is no time")
    return clock


def _units(machine: str, lines: tuple[Line, ...]) -> Iterator[ObservedUnit]:
    names = [line.word() for line in lines if line.key == "unit"]
    files = files_of(next((line.decoded() for line in lines if line.key == "files"), b""))
    fleets = files_of(next((line.decoded() for line in lines if line.key == "fleet-files"), b""))
    shown = next((line.text() for line in lines if line.key == "show"), "")
    blocks = [properties(block) for block in shown.split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise CommandFailed(
            f"{machine}: systemctl told of {len(blocks)} units, not of {len(names)}",
            machine=machine,
            output=shown,
        )
    for text_name, block in zip(names, blocks, strict=True):
        text, written = files.get(text_name, (None, 0.0))
        if text is None and block.get("LoadState") == "not-found":
            continue
        try:
            name = UnitName.parse(text_name)
        except InvalidUnit:
            continue  # marked as the kit's by somebody else: the kit never makes such a name
        owner = owner_of(text or "")
        yield ObservedUnit(
            name=name,
            machine=machine,
            text=text,
            load_state=block.get("LoadState", ""),
            active_state=block.get("ActiveState", ""),
            sub_state=block.get("SubState", ""),
            fragment_path=block.get("FragmentPath", ""),
            needs_reload=block.get("NeedDaemonReload") == "yes",
            restarts=int(block.get("NRestarts") or 0),
            since=block.get("ActiveEnterTimestamp", ""),
            project=owner.project,
            service=owner.service,
            own_file=fleets[text_name][0] if text_name in fleets else None,
            drop_ins=_drop_ins(name, block.get("DropInPaths", "")),
            is_older_than_file=_seconds(block.get("ActiveEnterTimestamp", "")) < written,
        )


def _seconds(timestamp: str) -> float:
    """Read what systemd prints of a moment; one that never was, or can't be read, is later than any file."""
    try:
        moment = datetime.strptime(timestamp, "%a %Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return math.inf
    return moment.replace(tzinfo=UTC).timestamp()


def _drop_ins(name: UnitName, paths: str) -> tuple[str, ...]:
    """Return the drop-ins that are this unit's or its template's; one for all services is the system's."""
    own = {f"{name}.d"} | ({f"{name.template}.d"} if name.is_instance else set())
    return tuple(path for path in paths.split() if path.rpartition("/")[0].rpartition("/")[2] in own)


def _containers(said: Mapping[str, Line]) -> Iterator[ObservedContainer]:
    listed = said["containers"].text() if "containers" in said else ""
    labels = dict(_labels(said["labels"].text())) if "labels" in said else {}
    for line in listed.splitlines():
        name, id_, status, image, ports = (line.split("\t") + [""] * 5)[:5]
        project, unit = labels.get(id_, ("", ""))
        yield ObservedContainer(name, id_, container_state(status), image, ports, project, unit)


def _labels(shown: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Read `ID "project" "unit"` lines; an engine that prints something else has told of no label."""
    for line in shown.splitlines():
        id_, _, values = line.partition(" ")
        with contextlib.suppress(ValueError):
            project, end = json.JSONDecoder().raw_decode(values)
            unit = json.loads(values[end:])
            yield id_, (str(project or ""), str(unit or ""))


def container_state(status: str) -> str:
    """Read the STATUS column, which every docker and podman has: `Up 3 minutes (Paused)` is paused."""
    if status.endswith("(Paused)"):
        return "paused"
    word = status.split(" ", 1)[0].lower()
    return "running" if word == "up" else word


def _inside(addresses: list[str], network: str) -> str:
    if not network:
        return ""
    return next((a for a in addresses if ipaddress.ip_address(a) in ipaddress.ip_network(network)), "")


def _source_address(route: str) -> str:
    words = route.split()
    found = words[words.index("src") + 1] if "src" in words[:-1] else ""
    with contextlib.suppress(ValueError):
        return str(ipaddress.IPv4Address(found))
    return ""
