"""Whole processes, timed from outside: from the start of a command to its end, start-up included."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 5
KIB = 1024
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command."""

    seconds: float
    cpu_s: float  # user and system: what the wall clock would show on a machine that does nothing else
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and where."""

    argv: Sequence[str]
    folder: Path | None = None
    environment: Mapping[str, str] | None = None  # beside this process's own

    def run(self) -> Ran:
        """Run it to its end; raises `RuntimeError`, with what it said, where that is not a good one."""
        environment = os.environ | dict(self.environment or {})
        started = time.perf_counter()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                self.argv,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                said.seek(0)
                command, text = " ".join(self.argv)[:200], said.read().decode(errors="replace")
                raise RuntimeError(f"{command} ended with {process.returncode}: {text}")
        return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB)


def repeated(command: Command, runs: int = RUNS) -> list[Ran]:
    """Run a command once for nothing, then `runs` times."""
    command.run()
    return [command.run() for _ in range(runs)]


def beside(command: Command, peer: Command, runs: int = RUNS) -> tuple[list[Ran], list[float]]:
    """Run a command and its peer in turn; return its runs, and each run's seconds over its peer's.

    In pairs, so that a machine whose speed drifts does not move the ratio.
    """
    command.run()
    peer.run()
    ran, ratios = [], []
    for _ in range(runs):
        own, other = command.run(), peer.run()
        ran.append(own)
        ratios.append(own.seconds / other.seconds)
    return ran, ratios
