"""The script that holds sidekicks out and lets them in, run here beside a systemctl of a few lines."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coreos_kit.adapters.answers import read_answer
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.scripts import script
from coreos_kit.testing.servers import wait_until

pytestmark = pytest.mark.real

SIDEKICK = "web-discovery@7777.service"
LOOP = "while :; do sleep 0.1; done"


@contextmanager
def sidekick(text: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/bash", "-c", f"{text}; {LOOP}"]) as process:
        try:
            yield process
        finally:
            process.kill()


def signalled(process: subprocess.Popen[bytes], name: str) -> list[str]:
    """Send the signal to a sidekick that systemd has as active; return who is said to have got it."""
    systemctl = (
        "systemctl() {\n"
        "  case $1 in\n"
        f'    show) echo "MainPID={process.pid}" ;;\n'
        f'    kill) kill -s "$signal" {process.pid} ;;\n'
        "  esac\n"
        "}\n"
    )
    done = LocalRunner().run_script(systemctl + script("signal"), [name, "1", SIDEKICK], timeout_s=60)
    return [line.word() for line in read_answer("core-1", done) if line.key == "signalled"]


@pytest.mark.parametrize("name", ["USR1", "USR2"])
def test_a_sidekick_that_is_about_to_start_is_not_killed_and_hears_it(tmp_path: Path, name: str) -> None:
    """To systemd it is active as soon as there is a process, and until its trap is set a signal ends it."""
    heard = tmp_path / "heard"
    with sidekick(f"sleep 1; trap 'echo {name} > {heard}' {name}") as process:
        told = signalled(process, name)
        wait_until(heard.exists)

        assert process.poll() is None
    assert told == [SIDEKICK]


def test_one_that_heeds_no_signal_is_left_alone(tmp_path: Path) -> None:
    with sidekick(":") as process:
        told = signalled(process, "USR1")

        assert process.poll() is None
    assert told == []
    assert process.returncode == -signal.SIGKILL
