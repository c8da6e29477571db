"""Machines over SSH: one connection each for any number of commands, OpenSSH's settings and host keys."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from coreos_kit.adapters.command_line import interactive_ssh_argv
from coreos_kit.adapters.ssh_config import Destination, SshSettings, ask_ssh, settings_for
from coreos_kit.adapters.ssh_link import Link
from coreos_kit.adapters.ssh_runner import SshRunner
from coreos_kit.errors import InvalidConfig, UsageError
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Runner
from coreos_kit.spelling import nearest

_MOST_HOPS = 8


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
        self._log = log
        self._entries: dict[str, MachineEntry] = {}
        self._connect_timeout_s = connect_timeout_s
        self._accept_new = accept_new
        self._config_file = config_file
        self._lock = threading.Lock()
        self._machine_locks: dict[str, threading.Lock] = {}
        self._links: dict[str, Link] = {}
        self._gateways: dict[tuple[SshSettings, ...], Link] = {}
        self._runners: dict[str, SshRunner] = {}
        for entry in entries:
            self.join(entry)

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

    def join(self, entry: MachineEntry) -> Runner:
        """Add a machine, one that was heard of later say, and return its door."""
        with self._lock:
            self._entries[entry.name] = entry
            self._machine_locks[entry.name] = threading.Lock()
            self._runners[entry.name] = SshRunner(
                entry.name, partial(self.link, entry.name), partial(self.terminal_argv, entry), self._log
            )
            return self._runners[entry.name]

    def runner(self, name: str) -> Runner:
        """Return the door to a machine; the same one each time."""
        if name not in self._runners:
            near = nearest(name, self._entries)
            hint = f"Did you mean {near}?" if near else f"There are: {', '.join(sorted(self._entries))}"
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
                entry = self._entries[name]
                settings = settings_for(entry, config_file=self._config_file, accept_new=self._accept_new)
                gateway = self.link(entry.through) if entry.through else self._gateway(settings, ())
                with self._lock:
                    self._links[name] = Link(name, settings, gateway, self._connect_timeout_s)
            return self._links[name]

    def terminal_argv(self, entry: MachineEntry, argv: Sequence[str], terminal: bool) -> list[str]:
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
            proxy=self.terminal_argv(self._entries[entry.through], (), False) if entry.through else (),
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
