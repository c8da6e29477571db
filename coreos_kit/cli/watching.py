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
def ended_by_hand(*, wanted: bool) -> Iterator[None]:
    """Make Ctrl-C the ordinary end, without a message (still 130), of what has no other end."""
    try:
        yield
    except KeyboardInterrupt:
        if not wanted:
            raise
        raise typer.Exit(130) from None
