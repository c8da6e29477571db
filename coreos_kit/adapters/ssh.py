"""Machines over SSH: one connection each for any number of commands, OpenSSH's settings and host keys."""

import contextlib
import difflib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from coreos_kit.adapters.command_line import (
    as_root,
    fate,
    interactive_ssh_argv,
    refused_password,
    remote_line,
    said,
    script_argv,
    shown,
)
from coreos_kit.adapters.limits import MAX_OUTPUT_BYTES
from coreos_kit.adapters.local import interrupts_left_to_child
from coreos_kit.adapters.ssh_channel import (
    CallerError,
    ConnectionLostError,
    OutputTooLongError,
    run_line_by_line,
    run_to_end,
)
from coreos_kit.adapters.ssh_config import Destination, SshSettings, ask_ssh, settings_for
from coreos_kit.adapters.ssh_errors import TRANSLATED, translate
from coreos_kit.adapters.ssh_link import Link
from coreos_kit.adapters.ssh_tunnel import tunnel
from coreos_kit.errors import CommandFailed, InvalidConfig, KitError, TimedOut, Unreachable, UsageError
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Completed, Runner

_LONGEST_LINE = 128 * 1024 - 1  # MAX_ARG_STRLEN: the whole command is one argument of the user's shell there
_MOST_HOPS = 8
_SESSION_S = 30.0


def open_machines(
    entries: Sequence[MachineEntry],
    *,
    connect_timeout_s: float = 10,
    accept_new: bool = False,
    config_file: Path | None = None,
    log: Callable[[str], None] | None = None,
) -> "SshMachines":
    """Return the machines of a cluster, a context manager; nothing is connected before it is needed.

    `config_file` stands in for ~/.ssh/config; `log` hears every command line, each with its machine.
    """
    return SshMachines(
        entries,
        connect_timeout_s=connect_timeout_s,
        accept_new=accept_new,
        config_file=config_file,
        log=log or (lambda _: None),
    )


class SshMachines:
    """The connections to a cluster's machines, and to the gateways that they share."""

    def __init__(
        self,
        entries: Sequence[MachineEntry],
        *,
        connect_timeout_s: float,
        accept_new: bool,
        config_file: Path | None,
        log: Callable[[str], None],
    ) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._connect_timeout_s = connect_timeout_s
        self._accept_new = accept_new
        self._config_file = config_file
        self.log = log
        self._lock = threading.Lock()
        self._machine_locks = {name: threading.Lock() for name in self._entries}
        self._links: dict[str, Link] = {}
        self._gateways: dict[tuple[SshSettings, ...], Link] = {}
        self._runners = {entry.name: SshRunner(self, entry) for entry in entries}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The machines in the order of the configuration."""
        return tuple(self._entries)

    def runner(self, name: str) -> Runner:
        """Return the door to a machine; the same one each time."""
        if name not in self._runners:
            near = difflib.get_close_matches(name, self._entries, 1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(self._entries))}"
            raise UsageError(f"no machine {name} in this cluster", hint=hint)
        return self._runners[name]

    def close(self) -> None:
        """Close every connection, those through gateways first."""
        with self._lock:
            links = [*self._links.values(), *reversed(self._gateways.values())]
        for link in links:
            link.close()

    def link(self, name: str) -> Link:
        """Return a machine's connection, not opened yet; asks OpenSSH for its settings the first time."""
        with self._machine_locks[name]:
            if name not in self._links:
                settings = settings_for(
                    self._entries[name], config_file=self._config_file, accept_new=self._accept_new
                )
                gateway = self._gateway(settings, ())
                with self._lock:
                    self._links[name] = Link(name, settings, gateway, self._connect_timeout_s)
            return self._links[name]

    def interactive_argv(self, entry: MachineEntry, argv: Sequence[str], *, terminal: bool) -> list[str]:
        """Return OpenSSH's own command line for a terminal on a machine."""
        destination = Destination.parse(entry.destination)
        is_complete = bool(entry.identity_file and entry.known_hosts_file)
        return interactive_ssh_argv(
            destination=destination.host,
            user=destination.user,
            port=destination.port,
            identity_file=entry.identity_file,
            known_hosts_file=entry.known_hosts_file,
            config_file="none" if is_complete else str(self._config_file or ""),
            accept_new=self._accept_new,
            connect_timeout_s=self._connect_timeout_s,
            terminal=terminal,
            argv=argv,
        )

    def _gateway(self, settings: SshSettings, behind: tuple[SshSettings, ...]) -> Link | None:
        """Return the connection that leads to a machine, shared by all that go the same way.

        ``ProxyJump a,b`` means: to a, from there to b, from there to the machine. Each hop is looked up in
        ssh_config as OpenSSH does; a hop's own ProxyJump counts for the first one only.
        """
        link: Link | None = None
        way: list[SshSettings] = []
        for index, hop in enumerate(settings.proxy_jump):
            hop_settings = ask_ssh(Destination.parse(hop), config_file=self._config_file)
            if len(behind) + index >= _MOST_HOPS or hop_settings in behind:
                raise InvalidConfig(
                    f"ProxyJump of {settings.where} leads in a circle at {hop}", hint="See: ssh -G"
                )
            if index == 0:
                link = self._gateway(hop_settings, (*behind, settings))
            way.append(hop_settings)
            with self._lock:
                key = tuple(way)
                if key not in self._gateways:
                    self._gateways[key] = Link(f"gateway {hop}", hop_settings, link, self._connect_timeout_s)
                link = self._gateways[key]
        return link


