"""How long it takes until the command line answers, and what it loads for that."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.budgets import STARTUP
from bench.processes import Command, beside
from bench.row import Figure, Row, Unit

KIT = str(Path(sys.executable).with_name("coreos-kit"))
COMPLETION = {"_COREOS_KIT_COMPLETE": "complete_bash", "COMP_WORDS": "coreos-kit sta", "COMP_CWORD": "1"}
HEAVY = ("fabric", "paramiko", "grpc", "jinja2")
LIMIT_MS = 150
LIMIT_RATIO = 2.5
_LOADED = f"""
import sys
from coreos_kit.cli.main import main
try:
    main()
except SystemExit:
    pass
print(sum(name in sys.modules for name in {HEAVY!r}), file=sys.stderr)
"""


def measure() -> Iterator[Row]:
    """Time each of the three beside the import of typer alone."""
    peer = Command([sys.executable, "-c", "import typer"])
    ways = {
        "--help": Command([KIT, "--help"]),
        "--version": Command([KIT, "--version"]),
        "completion": Command([KIT], environment=COMPLETION),
    }
    figures: list[Figure] = []
    for name, command in ways.items():
        ran, ratios = beside(command, peer)
        figures += [
            Figure(name, Unit.MILLISECONDS, tuple(run.seconds * 1000 for run in ran), LIMIT_MS),
            Figure(f"{name}, CPU time", Unit.MILLISECONDS, tuple(run.cpu_s * 1000 for run in ran)),
            Figure(f"{name}, beside `import typer`", Unit.TIMES, tuple(ratios), LIMIT_RATIO),
        ]
    loaded = tuple(float(_loaded(argument)) for argument in ("--help", "--version"))
    figures.append(Figure("heavy modules loaded", Unit.COUNT, loaded, 0))
    yield Row(
        STARTUP.what, STARTUP.must, tuple(figures), how="whole processes, in turn with the peer, warm caches"
    )


def _loaded(argument: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, argument], capture_output=True, text=True, check=True
    )
    return int(done.stderr.split()[-1])
