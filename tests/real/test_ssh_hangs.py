"""Servers and agents that stop in the middle of a conversation: each phase of it has its limit."""

import getpass
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from paramiko.common import cMSG_CHANNEL_EOF

from coreos_kit.adapters import ssh_channel, ssh_link
from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import KitError, TimedOut, Unreachable
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Runner
from coreos_kit.testing.servers import Sshd, make_key, running_sshd, wait_until

pytestmark = pytest.mark.real

USER = getpass.getuser()
CONNECT_S = 1.5
Exec = Callable[[paramiko.Channel], bool]


class Lame(paramiko.ServerInterface):
    """A server that lets everybody in, and stops where it is told to."""

    def __init__(self, over: threading.Event, login: bool, execute: Exec) -> None:
        self._over = over
        self._login = login
        self._execute = execute

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._login:
            return paramiko.AUTH_SUCCESSFUL
        self._over.wait(60)
        return paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._execute(channel)


@contextmanager
def lame_server(tmp_path: Path, *, login: bool = True, execute: Exec | None = None) -> Iterator[Path]:
    """Serve one connection, and give an ssh_config in which it is the host `web`, with three keys."""
    over = threading.Event()
    host_key = make_key(tmp_path / "host")
    server = Lame(over, login, execute or (lambda _: not over.wait(60)))

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.PKey.from_path(str(host_key)))
        transport.start_server(server=server)
        over.wait(60)
        transport.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{port} {host_key.with_suffix('.pub').read_text()}")
        yield config(
            tmp_path, port, known_hosts, [make_key(tmp_path / f"key{number}") for number in range(3)]
        )
        over.set()
        thread.join(10)


def config(tmp_path: Path, port: int, known_hosts: Path | str, keys: list[Path]) -> Path:
    lines = ["Host web", "HostName 127.0.0.1", f"Port {port}", f"UserKnownHostsFile {known_hosts}"]
    path = tmp_path / "ssh_config"
    path.write_text("\n".join([*lines, *(f"IdentityFile {key}" for key in keys), ""]))
    return path


def failure(config_file: Path, *, timeout_s: float = 1.5) -> tuple[KitError, float]:
    """Run a command, and return how it failed and after how long."""
    entry = MachineEntry("web1", f"{USER}@web")
    caught: list[KitError] = []

    def run() -> None:
        with open_machines([entry], connect_timeout_s=CONNECT_S, config_file=config_file) as machines:
            try:
                machines.runner("web1").run(["true"], timeout_s=timeout_s)
            except KitError as error:
                caught.append(error)

    started = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)  # not here: what hangs for ever must not hang the test
    thread.start()
    thread.join(20)
    assert caught, "it still hangs"
    return caught[0], time.monotonic() - started


def test_a_command_that_the_server_takes_no_notice_of_ends_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with lame_server(tmp_path) as config_file:
        error, took_s = failure(config_file)

    assert isinstance(error, TimedOut)
    assert str(error) == "true did not come to its end on web1 within 1.5 s"
    assert took_s < 5


def test_a_connection_that_breaks_between_the_last_output_and_the_exit_code_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(channel: paramiko.Channel) -> bool:
        def end() -> None:
            time.sleep(0.1)
            channel.shutdown_write()
            time.sleep(0.1)
            channel.get_transport().close()

        threading.Thread(target=end, daemon=True).start()
        return True

    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with lame_server(tmp_path, execute=break_off) as config_file:
        error, _ = failure(config_file, timeout_s=8)

    assert isinstance(error, Unreachable)
    assert "was lost while true ran" in str(error)


def test_a_server_that_never_answers_a_login_costs_its_time_once_and_not_for_each_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with lame_server(tmp_path, login=False) as config_file:
        error, took_s = failure(config_file)

    assert "it gave no answer to the login in time" in str(error)
    assert took_s < 3 * CONNECT_S


def test_an_agent_that_says_nothing_has_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sshd() as server, socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(server.folder / "agent"))
        agent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(server.folder / "agent"))
        config_file = config(tmp_path, server.port, server.known_hosts(), [server.identity])
        done: list[int] = []

        def run() -> None:
            with open_machines([MachineEntry("web1", f"{USER}@web")], config_file=config_file) as machines:
                done.append(machines.runner("web1").run(["true"]).code)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(10)

    assert done == [0], "it still waits for the agent"


def processes(server: Sshd) -> dict[int, str]:
    """Return the names of the server's processes and of all that they started, by their numbers."""
    assert server.process
    found: dict[int, str] = {}
    left = [server.process.pid]
    while left:
        pid = left.pop()
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end while it is looked at
            found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
            left += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


@contextmanager
def stopped(server: Sshd) -> Iterator[None]:
    """Let the server's processes hang, those of its sessions as well."""
    sshds = [pid for pid, name in processes(server).items() if name.startswith("sshd")]
    for pid in sshds:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in sshds:
            os.kill(pid, signal.SIGCONT)


def sleeping(runner: Runner) -> "queue.Queue[KitError]":
    """Run a command that takes a minute, beside the test; how it fails comes out of the queue."""
    failures: queue.Queue[KitError] = queue.Queue()

    def run() -> None:
        try:
            runner.run(["sleep", "60"], timeout_s=120)
        except KitError as error:
            failures.put(error)

    threading.Thread(target=run, daemon=True).start()
    return failures


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_channel, "_QUIET_S", 0.5)
    monkeypatch.setattr(ssh_channel, "ANSWER_S", 1)
    monkeypatch.setattr(ssh_link, "ANSWER_S", 1)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_under_a_long_command_is_found_out_long_before_the_commands_time() -> None:
    with running_sshd() as server, open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        runner.run(["true"])
        failures = sleeping(runner)
        wait_until(lambda: "sleep" in processes(server).values())
        with stopped(server):
            lost = failures.get(timeout=20)

    assert isinstance(lost, Unreachable)
    assert "was lost while sleep 60 ran: it no longer answers" in str(lost)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_before_a_long_command_is_found_out_as_well() -> None:
    with running_sshd() as server, open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        runner.run(["true"])
        with stopped(server):
            lost = sleeping(runner).get(timeout=20)

    assert isinstance(lost, Unreachable)
    assert "it no longer answers" in str(lost)


@pytest.mark.parametrize("settings", [(), ("MaxSessions 1",)], ids=["usual", "one session"])
def test_a_command_that_is_silent_for_long_comes_to_its_end_where_the_server_is_well(
    settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_channel, "_QUIET_S", 2)  # as long as a busy server has for its sign of life
    with running_sshd(settings=settings) as server, open_machines([server.entry()]) as machines:
        done = machines.runner("web1").run(["sh", "-c", "sleep 5; echo done"], timeout_s=60)

    assert done.text == "done\n"


def test_a_command_that_ends_while_its_input_does_costs_the_other_commands_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = paramiko.Transport._send_user_message  # type: ignore[attr-defined]

    def send_late(transport: paramiko.Transport, message: paramiko.Message) -> None:
        if message.asbytes()[:1] == cMSG_CHANNEL_EOF:
            time.sleep(0.5)  # long enough for the server to say that the command has ended
        send(transport, message)

    with running_sshd() as server, open_machines([server.entry()]) as machines:
        runner = machines.runner("web1")
        runner.run(["true"])
        monkeypatch.setattr(paramiko.Transport, "_send_user_message", send_late)
        runner.run(["true"])
        monkeypatch.undo()
        runner.run(["true"])

        assert "nonexistent channel" not in server.log
        assert server.log.count("Accepted publickey") == 1
