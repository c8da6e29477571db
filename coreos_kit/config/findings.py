"""What is wrong with a coreos-kit.toml: every refusal with its place, in the order of the file's lines."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from coreos_kit import spelling
from coreos_kit.config.lines import KeyPath, line_of, line_table
from coreos_kit.config.lines import shown as shown_path
from coreos_kit.errors import InvalidConfig

HINT = "Each line says where it is, what was found and what is allowed; nothing was touched."
_LONGEST_SHOWN = 60
_LARGEST_SHOWN = 2**63
_CREDENTIALS = re.compile(r"://.*@")  # somebody's password, in an address where it has no place
_LONGEST_LIST = 24

# Everything that TOML knows; datetimes are what is left.
_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "a table",
}


@dataclass(slots=True)
class Findings:
    """Collects refusals while the file is read; `raise_if_any` ends it."""

    file: str
    text: str
    _found: dict[tuple[KeyPath, str], None] = field(default_factory=dict)
    _unreadable: set[KeyPath] = field(default_factory=set)

    def add(self, path: KeyPath, words: str, *, unreadable: bool = False) -> None:
        """Note one refusal; the same one again (two clusters share a service) is noted once."""
        self._found[path, words] = None
        if unreadable:
            self._unreadable.add(path)

    def is_sound(self, path: KeyPath) -> bool:
        """Whether the value at the place, in it and above it could be read, so that it can be compared."""
        depth = len(path)
        return not any(
            refused[:depth] == path or path[: len(refused)] == refused for refused in self._unreadable
        )

    def raise_if_any(self) -> None:
        """Raise `InvalidConfig` with every refusal, one a line."""
        if not self._found:
            return
        lines = line_table(self.text)
        numbered = sorted(
            ((line_of(lines, path), path, words) for path, words in self._found),
            key=lambda found: found[0] or 0,
        )
        details = [
            f"{self.file}:{number}: {shown_path(path)}: {words}"
            if number
            else f"{self.file}: {shown_path(path)}: {words}"
            for number, path, words in numbered
        ]
        count = "1 error" if len(details) == 1 else f"{len(details)} errors"
        raise InvalidConfig(f"{self.file} has {count}", hint=HINT, details=details)


@dataclass(frozen=True, slots=True)
class Place:
    """A key path in the file that is being read, and where to complain about it."""

    findings: Findings
    path: KeyPath = ()

    def at(self, *keys: str | int) -> Self:
        """Return the place of a key (or element) inside this one."""
        return type(self)(self.findings, (*self.path, *keys))

    def refuse(self, value: object, allowed: str, *, choices: Iterable[str] = ()) -> None:
        """Refuse the value found here; the nearest of `choices` is offered."""
        self.refuse_words(shown(value), allowed, nearest=nearest(value, choices))

    def refuse_words(self, found: str, allowed: str, *, nearest: str = "") -> None:
        """Refuse what is here as unreadable, in words of the caller's."""
        self.findings.add(self.path, _words(found, allowed, nearest), unreadable=True)

    def object_to(self, found: str, allowed: str, *, nearest: str = "") -> None:
        """Refuse a value that is fine in itself and doesn't go with the others."""
        self.findings.add(self.path, _words(found, allowed, nearest))

    def refuse_missing(self, allowed: str) -> None:
        """Refuse that nothing is here."""
        self.findings.add(self.path, f"missing; allowed: {allowed}")

    def refuse_unknown(self, key: str, choices: Iterable[str]) -> None:
        """Refuse a key that has no meaning here."""
        known = sorted(choices)
        words = listed(known) or "none here"
        self.at(key).object_to("an unknown key", words, nearest=nearest(key, known))


def _words(found: str, allowed: str, nearest: str) -> str:
    question = f"; did you mean {nearest}?" if nearest else ""
    return f"found {found}; allowed: {allowed}{question}"


def shown(value: object) -> str:
    """Return a value as the file might write it, on one line, escaped, and not too long."""
    if isinstance(value, Mapping | list):
        return kind_of(value)
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a huge number"  # and Python refuses to print the hugest
    text = json.dumps(value) if isinstance(value, str | bool) else str(value)
    text = _CREDENTIALS.sub("://[redacted]@", text)
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[:_LONGEST_SHOWN]}…"
    return text


def kind_of(value: object) -> str:
    """Name the TOML type of a value."""
    return _TYPES.get(type(value), "a date or time")


def listed(choices: Iterable[str]) -> str:
    """Write the choices one after the other, and only the first of very many."""
    names = list(choices)
    more = len(names) - _LONGEST_LIST
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_LONGEST_LIST])} and {more} more"


def nearest(value: object, choices: Iterable[str]) -> str:
    """Return the choice that is spelled most like the value; "" where none is."""
    if not isinstance(value, str):
        return ""
    start = value.lower()[:_LONGEST_SHOWN]  # a file's values are as long as somebody likes
    return spelling.nearest(start, choices, key=str.lower)
