"""One machine misbehaves among many: the others are seen, and it costs no more than its own timeout."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import CommandFailed, KitError, Unreachable
from coreos_kit.parallel import on_each
from coreos_kit.ports import Completed
from coreos_kit.testing.servers import SSHD, Sshd, running_sshd

pytestmark = pytest.mark.real

CONNECT_S = 8  # twenty logins at once on a busy machine take seconds, and none of them hangs


@pytest.fixture
def server() -> Iterator[Sshd]:
    if not Path(SSHD).exists():
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with running_sshd(settings=["MaxStartups 100"]) as running:
        yield running


def test_a_sshd_that_accepts_and_then_hangs_among_twenty_holds_up_none_of_the_others(server: Sshd) -> None:
    known_hosts = server.known_hosts()
    took: dict[str, float] = {}
    with ExitStack() as stack:
        hanging = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        entries = [server.entry(f"web{number}", known_hosts) for number in range(1, 21)]
        lame = entries[6]
        entries[6] = type(lame)(
            lame.name,
            f"root@127.0.0.1:{hanging.getsockname()[1]}",
            identity_file=lame.identity_file,
            known_hosts_file=lame.known_hosts_file,
        )
        machines = stack.enter_context(open_machines(entries, connect_timeout_s=CONNECT_S))
        started = time.monotonic()

        def look(name: str) -> Completed:
            try:
                return machines.runner(name).run(["hostname"])
            finally:
                took[name] = time.monotonic() - started

        answers = on_each([entry.name for entry in entries], look)

    silent = {name: answer for name, answer in answers.items() if isinstance(answer, KitError)}
    assert list(silent) == ["web7"]
    assert isinstance(silent["web7"], Unreachable)
    assert "something answers there, but not as an SSH server in time" in str(silent["web7"])
    # Their own speed: whatever twenty logins cost on this machine, none waited for the one that hangs.
    assert max(took, key=lambda name: took[name]) == "web7" or took["web7"] < 2 * CONNECT_S
    assert took["web7"] < CONNECT_S + 10


def test_a_command_that_prints_without_end_is_stopped_and_the_connection_goes_on(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")

        with pytest.raises(CommandFailed, match="on web1 prints more than 64 MB"):
            runner.run(["cat", "/dev/zero"], timeout_s=120)

        assert runner.run(["echo", "here"]).text == "here\n"


def test_a_line_without_end_is_handed_on_in_bounded_pieces(server: Sshd) -> None:
    pieces: list[int] = []
    with open_machines([server.entry()]) as machines:
        code = machines.runner("web1").stream(
            ["head", "-c", "20000000", "/dev/zero"], lambda line: pieces.append(len(line)), stop=Event()
        )

    assert code == 0
    assert sum(pieces) == 20_000_000
    assert max(pieces) < 2_000_000
