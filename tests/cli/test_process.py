"""What shows only in a process of its own: imports, pipes, signals."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("fabric", "paramiko", "grpc", "etcd3", "jinja2", "rich", "msgspec", "tomlkit", "cryptography")
PROGRAM = f"""
import sys
from coreos_kit.cli.main import main
try:
    main()
finally:
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    print("heavy:", *heavy, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["deploy", "--help"], ["lab", "up", "-h"], ["nosuch"]]
)
def test_help_and_version_load_nothing_heavy(args: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == "heavy:"


def test_completion_loads_nothing_heavy() -> None:
    environment = os.environ | {
        "_COREOS_KIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "coreos-kit sta",
        "COMP_CWORD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False
    )

    assert done.stdout.split() == ["status", "start"]
    assert done.stderr.splitlines()[-1] == "heavy:"


def test_a_piped_table_loads_no_rich(example: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "--project",
            str(example),
            "--cluster",
            "production",
            "image",
            "list",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("IMAGE ")
    assert "rich" not in done.stderr


def test_looking_at_a_cluster_loads_no_jinja2(example: Path, tmp_path: Path) -> None:
    """Nobody answers there; by then everything has been loaded."""
    workspace = tmp_path / "web"
    shutil.copytree(example, workspace, symlinks=True)
    file = workspace / "coreos-kit.toml"
    file.write_text(re.sub(r'"core@198\.51\.100\.(\d+)"', r'"core@127.0.0.\1:9"', file.read_text()))
    args = ["--project", str(workspace), "--cluster", "production", "status"]

    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=False)

    assert "paramiko" in done.stderr.splitlines()[-1]
    assert "jinja2" not in done.stderr.splitlines()[-1]


def test_a_closed_pipe_is_silent() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "coreos_kit", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("args", [["lint"], ["render", "--check", "--json"]])
def test_a_pipe_that_closes_under_a_command_is_silent(example: Path, args: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "coreos_kit", "--project", str(example), *args],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_stdout_that_is_not_there_is_no_reason_to_fail(example: Path) -> None:
    command = f"'{sys.executable}' -m coreos_kit --project '{example}' --cluster production image list >&-"

    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_is_130_without_a_traceback(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, a CI job that is cancelled, a terminal that is gone.

    A configuration that never comes to an end holds the command up until the signal.
    """
    os.mkfifo(tmp_path / "coreos-kit.toml")
    with subprocess.Popen(
        [sys.executable, "-m", "coreos_kit", "--project", str(tmp_path), "status"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # These tests may run under nohup themselves.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as running:
        try:
            writer = _opened_by_reader(tmp_path / "coreos-kit.toml")
            _wait_until_it_sleeps(running.pid)
            running.send_signal(number)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    os.close(writer)

    assert (running.returncode, out, err) == (130, "", "error: interrupted\n")


def _opened_by_reader(fifo: Path) -> int:
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads the configuration"
            time.sleep(0.02)


def _wait_until_it_sleeps(pid: int) -> None:
    """Wait until a process has been in one and the same sleep for 0.3 s.

    A signal between the last look for signals and the call that blocks is seen when that call returns,
    here never (signal(7); the race that pselect(2) was made for).
    """
    deadline = time.monotonic() + 60
    seen, since = "", time.monotonic()
    while time.monotonic() < since + 0.3:
        assert time.monotonic() < deadline, f"process {pid} doesn't come to rest"
        status = Path(f"/proc/{pid}/status").read_text()
        now = "\n".join(
            line for line in status.splitlines() if "ctxt_switches" in line or "State:\tR" in line
        )
        if now != seen or "State:" in now:
            seen, since = now, time.monotonic()
        time.sleep(0.02)


def test_colour_is_for_terminals_that_want_it(example: Path) -> None:
    assert "\x1b[" in _on_a_terminal(example, {"TERM": "xterm"})
    assert "\x1b[" not in _on_a_terminal(example, {"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[" not in _on_a_terminal(example, {"TERM": "dumb"})


def _on_a_terminal(workspace: Path, environment: dict[str, str]) -> str:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "coreos_kit",
            "--project",
            str(workspace),
            "--cluster",
            "production",
            "image",
            "list",
        ],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "nginx_lb" in shown
    return shown