class SshRunner:
    """Processes on one machine, over its one connection."""

    def __init__(self, machines: SshMachines, entry: MachineEntry) -> None:
        self._machines = machines
        self._entry = entry

    @property
    def machine(self) -> str:
        """The machine's name in the configuration."""
        return self._entry.name

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """Run a command to its end. The time begins once the connection stands, which has its own limit."""
        link = self._machines.link(self.machine)
        link.ensure_open()
        full = as_root(argv, root=root, is_root=link.settings.user == "root")
        deadline = time.monotonic() + timeout_s
        with self._channel(link, full, timeout_s) as (channel, line):
            ended = run_to_end(channel, line, stdin, deadline)
        if ended.code != 0 and (complaint := refused_password(full, ended.stderr)):
            self._refuse(link, full, ended.code, complaint)
        if check and ended.code != 0:
            raise CommandFailed(
                f"{shown(full)} {fate(ended.code)} on {self.machine}",
                machine=self.machine,
                argv=full,
                code=ended.code,
                output=said(ended.stdout, ended.stderr),
            )
        return Completed(tuple(full), ended.code, ended.stdout, ended.stderr)

    def run_script(
        self,
        script: str,
        args: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """Run a constant text with bash."""
        return self.run(script_argv(script, args), stdin=stdin, root=root, timeout_s=timeout_s, check=check)

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        *,
        stop: threading.Event,
        stdin: bytes = b"",
        root: bool = False,
    ) -> int:
        """Hand each line on as it comes; 0 when `stop` ended it."""
        link = self._machines.link(self.machine)
        full = as_root(argv, root=root, is_root=link.settings.user == "root")
        complaints: list[str] = []

        def listen(line: str) -> None:
            complaints.extend([refused_password(full, line.encode())] if not complaints else [])
            on_line(line)

        with self._channel(link, full, _SESSION_S) as (channel, line):
            code = run_line_by_line(channel, line, stdin, listen, stop)
        if code != 0 and complaints and complaints[0]:
            self._refuse(link, full, code, complaints[0])
        return code

    def interactive(self, argv: Sequence[str]) -> int:
        """Hand the terminal to OpenSSH's own client, which is better at terminals than anything else."""
        terminal = bool(argv) and sys.stdin.isatty() and sys.stdout.isatty()
        line = self._machines.interactive_argv(self._entry, argv, terminal=terminal)
        with interrupts_left_to_child():
            return subprocess.call(line)

    def forward(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """Open a way to an address as the machine sees it; `Unreachable` at once when the machine is."""
        return self._forward(host, port)

    @contextlib.contextmanager
    def _forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        link = self._machines.link(self.machine)
        link.ensure_open()
        with tunnel(lambda origin: link.open_direct(host, port, origin)) as address:
            yield address

    @contextlib.contextmanager
    def _channel(
        self, link: Link, argv: Sequence[str], timeout_s: float
    ) -> Iterator[tuple[paramiko.Channel, str]]:
        """Hand out a channel and the line to run on it; say what its failures mean."""
        line = remote_line(argv)
        size = len(line.encode())
        if size > _LONGEST_LINE:
            raise KitError(f"{shown(argv)} is {size} bytes long, and a machine's shell takes {_LONGEST_LINE}")
        name = self.machine
        self._machines.log(f"{name}: {shown(argv)}")
        try:
            with link.session(timeout_s) as channel:
                yield channel, line
        except KitError:
            raise
        except CallerError as failed:
            raise failed.error from None
        except TimeoutError as error:
            message = f"{shown(argv)} did not come to its end on {name} within {timeout_s:g} s"
            raise TimedOut(message, hint=f"It may still be running there: coreos-kit ssh {name}") from error
        except OutputTooLongError as error:
            message = f"{shown(argv)} on {name} prints more than {MAX_OUTPUT_BYTES >> 20} MB"
            raise CommandFailed(message, machine=name, argv=argv) from error
        except ConnectionLostError as error:
            message = f"{name} ({link.settings.where}) was lost while {shown(argv)} ran"
            raise Unreachable(
                message, machine=name, hint="Whether it came to its end is not known."
            ) from error
        except TRANSLATED as error:
            raise translate(error, name, link.settings) from error

    def _refuse(self, link: Link, argv: Sequence[str], code: int, complaint: str) -> None:
        user = link.settings.user
        raise CommandFailed(
            f"{user} can't become root on {self.machine}, sudo refuses: {complaint}",
            machine=self.machine,
            argv=argv,
            code=code,
            hint=f"There, as root: echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}",
        )
