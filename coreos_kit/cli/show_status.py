"""Status, machines and registrations, as tables and as JSON."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.cluster import EtcdEntry, Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.holding import Holding, Mark
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster
from coreos_kit.ops.status import Machines, Pool, Registrations, Status


def status(settings: Settings, cluster: Cluster, seen: Status, *, clear: bool) -> None:
    """Show the one screen."""
    if settings.json:
        output.print_json(
            "status",
            {
                "cluster": cluster.name,
                "machines": _machines_body(seen.observed, seen.holding),
                "units": [_unit_body(unit, seen.held) for unit in seen.units],
                "missing": seen.missing,
                "held": _held_body(seen.holding),
                "registrations": _entries_body(seen.registrations),
                "etcd_error": seen.etcd_error,
                "pools": [pool_body(pool) for pool in seen.pools],
            },
        )
        return
    if clear:
        output.clear()
    _machines_table(seen.observed, seen.holding)
    output.line()
    rows: list[Sequence[object]] = [
        [
            unit.name,
            unit.machine or "-",
            f"{unit.active_state} ({unit.sub_state})" if unit.sub_state else unit.active_state,
            "held" if unit.name in seen.held else "",
            unit.restarts or "",
            _since(unit),
        ]
        for unit in seen.units
    ]
    absent = "unknown" if seen.observed.unreachable else "missing"  # it may stand where nobody could look
    rows += [[name, "-", absent, "held" if name in seen.held else "", "", ""] for name in seen.missing]
    output.table(["unit", "machine", "state", "by hand", "restarts", "since"], rows)
    for note in seen.holding.notes():
        output.line(note, style="yellow")
    output.line()
    _entries_table(seen.registrations, seen.etcd_error)
    for pool in seen.pools:
        output.line()
        shown = ", ".join(pool.servers) or "empty" if pool.servers is not None else f"unknown: {pool.error}"
        output.line(f"pool of {pool.unit.stem} on {pool.machine}: {shown}")


def machines(settings: Settings, cluster: Cluster, seen: Machines) -> None:
    """Show the machines."""
    if settings.json:
        body = {
            "cluster": cluster.name,
            "machines": _machines_body(seen.observed, seen.holding),
            "etcd_error": seen.etcd_error,
        }
        output.print_json("machines", body)
        return
    _machines_table(seen.observed, seen.holding)
    for note in replace(seen.holding, held={}).notes():
        output.line(note, style="yellow")
    if seen.etcd_error:
        output.line(f"which machines are cordoned is not known: {seen.etcd_error}", style="yellow")


def registrations(settings: Settings, cluster: Cluster, entries: Registrations, *, clear: bool) -> None:
    """Show the registrations."""
    if settings.json:
        output.print_json("registrations", {"cluster": cluster.name, "registrations": _entries_body(entries)})
        return
    if clear:
        output.clear()
    _entries_table(entries, "")


def _machines_body(observed: Observation, holding: Holding) -> list[Mapping[str, object]]:
    reached: list[Mapping[str, object]] = [
        {
            "name": machine.name,
            "state": "ok",
            "machine_id": machine.machine_id,
            "private_ip": machine.private_ip,
            "public_ip": machine.public_ip,
            "metadata": machine.metadata,
            "release": machine.release,
            "etcd": machine.etcd_state,
            "engine_error": machine.engine_error,
            "units": len(_kits(machine)),
            **_cordon_body(holding, machine.name),
        }
        for _, machine in sorted(observed.machines.items())
        if machine.name not in observed.unreachable
    ]
    silent = [
        {"name": name, "state": "unreachable", "error": str(error), **_cordon_body(holding, name)}
        for name, error in sorted(observed.unreachable.items())
    ]
    return [*reached, *silent]


def mark_body(mark: Mark) -> Mapping[str, object]:
    """Return who holds something still as JSON's keys."""
    return {"by": mark.by, "since": mark.since, "why": mark.why}


