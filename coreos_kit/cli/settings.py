"""What holds for every command: the workspace, the cluster, JSON or text, how much is told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_WITH_VALUE = ("--project", "--cluster")
_FLAGS = ("--json", "-v", "--verbose")


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options, read once."""

    project: Path
    cluster: str | None
    json: bool
    verbose: bool


def hoist(args: Sequence[str]) -> list[str]:
    """Bring global options to the front, wherever they stand before ``--``; `status --json` works."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            return [*front, *rest, word, *words]
        if word in _FLAGS or word.startswith(tuple(f"{option}=" for option in _WITH_VALUE)):
            front.append(word)
        elif word in _WITH_VALUE:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return [*front, *rest]


def wants_json(args: Sequence[str]) -> bool:
    """Tell whether even an error is to be JSON, before anything is parsed."""
    own = list(args)[: list(args).index("--")] if "--" in args else list(args)
    return "--json" in own


def is_interactive() -> bool:
    """Tell whether somebody is there to be asked."""
    return os.isatty(0) and os.isatty(2)
