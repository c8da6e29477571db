"""Ways to a machine and what stands in them: real sshds, gateways, agents, servers that misbehave."""

import contextlib
import getpass
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import CommandFailed, KitError, Unreachable
from coreos_kit.model.project import MachineEntry
from coreos_kit.parallel import on_each
from coreos_kit.testing.servers import SSHD, Sshd, free_port, make_key, running_sshd, wait_until

pytestmark = pytest.mark.real

USER = getpass.getuser()


@pytest.fixture
def server() -> Iterator[Sshd]:
    if not Path(SSHD).exists():
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with running_sshd() as running:
        yield running


@pytest.fixture
def gateway() -> Iterator[Sshd]:
    with running_sshd() as running:
        yield running


def config_of(server: Sshd, *lines: str) -> Path:
    path = server.folder / "ssh_config"
    path.write_text("\n".join([*lines, "IdentitiesOnly yes", f"IdentityFile {server.identity}", ""]))
    return path


def logins(server: Sshd) -> int:
    return server.log.count("Accepted publickey")


def failure(
    entry: MachineEntry, *, connect_timeout_s: float = 5, config_file: Path | None = None
) -> KitError:
    with open_machines([entry], connect_timeout_s=connect_timeout_s, config_file=config_file) as machines:
        with pytest.raises(KitError) as caught:
            machines.runner(entry.name).run(["true"])
    return caught.value


# One connection