def _cordon_body(holding: Holding, machine: str) -> Mapping[str, object]:
    mark = holding.cordoned.get(machine)
    return {"cordoned": mark_body(mark)} if mark else {}


def _held_body(holding: Holding) -> list[Mapping[str, object]]:
    return [{"unit": unit, **mark_body(mark)} for unit, mark in sorted(holding.held.items())]


def _machines_table(observed: Observation, holding: Holding) -> None:
    """One row a machine; what is wrong with one can be long, and stands in a line below."""
    rows: list[Sequence[object]] = [
        [
            machine.name, machine.private_ip, machine.public_ip, machine.machine_id[:8],
            ",".join(f"{key}={value}" for key, value in sorted(machine.metadata.items())),
            machine.etcd_state, len(_kits(machine)), _by_hand(holding, machine.name), machine.release,
        ]
        for _, machine in sorted(observed.machines.items())
        if machine.name not in observed.unreachable
    ]  # fmt: skip
    rows += [
        [name, *_known_of(observed.machines.get(name)), "", "", _by_hand(holding, name), "unreachable"]
        for name in sorted(observed.unreachable)
    ]
    output.table(
        ["machine", "private", "public", "id", "metadata", "etcd", "units", "by hand", "system"], rows
    )
    for name, error in sorted(observed.unreachable.items()):
        output.line(f"{name} is unreachable: {error}", style="red")
        if error.hint:
            output.line(f"  {error.hint}")
    for name, machine in sorted(observed.machines.items()):
        if machine.engine_error and name not in observed.unreachable:
            output.line(f"the containers on {name} are unknown: {machine.engine_error}", style="yellow")


def _by_hand(holding: Holding, machine: str) -> str:
    return "cordoned" if machine in holding.cordoned else ""


def _known_of(machine: ObservedMachine | None) -> list[str]:
    """What the scheduler knows of a machine that does not answer itself."""
    if machine is None:
        return ["", "", "", ""]
    metadata = ",".join(f"{key}={value}" for key, value in sorted(machine.metadata.items()))
    return [machine.private_ip, "", machine.machine_id[:8], metadata]


def _kits(machine: ObservedMachine) -> list[ObservedUnit]:
    return [unit for unit in machine.units if unit.project]


def _since(unit: ObservedUnit) -> str:
    """Say since when it is active, without systemd's day of the week."""
    return unit.since.partition(" ")[2].replace(" UTC", "Z") if unit.is_active else ""


def _unit_body(unit: ObservedUnit, held: Collection[UnitName]) -> Mapping[str, object]:
    return {
        "unit": unit.name,
        "machine": unit.machine,
        "load_state": unit.load_state,
        "active_state": unit.active_state,
        "sub_state": unit.sub_state,
        "restarts": unit.restarts,
        "since": unit.since,
        "service": unit.service,
        "held": unit.name in held,
    }


def _entries_body(entries: Registrations) -> list[Mapping[str, object]]:
    return [
        {
            "prefix": prefix,
            "key": entry.key,
            "value": entry.value,
            "ttl_left_s": entry.ttl_left_s,
            "ttl_granted_s": entry.ttl_granted_s,
        }
        for prefix, found in sorted(entries.items())
        for entry in found
    ]


def _entries_table(entries: Registrations, error: str) -> None:
    if error:
        output.line(f"registrations unknown: {error}", style="yellow")
        return
    rows = [[entry.key, entry.value, _left(entry)] for _, found in sorted(entries.items()) for entry in found]
    output.table(["registration", "value", "left"], rows)


def _left(entry: EtcdEntry) -> str:
    return "for ever" if entry.ttl_left_s is None else f"{entry.ttl_left_s:.0f} s"


def pool_body(pool: Pool) -> Mapping[str, object]:
    """Return a running pool as JSON's keys."""
    return {
        "balancer": pool.balancer,
        "unit": pool.unit,
        "machine": pool.machine,
        "servers": pool.servers,
        "error": pool.error,
    }
