"""What looking at a cluster costs, beside one plain ssh a machine; and a deploy that finds nothing to do."""

import shlex
from collections.abc import Iterator

from bench.budgets import NOTHING_TO_DO, STATUS, STATUS_WIDE, Budget
from bench.processes import Command, beside, repeated
from bench.row import Figure, Row, Unit
from bench.site import Site
from bench.startup import KIT
from coreos_kit.model.lab import Lab

LIMIT_RATIO = 2.5
WIDE_RATIO = 1
WIDE_MACHINES = 20
NOTHING_LIMIT_S = 2


def measure(site: Site) -> Iterator[Row]:
    """Time `status` beside ssh, and `deploy` with nothing to do."""
    yield _status(site, STATUS, LIMIT_RATIO)
    ran = repeated(Command([KIT, "--project", str(site.workspace), "deploy", "--yes"]))
    yield Row(
        NOTHING_TO_DO.what,
        NOTHING_TO_DO.must,
        (
            Figure("whole process", Unit.SECONDS, tuple(run.seconds for run in ran), NOTHING_LIMIT_S),
            Figure("CPU time", Unit.SECONDS, tuple(run.cpu_s for run in ran)),
        ),
        how=f"{len(site.lab.machines)} machines; every link verified at its end",
    )


def measure_wide(site: Site) -> Iterator[Row]:
    """Time `status` beside ssh where there are many machines."""
    yield _status(site, STATUS_WIDE, WIDE_RATIO)


def _status(site: Site, budget: Budget, limit: float) -> Row:
    ran, ratios = beside(
        Command([KIT, "--project", str(site.workspace), "status"]),
        Command(["sh", "-c", ssh_to_each(site.lab)]),
    )
    return Row(
        budget.what,
        budget.must,
        (
            Figure("status", Unit.SECONDS, tuple(run.seconds for run in ran)),
            Figure("status, CPU time", Unit.SECONDS, tuple(run.cpu_s for run in ran)),
            Figure("beside ssh", Unit.TIMES, tuple(ratios), limit),
        ),
        how=f"{len(site.lab.machines)} machines; the peer is `ssh MACHINE true`, all at once",
    )


def ssh_to_each(lab: Lab) -> str:
    """Return a shell's line that runs nothing on every machine at once, over new connections."""
    options = [
        *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(lab.identity_file)),
        *("-o", f"UserKnownHostsFile={lab.known_hosts_file}"),
    ]
    calls = [
        shlex.join(["ssh", *options, f"{lab.user}@{machine.private_ip}", "true"]) for machine in lab.machines
    ]
    return f"{' & '.join(calls)} & wait"