def test_all_commands_share_one_connection(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        on_each(range(10), lambda number: machines.runner("web1").run(["echo", str(number)]))

    assert logins(server) == 1


def test_nothing_is_connected_before_it_is_needed(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        machines.runner("web1")

    assert "Connection from" not in server.log
    assert logins(server) == 0


def test_a_connection_that_died_is_opened_again(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        session = int(runner.run(["sh", "-c", "echo $PPID"]).text)
        os.kill(session, signal.SIGKILL)

        assert runner.run(["echo", "again"]).text == "again\n"

    assert logins(server) == 2


def test_a_command_that_was_cut_off_is_not_tried_twice(server: Sshd) -> None:
    traces = server.folder / "traces"
    with open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        session = int(runner.run(["sh", "-c", "echo $PPID"]).text)

        def cut_off() -> None:
            wait_until(lambda: traces.exists() and traces.read_text() != "")
            os.kill(session, signal.SIGKILL)

        cutting = threading.Thread(target=cut_off)
        cutting.start()
        with pytest.raises(Unreachable, match="was lost while") as caught:
            runner.run_script('echo x >> "$1"; sleep 20', [str(traces)])
        cutting.join()

    assert traces.read_text() == "x\n"
    assert caught.value.hint == "Whether it came to its end is not known."


def test_a_machine_that_comes_back_is_reached_again(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        runner.run(["true"])
        server.stop()
        with pytest.raises(Unreachable, match="connection refused"):
            runner.run(["true"])
        server.start()

        assert runner.run(["echo", "back"]).text == "back\n"


def test_more_commands_than_sshd_has_sessions_wait_for_each_other() -> None:
    with running_sshd(settings=["MaxSessions 2"]) as narrow, open_machines([narrow.entry()]) as machines:
        runner = machines.runner("web1")

        answers = on_each(range(12), lambda number: runner.run(["echo", str(number)]).text)

    assert answers == {number: f"{number}\n" for number in range(12)}


def test_a_command_killed_by_a_signal_says_so(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        with pytest.raises(CommandFailed, match="was killed by a signal on web1"):
            machines.runner("web1").run(["sh", "-c", "kill -9 $$"])


def test_the_agent_is_never_forwarded(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        done = machines.runner("web1").run(["sh", "-c", "echo [$SSH_AUTH_SOCK]"])

    assert done.text == "[]\n"


def test_interactive_gives_the_commands_own_code(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        assert machines.runner("web1").interactive(["sh", "-c", "exit 7"]) == 7


# What stands in the way


def test_a_refused_connection_is_named(server: Sshd) -> None:
    server.stop()

    error = failure(server.entry())

    assert str(error) == f"web1 (127.0.0.1:{server.port}) can't be reached: connection refused"
    assert error.hint == f"Is sshd running there, and is {server.port} its port?"
    assert error.exit_code == 4


def test_an_unknown_name_is_named(server: Sshd) -> None:
    entry = MachineEntry(
        "web1", "core@no-such-host.invalid", identity_file="/dev/null", known_hosts_file="/dev/null"
    )

    assert "its name is not known" in str(failure(entry))


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-Silent\r\n"])
def test_a_server_that_says_nothing_costs_the_connect_timeout(
    server: Sshd, greeting: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held: list[socket.socket] = []
        threading.Thread(target=_hold, args=(silent, greeting, held), daemon=True).start()
        entry = MachineEntry(
            "web1", f"{USER}@127.0.0.1:{silent.getsockname()[1]}",
            identity_file=str(server.identity), known_hosts_file=server.known_hosts(),
        )  # fmt: skip
        started = time.monotonic()

        error = failure(entry, connect_timeout_s=0.6)

        assert time.monotonic() - started < 3
        for connection in held:
            connection.close()
    assert "can't be reached: something answers there, but not as an SSH server in time" in str(error)
    assert capfd.readouterr().err == ""


def _hold(server: socket.socket, greeting: bytes, held: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        connection, _ = server.accept()
        connection.sendall(greeting)
        held.append(connection)


def test_something_that_is_not_ssh_is_named(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:
        threading.Thread(target=_hang_up, args=(web,), daemon=True).start()
        entry = MachineEntry(
            "web1", f"{USER}@127.0.0.1:{web.getsockname()[1]}",
            identity_file=str(server.identity), known_hosts_file=server.known_hosts(),
        )  # fmt: skip

        error = failure(entry)

    assert "not as an SSH server" in str(error)


def _hang_up(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.recv(1024)  # what is not read makes of the end a reset, which may overtake the answer
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
    connection.close()


def test_a_refused_login_says_what_was_tried(server: Sshd) -> None:
    stranger = make_key(server.folder / "stranger")

    error = failure(server.entry(identity_file=str(stranger)))

    assert f"login as {USER} refused (tried {stranger})" in str(error)
    assert "ssh-add" in error.hint


def test_a_key_with_a_passphrase_says_so(server: Sshd) -> None:
    locked = make_key(server.folder / "locked", passphrase="secret")

    error = failure(server.entry(identity_file=str(locked)))

    assert f"{locked}: needs a passphrase, and no agent has it" in str(error)


def test_a_machine_that_is_down_costs_only_its_own_time(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # A listener with a full queue is a machine that never answers.
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(full.getsockname())
        known = server.known_hosts()
        down = MachineEntry(
            "down", f"{USER}@127.0.0.1:{full.getsockname()[1]}",
            identity_file=str(server.identity), known_hosts_file=known,
        )  # fmt: skip
        entries = [server.entry(f"web{number}", known) for number in range(5)]
        took: dict[str, float] = {}
        started = time.monotonic()

        with open_machines([*entries, down], connect_timeout_s=5) as machines:

            def ask(name: str) -> str:
                try:
                    return machines.runner(name).run(["echo", "hello"]).text
                finally:
                    took[name] = time.monotonic() - started

            results = on_each(machines.names, ask)

        for filler in fillers:
            filler.close()
    assert isinstance(results["down"], Unreachable)
    assert "timed out" in str(results["down"])
    assert [name for name, result in results.items() if result != "hello\n"] == ["down"]
    assert max(took, key=lambda name: took[name]) == "down"
    assert took["down"] < 5 + 4


# ssh_config


def test_an_alias_and_an_include_of_ssh_config_count(server: Sshd) -> None:
    included = server.folder / "included"
    included.write_text(
        f"Host web\n HostName 127.0.0.1\n Port {server.port}\n UserKnownHostsFile {server.known_hosts()}\n"
    )
    config = config_of(server, f"Include {included}", "Host *")

    with open_machines([MachineEntry("web1", "web")], config_file=config) as machines:
        assert machines.runner("web1").run(["echo", "hello"]).text == "hello\n"
        assert machines.runner("web1").interactive(["true"]) == 0


def test_a_proxy_command_is_run_by_a_shell_with_its_tokens(server: Sshd) -> None:
    relay = f"{server.folder}/relay.py"
    Path(relay).write_text(
        "import os, select, socket, sys\n"
        "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for ready in select.select([0, peer], [], [])[0]:\n"
        "        data = os.read(0, 65536) if ready == 0 else peer.recv(65536)\n"
        "        if not data: sys.exit()\n"
        "        peer.sendall(data) if ready == 0 else os.write(1, data)\n"
    )
    config = config_of(
        server, "Host web", " HostName 127.0.0.1", f" Port {server.port}",
        f" UserKnownHostsFile {server.known_hosts()}", f" ProxyCommand python3 {relay} %h %p 2>&2", "Host *",
    )  # fmt: skip

    with open_machines([MachineEntry("web1", "web")], config_file=config) as machines:
        data = os.urandom(1_000_000)
        assert machines.runner("web1").run(["cat"], stdin=data).stdout == data


def test_a_proxy_command_that_fails_is_heard(server: Sshd) -> None:
    config = config_of(
        server, "Host web", " HostName 127.0.0.1", " ProxyCommand echo no way >&2; exit 1", "Host *"
    )
    started = time.monotonic()

    error = failure(MachineEntry("web1", "web"), config_file=config)

    assert error.details == ("ProxyCommand: no way",)
    assert time.monotonic() - started < 4


def test_ten_machines_behind_one_gateway_open_it_once(server: Sshd, gateway: Sshd) -> None:
    gateway.stop()
    Path(f"{gateway.identity}.pub").write_text(Path(f"{server.identity}.pub").read_text())
    gateway.start()
    known = server.known_hosts(f"{server.name} {server.host_key()}", f"{gateway.name} {gateway.host_key()}")
    config = config_of(
        server, "Host gate", " HostName 127.0.0.1", f" Port {gateway.port}",
        "Host web*", " HostName 127.0.0.1", f" Port {server.port}", " ProxyJump gate",
        "Host *", f" UserKnownHostsFile {known}",
    )  # fmt: skip
    entries = [MachineEntry(f"web{number}", f"web{number}") for number in range(10)]

    with open_machines(entries, config_file=config) as machines:
        results = on_each(machines.names, lambda name: machines.runner(name).run(["echo", name]).text)

    assert results == {entry.name: f"{entry.name}\n" for entry in entries}
    assert (logins(gateway), logins(server)) == (1, 10)


def test_a_gateways_host_key_is_checked_as_well(server: Sshd, gateway: Sshd) -> None:
    config = config_of(
        server, "Host gate", " HostName 127.0.0.1", f" Port {gateway.port}",
        "Host web", " HostName 127.0.0.1", f" Port {server.port}", " ProxyJump gate",
        "Host *", f" UserKnownHostsFile {server.known_hosts()}",
    )  # fmt: skip

    error = failure(MachineEntry("web1", "web"), config_file=config)

    assert re.search(r"^web1 .* can't be reached: host key of gateway gate .* is not known", str(error))


def test_a_gateway_that_can_t_get_there_is_named(server: Sshd, gateway: Sshd) -> None:
    gateway.stop()
    Path(f"{gateway.identity}.pub").write_text(Path(f"{server.identity}.pub").read_text())
    gateway.start()
    config = config_of(
        server, "Host gate", " HostName 127.0.0.1", f" Port {gateway.port}",
        "Host web", " HostName 127.0.0.1", f" Port {free_port()}", " ProxyJump gate",
        "Host *", f" UserKnownHostsFile {gateway.known_hosts()}",
    )  # fmt: skip

    error = failure(MachineEntry("web1", "web"), config_file=config)

    assert "can't be reached: its gateway gate can't get there: Connect" in str(error)


# Keys


def test_the_agent_opens_a_locked_identity(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = make_key(server.folder / "locked", passphrase="secret")
    server.stop()
    Path(f"{server.identity}.pub").write_text(Path(f"{locked}.pub").read_text())
    server.start()
    with ssh_agent(server.folder / "agent") as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        askpass = server.folder / "askpass"
        askpass.write_text("#!/bin/sh\necho secret\n")
        askpass.chmod(0o755)
        subprocess.run(
            ["ssh-add", "-q", str(locked)],
            env={**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
            check=True,
            stdin=subprocess.DEVNULL,
        )
        config = server.folder / "ssh_config"
        config.write_text(
            f"Host web\n HostName 127.0.0.1\n Port {server.port}\n"
            f" UserKnownHostsFile {server.known_hosts()}\n IdentityFile {locked}\n IdentitiesOnly yes\n"
        )

        with open_machines([MachineEntry("web1", "web")], config_file=config) as machines:
            assert machines.runner("web1").run(["echo", "hello"]).text == "hello\n"


@contextlib.contextmanager
def ssh_agent(path: Path) -> Iterator[Path]:
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(path))
        yield path
    finally:
        agent.terminate()
        agent.wait(5)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as agent:
        return agent.connect_ex(str(path)) == 0


# Tunnels


def test_a_tunnel_carries_megabytes_and_half_closed_connections(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as echo, open_machines([server.entry()]) as machines:
        threading.Thread(target=_echo_after_the_end, args=(echo,), daemon=True).start()
        data = os.urandom(3_000_000)

        with machines.runner("web1").forward("127.0.0.1", echo.getsockname()[1]) as address:
            with socket.create_connection(address, timeout=20) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                back = b"".join(iter(lambda: connection.recv(65536), b""))

    assert back == data


def _echo_after_the_end(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"".join(iter(lambda: connection.recv(65536), b"")))


def test_a_tunnel_to_nobody_closes_the_connection_and_ends_in_peace(server: Sshd) -> None:
    with open_machines([server.entry()]) as machines:
        with machines.runner("web1").forward("127.0.0.1", free_port()) as address:
            with socket.create_connection(address, timeout=5) as connection:
                assert connection.recv(1) == b""

        assert machines.runner("web1").run(["echo", "alive"]).text == "alive\n"


def test_a_tunnel_is_gone_after_its_block(server: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as target, open_machines([server.entry()]) as machines:
        with machines.runner("web1").forward("127.0.0.1", target.getsockname()[1]) as address:
            connection = socket.create_connection(address, timeout=5)

        with connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
