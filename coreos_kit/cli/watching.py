"""Looking again and again, for --watch."""

from collections.abc import Callable, Iterator
from typing import TypeVar

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
