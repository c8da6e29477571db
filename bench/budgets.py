"""The rows of the budgets in their order: what is promised, and what the guide's own files did.

The guide's figures were measured by hand with its own files, real fleet and confd 0.16.0, on such a lab.
"""

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """Rows that are measured together; `--only` names them."""

    STARTUP = "startup"
    WORKSPACE = "workspace"
    PLANNING = "planning"
    LOOKING = "looking"
    WIDE = "wide"
    FOLLOWING = "following"
    LEAVING = "leaving"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True)
class Budget:
    """A line of the table."""

    group: Group
    what: str
    must: str
    guide: str = ""


STARTUP = Budget(
    Group.STARTUP,
    "`coreos-kit --help`, `--version`, completion",
    "≤ 150 ms and ≤ 2.5 × `python -c 'import typer'`; imports neither fabric, paramiko, grpc nor jinja2",
)
WORKSPACE = Budget(Group.WORKSPACE, "render + link of 10,000 instances", "≤ 2 s; memory ≤ 150 MB")
PLANNING = Budget(Group.PLANNING, "plan for 1,000 machines × 10,000 units", "≤ 2 s, in memory")
STATUS = Budget(
    Group.LOOKING, "`status` on the lab", "≤ 2.5 × one plain `ssh` per machine in parallel on the lab"
)
STATUS_WIDE = Budget(
    Group.WIDE, "`status` from 20 machines on", "≤ 1 × one plain `ssh` per machine in parallel"
)
NOTHING_TO_DO = Budget(Group.LOOKING, "`deploy` with nothing to do, lab", "≤ 2 s")
FIRST_REQUEST = Budget(
    Group.FOLLOWING,
    "first registration → request served through the balancer (watcher kit)",
    "≤ 1 s at p95",
    "up to 10 s (confd polls)",
)
FIRST_REGISTRATION = Budget(
    Group.FOLLOWING,
    "start → first registration",
    "",
    "up to 20 s: the sidekick's first check runs before Apache listens, then it sleeps 20 s",
)
KILLED = Budget(
    Group.LEAVING,
    "killed backend → out of the pool",
    "≤ renew_s + 1 s; no failed retryable request meanwhile",
    "up to 50 s (20 s check, 30 s TTL, 10 s poll)",
)
GONE = Budget(Group.LEAVING, "machine gone → out of the pool", "≤ ttl_s + 1 s")
GONE_LEADER = Budget(Group.LEAVING, "machine that led etcd gone → out of the pool", "≤ ttl_s + 5 s")
STOP = Budget(
    Group.FOLLOWING,
    "`docker stop` of a backend",
    "",
    "10 s, then SIGKILL: its command is a script, PID 1 in the container, that ignores SIGTERM",
)
ROLLING = Budget(
    Group.ROLLING,
    "rolling deploy under constant load, keep-alive clients that don't retry included",
    "0 failed requests",
    "each reload of Nginx: about 1 in 1,000 requests of keep-alive clients without retry lost",
)

BUDGETS = (
    STARTUP, WORKSPACE, STATUS, STATUS_WIDE, NOTHING_TO_DO, FIRST_REQUEST, KILLED, GONE, GONE_LEADER, ROLLING,
    PLANNING, FIRST_REGISTRATION, STOP,
)  # fmt: skip
