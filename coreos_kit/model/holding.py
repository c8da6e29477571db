"""What somebody holds still by hand: machines that get nothing new, units that stay stopped."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.keys import cordons_folder, holds_folder
from coreos_kit.model.names import UnitName

_LONGEST_WORD = 100
_LONGEST_REASON = 300
_NAMED = 3  # of what is ignored, in a note

T = TypeVar("T", str, UnitName)


@dataclass(frozen=True, slots=True)
class Mark:
    """Who holds something still, since when by their clock, and why; whatever is not known is ""."""

    by: str = ""
    since: str = ""
    why: str = ""

    def text(self) -> str:
        """Return what stands in etcd."""
        return json.dumps({"by": self.by, "since": self.since, "why": self.why})

    @classmethod
    def parse(cls, text: str) -> "Mark":
        """Read what stands in etcd, whoever wrote it: the key counts, even where its value says nothing."""
        try:
            found: Any = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        words = found if isinstance(found, dict) else {}
        return cls(
            _word(words.get("by"), _LONGEST_WORD),
            _word(words.get("since"), _LONGEST_WORD),
            _word(words.get("why"), _LONGEST_REASON),
        )

    def __str__(self) -> str:
        """Say who, since when and why, as the end of a sentence."""
        by = f" by {self.by}" if self.by else ""
        since = f" since {self.since}" if self.since else ""
        return f"{by}{since}{f': {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Holding:
    """All that is held still in one project; `ignored` are keys that name nothing of it."""

    cordoned: Mapping[str, Mark] = field(default_factory=dict)  # by machine
    held: Mapping[UnitName, Mark] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Say it, a line for each."""
        return (
            *(
                f"{machine} is cordoned{mark}; nothing new is placed there"
                for machine, mark in sorted(self.cordoned.items())
            ),
            *(f"{unit} is held{mark}; it stays stopped" for unit, mark in sorted(self.held.items())),
            *self._of_ignored(),
        )

    def _of_ignored(self) -> tuple[str, ...]:
        if not self.ignored:
            return ()
        more = len(self.ignored) - _NAMED
        named = ", ".join(self.ignored[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        return (f"etcd has keys that name no machine or unit of this cluster, and are ignored: {named}",)


def holding_of(
    project: str,
    entries: Iterable[EtcdEntry],
    machines: Iterable[str],
    prefixes: Collection[str] | None = None,
) -> Holding:
    """Read what lies below the folders of cordons and holds, whoever wrote it.

    Counts only the cluster's machines, and units of these prefixes; without `prefixes` any unit.
    """
    known = frozenset(machines)
    cordoned: dict[str, Mark] = {}
    held: dict[UnitName, Mark] = {}
    ignored: list[str] = []

    def take(into: dict[T, Mark], name: T | None, entry: EtcdEntry) -> None:
        if name is None:
            ignored.append(_word(entry.key, _LONGEST_WORD))
        else:
            into[name] = Mark.parse(entry.value)

    for entry in entries:
        folder, _, name = entry.key.rpartition("/")
        if folder == cordons_folder(project):
            take(cordoned, name if name in known else None, entry)
        elif folder == holds_folder(project):
            take(held, _unit(name, prefixes), entry)
        else:
            ignored.append(_word(entry.key, _LONGEST_WORD))
    return Holding(cordoned, held, tuple(ignored))


def _unit(name: str, prefixes: Collection[str] | None) -> UnitName | None:
    try:
        unit = UnitName.parse(name)
    except InvalidUnit:
        return None
    is_ours = prefixes is None or unit.prefix in prefixes
    return unit if is_ours and not unit.is_template else None


def _word(value: object, longest: int) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in value[:longest])
