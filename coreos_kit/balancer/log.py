"""What the watcher says in the container's log."""

from __future__ import annotations

import sys
from typing import Tuple

from .keeping import without

_MAX_CHANGES_SAID = 20


def say(line: str) -> None:
    """Write one line to the container's log."""
    print(f"[confd-watch] {line}", file=sys.stderr, flush=True)


def change(before: Tuple[str, ...], after: Tuple[str, ...]) -> str:
    """Say what came into the pool and what left it."""
    come, gone = without(after, before), without(before, after)
    said = [f"+{server}" for server in come] + [f"-{server}" for server in gone]
    if len(said) > _MAX_CHANGES_SAID:
        said = [f"+{len(come)} -{len(gone)}"]
    return f"pool: {' '.join([*said, ''])}({count(after)})"


def count(servers: Tuple[str, ...]) -> str:
    """Say how many there are."""
    return "1 server" if len(servers) == 1 else f"{len(servers)} servers"
