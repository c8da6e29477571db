"""A command on a channel: when it ends, and who ends it."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from coreos_kit.adapters.ssh_channel import run_line_by_line, run_to_end


class Flood:
    """A channel whose command never stops printing, faster than it can be read."""

    eof_received = closed = False

    def __init__(self) -> None:
        self._pipe = os.pipe()
        self.lock = threading.Lock()
        self.reads = 0

    def __getattr__(self, name: str) -> object:
        return lambda *_: None  # settimeout, exec_command, _send_eof, close

    def fileno(self) -> int:
        return self._pipe[0]

    def recv_ready(self) -> bool:
        return True

    recv_stderr_ready = recv_ready

    def recv(self, _: int) -> bytes:
        self.reads += 1
        if self.reads > 1000:
            raise AssertionError("it reads on for ever")
        return b"once more\n"

    recv_stderr = recv

    def end(self) -> None:
        for end in self._pipe:
            os.close(end)


@pytest.fixture
def flood() -> Iterator[Flood]:
    channel = Flood()
    yield channel
    channel.end()


def test_a_stop_is_noticed_in_the_middle_of_a_flood(flood: Flood) -> None:
    stop = threading.Event()

    assert run_line_by_line(flood, "yes", b"", lambda _: stop.set(), stop) == 0  # type: ignore[arg-type]
    assert flood.reads < 5


def test_a_deadline_counts_in_the_middle_of_a_flood(flood: Flood) -> None:
    with pytest.raises(TimeoutError):
        run_to_end(flood, "yes", b"", 0.0)  # type: ignore[arg-type]


class LastWord(Flood):
    """A channel whose command says one word and ends well, and whose connection is gone when it is closed."""

    eof_received = True
    exit_status = 0

    def __init__(self) -> None:
        super().__init__()
        self.status_event = threading.Event()
        self.status_event.set()
        self._said = [b"done\n"]

    def recv_ready(self) -> bool:
        return bool(self._said)

    def recv_stderr_ready(self) -> bool:
        return False

    def recv(self, _: int) -> bytes:
        return self._said.pop()

    def close(self) -> None:
        raise EOFError


def test_a_command_that_ended_has_ended_though_the_connection_went_right_after_it() -> None:
    channel = LastWord()

    ended = run_to_end(channel, "true", b"", time.monotonic() + 5)  # type: ignore[arg-type]

    assert (ended.code, ended.stdout) == (0, b"done\n")
    channel.end()
