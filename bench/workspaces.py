"""render and link of a workspace with 10,000 instances."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.budgets import WORKSPACE
from bench.processes import MB, RUNS, Command, Ran
from bench.row import Figure, Row, Unit
from bench.startup import KIT

INSTANCES = 10_000
FIRST_PORT = 20_000
LIMIT_S = 2
LIMIT_MB = 150
_WRITTEN = ("templates", "static", "instances")


def measure() -> Iterator[Row]:
    """Render and link from nothing, five times; then once more, with everything there."""
    with tempfile.TemporaryDirectory(prefix="coreos-kit-bench-") as folder:
        workspace = Path(folder) / "web"
        Command([KIT, "init", str(workspace)]).run()
        _configure(workspace / "coreos-kit.toml")
        made = [_from_nothing(workspace) for _ in range(RUNS)]
        again = [_both(workspace) for _ in range(RUNS)]
        links = sum(1 for _ in (workspace / "instances").iterdir())
    yield Row(
        WORKSPACE.what,
        WORKSPACE.must,
        (
            Figure(
                "render + link, nothing there", Unit.SECONDS, tuple(both.seconds for both in made), LIMIT_S
            ),
            Figure("nothing there, CPU time", Unit.SECONDS, tuple(both.cpu_s for both in made)),
            Figure("again, all there", Unit.SECONDS, tuple(both.seconds for both in again), LIMIT_S),
            Figure("peak memory", Unit.MEGABYTES, tuple(b.peak_bytes / MB for b in made + again), LIMIT_MB),
        ),
        how=f"two whole processes, {links:,} links (instances and sidekicks)",
    )


def _configure(file: Path) -> None:
    ports = ", ".join(str(FIRST_PORT + number) for number in range(INSTANCES))
    text, count = re.subn(
        r"^instances = \[7777, 8888\]",
        f"instances = [{ports}]",
        file.read_text(),
        count=1,
        flags=re.MULTILINE,
    )
    if count != 1:
        raise RuntimeError(f"{file} has no instances to multiply")
    file.write_text(text)


def _from_nothing(workspace: Path) -> Ran:
    for folder in _WRITTEN:
        shutil.rmtree(workspace / folder, ignore_errors=True)
    return _both(workspace)


def _both(workspace: Path) -> Ran:
    ran = [Command([KIT, verb], workspace).run() for verb in ("render", "link")]
    return Ran(
        sum(run.seconds for run in ran), sum(run.cpu_s for run in ran), max(run.peak_bytes for run in ran)
    )
