"""`ports.HookRunner`: hooks as processes of the workstation, each in a group of its own."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from coreos_kit.adapters.lines import Lines
from coreos_kit.errors import KitError, TimedOut

_CHUNK = 64 * 1024
_BEAT_S = 0.1
_GRACE_S = 5  # between asking a hook to end and making it


def run_hook(
    program: Path, facts: Mapping[str, str], on_line: Callable[[str], None], *, timeout_s: float
) -> int:
    """Run a hook in its workspace; see `ports.HookRunner`.

    What it has left running in the background when it ends is left alone.
    """
    deadline = time.monotonic() + timeout_s
    lines = {False: Lines(on_line), True: Lines(on_line)}
    with _started(program, facts) as process:
        for is_error, data in _output(process):
            lines[is_error].feed(data)
            if time.monotonic() >= deadline:
                raise TimedOut(f"the hook {program.name} did not come to its end within {timeout_s:g} s")
        for rest in lines.values():
            rest.finish()
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _started(program: Path, facts: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a hook; leave nothing of it behind where it has not come to its end."""
    try:
        process = subprocess.Popen(
            [str(program)],
            cwd=program.parents[1],
            env={**os.environ, **facts},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the kit's to hear, and to pass on
        )
    except OSError as error:
        hint = "A script begins with the name of what runs it: #!/bin/sh"
        raise KitError(
            f"the hook {program.name} can't be started: {error.strerror or error}", hint=hint
        ) from error
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, and make what is left of it."""
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal_)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)


def _output(process: subprocess.Popen[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Yield what the hook prints, each with whether it is stderr, and nothing at all now and then.

    Ends with the hook: what runs on behind it may hold the pipes open for ever.
    """
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            assert stream is not None  # noqa: S101 it was asked for
            selector.register(stream, selectors.EVENT_READ, stream is process.stderr)
        while selector.get_map():
            has_ended = process.poll() is not None
            ready = selector.select(0 if has_ended else _BEAT_S)
            for key, _ in ready:
                data = os.read(key.fd, _CHUNK)
                if data:
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)
            if not ready:
                if has_ended:
                    return
                yield False, b""
        while process.poll() is None:  # it has closed both, and works on
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_BEAT_S)
            yield False, b""
