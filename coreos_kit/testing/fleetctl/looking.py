"""The commands of fleetctl that look at a cluster and change nothing."""

from collections.abc import Mapping, Sequence

from coreos_kit.testing.fleetctl import lists
from coreos_kit.testing.fleetctl.members import INACTIVE
from coreos_kit.testing.fleetctl.session import Failed, Session, mangled
from coreos_kit.testing.fleetctl.tables import table

_UNITS_FAILED = "Error retrieving list of units from repository: {}"
_MACHINES_FAILED = (
    "Error retrieving list of active machines from fleet API ({})\nPossible issues:\n"
    "  etcd is unhealthy and/or lost quorum\n  connection cannot be established to any etcd servers"
)
_NO_AGENT = (
    "Unable to SSH to remote host: SSH_AUTH_SOCK environment variable is not set. "
    "Verify ssh-agent is running. See "
    "https://github.com/coreos/fleet/blob/master/Documentation/using-the-client.md for help."
)


def list_machines(session: Session) -> int:
    """Print the machines that the cluster takes for alive."""
    columns = _columns(session, lists.MACHINES)
    with session.registry("machines", _MACHINES_FAILED) as cluster:
        return _list(session, columns, lists.machine_rows(cluster, columns, full=session.asked.is_full))


def list_units(session: Session) -> int:
    """Print what the agents last published of units."""
    columns = _columns(session, lists.UNITS)
    with session.registry("state", _UNITS_FAILED) as cluster:
        return _list(session, columns, lists.unit_rows(cluster, columns, full=session.asked.is_full))


def list_unit_files(session: Session) -> int:
    """Print the units of the registry."""
    columns = _columns(session, lists.FILES)
    with session.registry("units", _UNITS_FAILED) as cluster:
        return _list(session, columns, lists.file_rows(cluster, columns, full=session.asked.is_full))


def _columns(session: Session, known: Mapping[str, object]) -> list[str]:
    if not session.asked.fields:
        raise Failed("Must define output format")
    columns = session.asked.fields.split(",")
    for column in columns:
        if column not in known:
            raise Failed(f'Invalid key in output format: "{column}"')
        if column == "tmachine":
            session.complain('WARNING: The "tmachine" field is deprecated. Use "target" instead')
    return columns


def _list(session: Session, columns: Sequence[str], rows: list[list[str]]) -> int:
    legend = [] if session.has("no-legend") else [[column.upper() for column in columns]]
    session.out.write(table([*legend, *rows]))
    return 0


def cat(session: Session) -> int:
    """Print a unit's text as fleet has it."""
    if len(session.asked.args) != 1:
        raise Failed("One unit file must be provided")
    name = mangled(session.asked.args[0])
    job = session.unit(name, f"Error retrieving Unit {name}: {{}}")
    if job is None:
        raise Failed(f"Unit {name} not found")
    session.out.write(job.text)
    return 0


def status(session: Session) -> int:
    """Refuse to show a unit, one way or another."""
    for name in map(mangled, session.asked.args):
        if session.unit(name, "Error retrieving unit: {}") is None:
            raise Failed(f"Unit {name} does not exist.")
        if session.state_of(name) == INACTIVE:
            raise Failed(f"Unit {name} does not appear to be loaded.")
        return _over_ssh(session)
    return 0


def journal(session: Session) -> int:
    """Refuse to show a unit's journal, one way or another."""
    if len(session.asked.args) != 1:
        raise Failed("One unit file must be provided.")
    name = mangled(session.asked.args[0])
    job = session.unit(name, f"Error retrieving unit {name}: {{}}")
    if job is None:
        raise Failed(f"Unit {name} does not exist.")
    if job.is_global:
        raise Failed(f"Unable to retrieve journal of global unit {name}.")
    if session.state_of(name) == INACTIVE:
        raise Failed(f"Unit {name} does not appear to be running.")
    return _over_ssh(session)


def _over_ssh(session: Session) -> int:
    """Fail as fleetctl does without an agent; (a unit of its own machine it would show)."""
    session.complain(_NO_AGENT)
    return 255
