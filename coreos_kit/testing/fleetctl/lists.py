"""The columns of list-machines, list-units and list-unit-files."""

from collections.abc import Callable, Mapping, Sequence

from coreos_kit.testing.fleetctl.cluster import FleetCluster
from coreos_kit.testing.fleetctl.members import Job, Member, Published
from coreos_kit.units.unit_file import UnitFile

SHORT_HASH = 7

MachineColumn = Callable[[Member, bool], str]
UnitColumn = Callable[[FleetCluster, str, Member, Published, bool], str]
FileColumn = Callable[[FleetCluster, Job, bool], str]

MACHINES: Mapping[str, MachineColumn] = {
    "machine": lambda member, full: _id(member.id, full=full),
    "ip": lambda member, _: member.ip or "-",
    "metadata": lambda member, _: _metadata(member.metadata),
}

UNITS: Mapping[str, UnitColumn] = {
    "unit": lambda _cluster, name, _member, _state, _full: name,
    "load": lambda _cluster, _name, _member, _state, _full: "loaded",
    "active": lambda _cluster, _name, _member, state, _full: state.active,
    "sub": lambda _cluster, _name, _member, state, _full: state.sub,
    "machine": lambda cluster, _name, member, _state, full: legend(cluster, member.id, full=full),
    "hash": lambda _cluster, _name, _member, state, full: state.hash if full else state.hash[:SHORT_HASH],
}

FILES: Mapping[str, FileColumn] = {
    "unit": lambda _cluster, job, _full: job.name,
    "global": lambda _cluster, job, _full: "true" if job.is_global else "false",
    "dstate": lambda _cluster, job, _full: job.desired,
    "target": lambda cluster, job, full: _target(cluster, job, full=full),
    "tmachine": lambda cluster, job, full: _target(cluster, job, full=full),
    "state": lambda cluster, job, _full: cluster.state_of(job) or "-",
    "hash": lambda _cluster, job, full: job.hash if full else job.hash[:SHORT_HASH],
    "desc": lambda _cluster, job, _full: _description(job.text),
}


def machine_rows(cluster: FleetCluster, columns: Sequence[str], *, full: bool) -> list[list[str]]:
    """Return a row for each machine that the cluster takes for alive."""
    return [[MACHINES[column](member, full) for column in columns] for member in cluster.listed]


def unit_rows(cluster: FleetCluster, columns: Sequence[str], *, full: bool) -> list[list[str]]:
    """Return a row for each unit and machine of which a state was published."""
    states = sorted(
        (
            (name, member.id, member, state)
            for member in cluster.members
            for name, state in member.published.items()
        ),
        key=lambda entry: entry[:2],
    )
    return [
        [UNITS[column](cluster, name, member, state, full) for column in columns]
        for name, _, member, state in states
    ]


def file_rows(cluster: FleetCluster, columns: Sequence[str], *, full: bool) -> list[list[str]]:
    """Return a row for each unit of the registry."""
    return [
        [FILES[column](cluster, job, full) for column in columns] for _, job in sorted(cluster.jobs.items())
    ]


def legend(cluster: FleetCluster, machine_id: str, *, full: bool) -> str:
    """Return a machine as fleetctl prints it beside a unit: its id, and its address where it is alive."""
    ip = next((member.ip for member in cluster.listed if member.id == machine_id), "")
    return f"{_id(machine_id, full=full)}/{ip}" if ip else _id(machine_id, full=full)


def _id(machine_id: str, *, full: bool) -> str:
    return machine_id if full else f"{machine_id[:8]}..."


def _metadata(metadata: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(metadata.items())) or "-"


def _target(cluster: FleetCluster, job: Job, *, full: bool) -> str:
    if job.is_global:
        return "global"
    return legend(cluster, job.target, full=full) if job.target else "-"


def _description(text: str) -> str:
    return UnitFile.parse(text).value("Unit", "Description") or "-"
