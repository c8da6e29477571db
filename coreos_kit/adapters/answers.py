"""The lines that our scripts print on a machine: words, with base64 for whatever came from elsewhere.

A machine may be cut off in the middle, run out of disk or print garbage, so an answer counts only as a whole.
"""

import base64
import contextlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from coreos_kit.errors import CommandFailed, InvalidUnit
from coreos_kit.ports import Completed


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer: its first word, and the words after it."""

    key: str
    words: tuple[str, ...]

    def word(self, index: int = 0) -> str:
        """Return a word after the key, "" where the line is shorter."""
        return self.words[index] if index < len(self.words) else ""

    def decoded(self, index: int = 0) -> bytes:
        """Return a word's content; raises `ValueError` where it is not base64."""
        return base64.b64decode(self.word(index), validate=True)

    def text(self, index: int = 0) -> str:
        """Return a word's content as text."""
        return self.decoded(index).decode("utf-8", "replace")


def read_answer(machine: str, completed: Completed) -> tuple[Line, ...]:
    """Split what a script printed; raise `CommandFailed` unless it is whole."""
    lines = tuple(_lines(completed.text))
    if not lines or lines[-1].key != "end":
        raise CommandFailed(
            f"{machine}: the answer is not whole ({len(completed.stdout)} bytes, no end)",
            machine=machine,
            code=completed.code,
            output=completed.error_text or completed.text[-500:],
            hint=f"Look at the machine itself: coreos-kit ssh {machine}",
        )
    try:
        for line in lines:
            for index, word in enumerate(line.words):
                if index == len(line.words) - 1 and line.key in _ENCODED and word != "-":
                    line.decoded(index)
    except ValueError:
        raise CommandFailed(
            f"{machine}: the answer's line {line.key!r} is garbled",
            machine=machine,
            output=completed.error_text,
            hint=f"Look at the machine itself: coreos-kit ssh {machine}",
        ) from None
    return lines


@contextlib.contextmanager
def understood(machine: str) -> Iterator[None]:
    """Turn whatever is wrong with an answer's content into `CommandFailed`: a machine can say anything."""
    try:
        yield
    except (ValueError, LookupError, ArithmeticError, RecursionError, tarfile.TarError, InvalidUnit) as error:
        raise CommandFailed(
            f"{machine}: its answer is not understood: {type(error).__name__}: {str(error)[:200]}",
            machine=machine,
            hint=f"Look at the machine itself: coreos-kit ssh {machine}",
        ) from error


def properties(text: str) -> dict[str, str]:
    """Read one block of `systemctl show`: KEY=VALUE lines, in whatever order."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


_ENCODED = frozenset(
    {
        "release",
        "addresses",
        "route",
        "environment",
        "files",
        "show",
        "containers",
        "engine-error",
        "labels",
        "fleet-files",
        "journal",
        "pool",
        "pool-error",
        "log",
        "log-error",
        # of fleet
        "failed",
        "machines",
        "registry",
        "units",
        "text",
        "left",
        "said",
    }
)


def _lines(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        if words := line.split(" "):
            yield Line(words[0], tuple(word for word in words[1:] if word))
