"""Processes on the workstation itself."""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from coreos_kit.adapters.command_line import as_root, fate, refused_password, said, script_argv, shown
from coreos_kit.adapters.limits import MAX_OUTPUT_BYTES
from coreos_kit.adapters.lines import Lines
from coreos_kit.errors import CommandFailed, TimedOut
from coreos_kit.ports import Completed

NOT_FOUND = 127
NOT_EXECUTABLE = 126
_CHUNK = 64 * 1024
_BEAT_S = 0.2


class LocalRunner:
    """The workstation as a `Runner`; its machine name is ""."""

    @property
    def machine(self) -> str:
        """The workstation has no name."""
        return ""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """Run a command to its end. A program that does not exist has code 127, as it has in a shell."""
        full = as_root(argv, root=root, is_root=os.geteuid() == 0)
        out, err = bytearray(), bytearray()
        deadline = time.monotonic() + timeout_s
        try:
            with _process(full, stdin) as process:
                for is_error, data in _pieces(process, lambda: time.monotonic() >= deadline):
                    into = err if is_error else out
                    into += data
                    if len(out) + len(err) > MAX_OUTPUT_BYTES:
                        raise CommandFailed(
                            f"{shown(full)} prints more than {MAX_OUTPUT_BYTES >> 20} MB",
                            argv=full,
                            output=said(b"", bytes(err)),
                        )
                code = process.wait(max(0.0, deadline - time.monotonic()))
        except FileNotFoundError:
            code, err = NOT_FOUND, bytearray(f"{full[0]}: command not found\n".encode())
        except PermissionError:
            code, err = NOT_EXECUTABLE, bytearray(f"{full[0]}: permission denied\n".encode())
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            message = f"{shown(full)} did not come to its end within {timeout_s:g} s"
            raise TimedOut(message, details=said(bytes(out), bytes(err)).splitlines()[-3:]) from error
        stdout, stderr = bytes(out), bytes(err)
        if code != 0 and (complaint := refused_password(full, stderr)):
            hint = "Run the kit as root, or let sudo work without a password: see sudoers(5), NOPASSWD."
            raise CommandFailed(
                f"root is needed here, and sudo refuses: {complaint}", argv=full, code=code, hint=hint
            )
        if check and code != 0:
            raise CommandFailed(
                f"{shown(full)} {fate(code)}", argv=full, code=code, output=said(stdout, stderr)
            )
        return Completed(tuple(full), code, stdout, stderr)

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
        full = as_root(argv, root=root, is_root=os.geteuid() == 0)
        lines = {False: Lines(on_line), True: Lines(on_line)}
        try:
            with _process(full, stdin) as process:
                try:
                    for is_error, data in _pieces(process, stop.is_set):
                        lines[is_error].feed(data)
                except TimeoutError:
                    return 0
                for rest in lines.values():
                    rest.finish()
                return process.wait()
        except FileNotFoundError:
            on_line(f"{full[0]}: command not found")
            return NOT_FOUND

    def interactive(self, argv: Sequence[str]) -> int:
        """Give the terminal to a command, or to a login shell."""
        with interrupts_left_to_child():
            return subprocess.call(list(argv) or [os.environ.get("SHELL", "/bin/sh"), "-l"])

    def forward(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """The workstation needs no way to what it can reach itself."""
        return contextlib.nullcontext((host, port))


@contextlib.contextmanager
def interrupts_left_to_child() -> Iterator[None]:
    """Leave Ctrl-C to the command that has the terminal, which gets it as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _process(argv: Sequence[str], stdin: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own, feed it, and leave nothing of it behind."""
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        if stdin:
            # Beside the reading, or megabytes both ways would lock up.
            threading.Thread(target=_feed, args=(process, stdin), name="stdin", daemon=True).start()
        try:
            yield process
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()


def _feed(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 it was asked for
    with contextlib.suppress(BrokenPipeError):  # the command does not want all of it: its exit code says so
        process.stdin.write(stdin)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _pieces(process: subprocess.Popen[bytes], is_over: Callable[[], bool]) -> Iterator[tuple[bool, bytes]]:
    """Yield what the process prints, each with whether it is stderr; `TimeoutError` when time is up."""
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            assert stream is not None  # noqa: S101 it was asked for
            selector.register(stream, selectors.EVENT_READ, stream is process.stderr)
        while selector.get_map():
            if is_over():
                raise TimeoutError
            for key, _ in selector.select(_BEAT_S):
                data = os.read(key.fd, _CHUNK)
                if data:
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)
