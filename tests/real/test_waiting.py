"""The script that waits on a machine for its units, run here: how long it waits, and for what."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from coreos_kit.adapters.answers import read_answer
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.scripts import script

pytestmark = pytest.mark.real

# A clock that is set an hour ahead, and one that is set back, whenever the script takes a rest.
AHEAD = 'sleep() { SECONDS=$((SECONDS + 3600)); command sleep "$@"; }\n'
BACK = 'sleep() { SECONDS=$((SECONDS - 3600)); command sleep "$@"; }\n'


def backend(prelude: str, seconds: int, port: int) -> tuple[str, float]:
    """Wait for a port of loopback to take connections; return what was said of it, and the time it took."""
    started = time.monotonic()
    done = LocalRunner().run_script(
        prelude + script("wait"), [str(seconds), "1", f"tcp|127.0.0.1:{port}|/|1"], timeout_s=20
    )
    said = [line.word() for line in read_answer("core-1", done) if line.key == "backend"]
    return said[0], time.monotonic() - started


@pytest.mark.parametrize("prelude", ["", AHEAD, BACK])
def test_a_backend_that_comes_in_time_is_waited_for(prelude: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    with socket.socket() as late:
        late.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        late.bind(("127.0.0.1", port))
        threading.Timer(1, late.listen).start()

        assert backend(prelude, 10, port)[0] == "yes"


@pytest.mark.parametrize("prelude", ["", AHEAD, BACK])
def test_one_that_does_not_come_is_given_up_when_its_time_is_over(
    prelude: str, free_port: Callable[[], int]
) -> None:
    said, took_s = backend(prelude, 2, free_port())

    assert said == "no"
    assert 1 <= took_s < 8
