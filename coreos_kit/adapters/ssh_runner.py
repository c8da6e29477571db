"""Processes on one machine over SSH: what `ports.Runner` promises, and what its failures mean."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import paramiko

from coreos_kit.adapters.command_line import (
    as_root,
    fate,
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
from coreos_kit.adapters.ssh_errors import TRANSLATED, translate
from coreos_kit.adapters.ssh_link import Link
from coreos_kit.adapters.ssh_tunnel import tunnel
from coreos_kit.errors import CommandFailed, KitError, TimedOut, Unreachable
from coreos_kit.ports import Completed

_LONGEST_LINE = 128 * 1024 - 1  # MAX_ARG_STRLEN: the whole command is one argument of the user's shell there
_SESSION_S = 30.0


class SshRunner:
    """Processes on one machine, over its one connection."""

    def __init__(
        self,
        machine: str,
        link: Callable[[], Link],
        terminal_argv: Callable[[Sequence[str], bool], list[str]],
        log: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._link = link  # not connected before it is needed
        self._terminal_argv = terminal_argv
        self._log = log

    @property
    def machine(self) -> str:
        """The machine's name in the configuration."""
        return self._machine

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
        link = self._link()
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
        link = self._link()
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
        line = self._terminal_argv(argv, terminal)
        with interrupts_left_to_child():
            return subprocess.call(line)

    def forward(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """Open a way to an address as the machine sees it; `Unreachable` at once when the machine is."""
        return self._forward(host, port)

    @contextlib.contextmanager
    def _forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        link = self._link()
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
        self._log(f"{name}: {shown(argv)}")
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
            why = f": {error}" if str(error) else ""
            message = f"{name} ({link.settings.where}) was lost while {shown(argv)} ran{why}"
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
