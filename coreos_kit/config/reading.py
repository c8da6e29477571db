"""Readers: from a raw TOML value to a checked one, or a refusal with its place.

A reader returns None where it has refused; no value of the configuration is None. Types are TOML's own:
`true` is no number, and 80 is no string.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from coreos_kit.config.findings import Place, listed, shown

Reader = Callable[[Any, Place], Any]
Fields = dict[str, Any]

LONGEST = 1024  # characters of any one string; fleet refuses lines of 2048 bytes


def integer(lowest: int, highest: int) -> Reader:
    """Read a whole number within bounds, both included."""

    def read(value: Any, place: Place) -> int | None:
        if type(value) is int and lowest <= value <= highest:
            return value
        place.refuse(value, f"an integer from {lowest} to {highest}")
        return None

    return read


def boolean(value: Any, place: Place) -> bool | None:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    place.refuse(value, "true or false")
    return None


def matching(pattern: str, allowed: str, *, longest: int = LONGEST, empty: bool = False) -> Reader:
    """Read a string that a regular expression matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: Any, place: Place) -> str | None:
        if isinstance(value, str) and len(value) <= longest:
            if compiled.fullmatch(value) or (empty and not value):
                return value
            place.refuse(value, allowed)
        else:
            place.refuse(
                value, f"{allowed}, at most {longest} characters" if isinstance(value, str) else allowed
            )
        return None

    return read


def checked(refusal: Callable[[str], str | None]) -> Reader:
    """Read a string; `refusal` says what is allowed instead, or None."""

    def read(value: Any, place: Place) -> str | None:
        if not isinstance(value, str):
            place.refuse(value, "a string")
        elif len(value) > LONGEST:
            place.refuse(value, f"at most {LONGEST} characters")
        elif allowed := refusal(value):
            place.refuse(value, allowed)
        else:
            return value
        return None

    return read


def unprintable(text: str) -> str | None:
    """Say what is allowed if the text has a character that can't be seen on one line."""
    return None if text.isprintable() else "text on one line, without control characters"


def one_of(choices: Iterable[str]) -> Reader:
    """Read one of several words."""
    names = tuple(choices)

    def read(value: Any, place: Place) -> str | None:
        if isinstance(value, str) and value in names:
            return value
        place.refuse(value, listed(names), choices=names)
        return None

    return read


def member_of(kind: type[StrEnum]) -> Reader:
    """Read the value of an enumeration."""
    word = one_of([member.value for member in kind])

    def read(value: Any, place: Place) -> StrEnum | None:
        found = word(value, place)
        return None if found is None else kind(found)

    return read


def array_of(reader: Reader, *, allowed: str = "an array of strings") -> Reader:
    """Read an array, element by element; twice the same is refused."""

    def read(value: Any, place: Place) -> tuple[Any, ...] | None:
        if not isinstance(value, list):
            place.refuse(value, allowed)
            return None
        found: dict[Any, int] = {}
        for index, element in enumerate(value):
            element_read = reader(element, place.at(index))
            if element_read is None:
                continue
            if element_read in found:
                place.at(index).object_to(f"{shown(element)} a second time", "each value once")
            found.setdefault(element_read, index)
        return tuple(found)

    return read


def words_of(reader: Reader) -> Reader:
    """Read an array whose elements may repeat, such as the words of a command."""

    def read(value: Any, place: Place) -> tuple[Any, ...] | None:
        if not isinstance(value, list):
            place.refuse(value, "an array of strings")
            return None
        found = [reader(element, place.at(index)) for index, element in enumerate(value)]
        return tuple(element for element in found if element is not None)

    return read


def table(keys: Mapping[str, Reader], *, required: Mapping[str, str] = MappingProxyType({})) -> Reader:
    """Read a table of known keys; `required` says what has to be there, and what it may be."""

    def read(value: Any, place: Place) -> Fields | None:
        if not isinstance(value, dict):
            place.refuse(value, f"a table of {listed(keys)}")
            return None
        fields: Fields = {}
        for key, element in value.items():
            if key not in keys:
                place.refuse_unknown(key, keys)
            elif (found := keys[key](element, place.at(key))) is not None:
                fields[key] = found
        for key, allowed in required.items():
            if key not in value:
                place.at(key).refuse_missing(allowed)
        return fields

    return read


def mapping(key_pattern: str, key_allowed: str, reader: Reader) -> Reader:
    """Read a table whose keys are the user's own."""
    compiled = re.compile(key_pattern, re.ASCII)

    def read(value: Any, place: Place) -> Fields | None:
        if not isinstance(value, dict):
            place.refuse(value, "a table")
            return None
        fields: Fields = {}
        for key, element in value.items():
            if not compiled.fullmatch(key):
                place.at(key).refuse_words(f"the name {shown(key)}", key_allowed)
            elif (found := reader(element, place.at(key))) is not None:
                fields[key] = found
        return fields

    return read


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Fields:
    """Lay one table over another; tables inside are merged, everything else is replaced."""
    result: Fields = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
