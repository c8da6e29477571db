"""Hooks as real processes: their time, Ctrl-C, and what they leave running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coreos_kit.adapters.hooks import run_hook
from coreos_kit.errors import KitError, TimedOut
from coreos_kit.testing.servers import wait_until

pytestmark = pytest.mark.real


def hook(workspace: Path, script: str) -> Path:
    path = workspace / "hooks/pre-deploy"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run(program: Path, *, timeout_s: float = 30, **facts: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    return run_hook(program, facts, lines.append, timeout_s=timeout_s), lines


def is_running(pid: int) -> bool:
    """Tell whether there is such a process, and no zombie of it."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_it_has_the_users_environment_and_the_facts_and_its_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_USER", "mine")

    code, lines = run(hook(tmp_path, 'echo "$OF_THE_USER $A"; pwd -P; exit 3'), A="a fact")

    assert (code, lines) == (3, ["mine a fact", str(tmp_path.resolve())])


def test_it_can_be_asked_nothing(tmp_path: Path) -> None:
    assert run(hook(tmp_path, "read line || echo nobody"))[1] == ["nobody"]


def test_a_signal_counts_as_it_does_in_a_shell(tmp_path: Path) -> None:
    assert run(hook(tmp_path, "kill -TERM $$"))[0] == 128 + signal.SIGTERM


def test_megabytes_of_both_outputs_do_not_lock_up(tmp_path: Path) -> None:
    script = "yes out | head -c 3000000; yes err | head -c 3000000 >&2"

    code, lines = run(hook(tmp_path, script))

    assert (code, len(lines)) == (0, 1_500_000)


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    program = hook(tmp_path, "sleep 600 & echo $! > child; wait")

    with pytest.raises(TimedOut) as late:
        run(program, timeout_s=3)

    assert str(late.value) == "the hook pre-deploy did not come to its end within 3 s"
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child))  # nobody waits for a grandchild that was killed


def test_one_that_is_asked_to_end_may_clean_up(tmp_path: Path) -> None:
    program = hook(tmp_path, "trap 'echo clean > done; exit' TERM\necho on\nwhile :; do sleep 0.1; done")

    with pytest.raises(TimedOut):
        run(program, timeout_s=3)

    assert (tmp_path / "done").read_text() == "clean\n"


def test_one_that_closed_its_outputs_is_waited_for(tmp_path: Path) -> None:
    assert run(hook(tmp_path, "exec >&- 2>&-; sleep 0.5; exit 4"))[0] == 4


def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()

    code, lines = run(hook(tmp_path, "sleep 600 & echo $! > child; echo done"))

    child = int((tmp_path / "child").read_text())
    running = is_running(child)
    os.kill(child, signal.SIGTERM)
    assert (code, lines, running) == (0, ["done"], True)
    assert time.monotonic() - began < 60


def test_ctrl_c_ends_it_and_is_the_callers_to_hear(tmp_path: Path) -> None:
    program = hook(tmp_path, "echo $$ > child; exec sleep 600")
    source = (
        "import sys; from pathlib import Path; from coreos_kit.adapters.hooks import run_hook\n"
        "try: run_hook(Path(sys.argv[1]), {}, print, timeout_s=600)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    child = tmp_path / "child"
    with subprocess.Popen(
        [sys.executable, "-c", source, str(program)], stdout=subprocess.PIPE, text=True
    ) as caller:
        while not (child.exists() and child.read_text().strip()):
            time.sleep(0.05)
        caller.send_signal(signal.SIGINT)
        out, _ = caller.communicate(timeout=60)

    assert out == "interrupted\n"
    wait_until(lambda: not is_running(int(child.read_text())))


def test_one_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    program = hook(tmp_path, "")
    program.write_text("echo no interpreter\n")

    with pytest.raises(KitError) as refused:
        run(program)

    assert str(refused.value) == "the hook pre-deploy can't be started: Exec format error"
