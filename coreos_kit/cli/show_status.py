"""Status, machines and registrations, as tables and as JSON."""

from collections.abc import Mapping, Sequence

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.cluster import EtcdEntry, Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.project import Cluster
from coreos_kit.ops.status import Pool, Registrations, Status
from coreos_kit.ops.units import UnitsResult


def quiet(text: str) -> None:
    """Take progress that nobody needs to hear."""


def status(settings: Settings, cluster: Cluster, seen: Status, *, clear: bool) -> None:
    """Show the one screen."""
    if settings.json:
        output.print_json(
            "status",
            {
                "cluster": cluster.name,
                "machines": _machines_body(seen.observed),
                "units": [_unit_body(unit) for unit in seen.units],
                "missing": seen.missing,
                "registrations": _entries_body(seen.registrations),
                "etcd_error": seen.etcd_error,
                "pools": [pool_body(pool) for pool in seen.pools],
            },
        )
        return
    if clear:
        output.clear()
    _machines_table(seen.observed)
    output.line()
    rows: list[Sequence[object]] = [
        [
            unit.name,
            unit.machine or "-",
            f"{unit.active_state} ({unit.sub_state})" if unit.sub_state else unit.active_state,
            unit.restarts or "",
            _since(unit),
        ]
        for unit in seen.units
    ]
    rows += [[name, "-", "missing", "", ""] for name in seen.missing]
    output.table(["unit", "machine", "state", "restarts", "since"], rows)
    output.line()
    _entries_table(seen.registrations, seen.etcd_error)
    for pool in seen.pools:
        output.line()
        shown = ", ".join(pool.servers) or "empty" if pool.servers is not None else f"unknown: {pool.error}"
        output.line(f"pool of {pool.unit.stem} on {pool.machine}: {shown}")


def machines(settings: Settings, cluster: Cluster, observed: Observation) -> None:
    """Show the machines."""
    if settings.json:
        output.print_json("machines", {"cluster": cluster.name, "machines": _machines_body(observed)})
    else:
        _machines_table(observed)


def registrations(settings: Settings, cluster: Cluster, entries: Registrations, *, clear: bool) -> None:
    """Show the registrations."""
    if settings.json:
        output.print_json("registrations", {"cluster": cluster.name, "registrations": _entries_body(entries)})
        return
    if clear:
        output.clear()
    _entries_table(entries, "")


def units(settings: Settings, cluster: Cluster, result: UnitsResult) -> None:
    """Show what became of the units that were asked something."""
    if settings.json:
        body = [
            {
                "unit": o.name,
                "machine": o.machine,
                "active_state": o.active_state,
                "sub_state": o.sub_state,
                "result": o.result,
            }
            for o in result.outcomes
        ]
        output.print_json(result.verb, {"cluster": cluster.name, "units": body})
        return
    shown = dict.fromkeys(
        (o.name, o.machine, "destroyed" if result.verb == "destroy" else f"{o.active_state} ({o.sub_state})")
        for o in result.outcomes
    )
    output.table(["unit", "machine", "state"], shown)


def _machines_body(observed: Observation) -> list[Mapping[str, object]]:
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
        }
        for _, machine in sorted(observed.machines.items())
        if machine.name not in observed.unreachable
    ]
    silent = [
        {"name": name, "state": "unreachable", "error": str(error)}
        for name, error in sorted(observed.unreachable.items())
    ]
    return [*reached, *silent]


def _machines_table(observed: Observation) -> None:
    """One row a machine; what is wrong with one can be long, and stands in a line below."""
    rows: list[Sequence[object]] = [
        [
            machine.name, machine.private_ip, machine.public_ip, machine.machine_id[:8],
            ",".join(f"{key}={value}" for key, value in sorted(machine.metadata.items())),
            machine.etcd_state, len(_kits(machine)), machine.release,
        ]
        for _, machine in sorted(observed.machines.items())
        if machine.name not in observed.unreachable
    ]  # fmt: skip
    rows += [
        [name, *_known_of(observed.machines.get(name)), "", "", "unreachable"]
        for name in sorted(observed.unreachable)
    ]
    output.table(["machine", "private", "public", "id", "metadata", "etcd", "units", "system"], rows)
    for name, error in sorted(observed.unreachable.items()):
        output.line(f"{name} is unreachable: {error}", style="red")
        if error.hint:
            output.line(f"  {error.hint}")
    for name, machine in sorted(observed.machines.items()):
        if machine.engine_error and name not in observed.unreachable:
            output.line(f"the containers on {name} are unknown: {machine.engine_error}", style="yellow")


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


def _unit_body(unit: ObservedUnit) -> Mapping[str, object]:
    return {
        "unit": unit.name,
        "machine": unit.machine,
        "load_state": unit.load_state,
        "active_state": unit.active_state,
        "sub_state": unit.sub_state,
        "restarts": unit.restarts,
        "since": unit.since,
        "service": unit.service,
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
