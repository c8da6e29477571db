"""The one place where an error becomes a message and an exit code."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coreos_kit.cli.app import app
from coreos_kit.cli.parsing import Misuse, PipeClosed, show_help, usage_error
from coreos_kit.cli.settings import hoist, wants_json
from coreos_kit.errors import KitError

PIPE_CLOSED = 141  # what a shell makes of SIGPIPE


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; show whatever goes wrong once, here, and exit with its code."""
    words = list(sys.argv[1:] if args is None else args)
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever called: `coreos-kit … >&-`
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
    try:
        with _ended_as_by_ctrl_c():
            raise SystemExit(_run(words))
    except KitError as error:
        from coreos_kit.cli.output import show_error

        show_error(error, as_json=wants_json(words))
        raise SystemExit(error.exit_code) from None


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let a command clean up where its CI job is cancelled or its terminal goes, too; nohup stays nohup."""
    ours = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _run(words: Sequence[str]) -> int:
    try:
        code = app(args=hoist(words), prog_name="coreos-kit", standalone_mode=False)
        sys.stdout.flush()
    except Misuse as error:
        if show_help(error):
            return 2
        raise usage_error(error) from None
    except (PipeClosed, BrokenPipeError):  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the last flush complain
        return PIPE_CLOSED
    return int(code or 0)
