"""What typer does around a command, in the kit's own words: usage errors, Ctrl-C, a closed pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from coreos_kit.errors import Interrupted, UsageError

# The root of what parsing raises. Typer has no name for it, and where it comes from has moved before.
Misuse: type[Exception] = typer.BadParameter.__mro__[2]


class Commands(TyperGroup):
    """The commands; Ctrl-C and a closed pipe leave them as themselves, not as typer's exit codes."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command line; --help and --version happen here."""
        with _as_themselves():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _as_themselves():
            return super().invoke(ctx)


class PipeClosed(Exception):
    """The reader of our output has gone. Not an `OSError`, whose EPIPE typer would make exit code 1 of."""


@contextmanager
def _as_themselves() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    except BrokenPipeError as error:
        raise PipeClosed from error


def usage_error(error: Exception) -> UsageError:
    """Turn what parsing raised into the kit's error, with the nearest spelling or the help as hint."""
    said: str = error.format_message() if hasattr(error, "format_message") else str(error)
    message, _, near = said.partition(" Did you mean ")
    message, _, options = message.partition(" (Possible options: ")
    message = message.rstrip(".")
    if near:
        hint = f"Did you mean {near.rstrip('?').strip()}?".replace("'", "")
    elif options:
        hint = f"Did you mean {options.rstrip(')')}?"
    else:
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path if context else 'coreos-kit'} --help"
    return UsageError(f"{message[:1].lower()}{message[1:]}", hint=hint)


def show_help(error: Exception) -> bool:
    """Show the help that a command line without anything asks for; tell whether that was it."""
    if type(error).__name__ != "NoArgsIsHelpError":
        return False
    sys.stderr.write(f"{error}\n")
    return True
