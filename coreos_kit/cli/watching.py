"""Looking again and again, for --watch, and reading on, for --follow: both end with Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer

from coreos_kit.ports import Clock

Seen = TypeVar("Seen")

EVERY_S = 1.0


def looks(look: Callable[[], Seen], clock: Clock, *, again: bool) -> Iterator[Seen]:
    """Yield what is seen: once, or, `again`, each time that it differs from the time before."""
    before: Seen | None = None
    while True:
        seen = look()
        if seen != before:
            yield seen
        if not again:
            return
        before = seen
        clock.sleep(EVERY_S)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Make Ctrl-C the ordinary end, exit code 130 without a message: nobody else ends a watch."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
