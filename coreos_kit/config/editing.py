"""Change one list of a coreos-kit.toml in its text: comments, order and layout of everything else stay."""

import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coreos_kit.config.lines import shown

if TYPE_CHECKING:
    from tomlkit.items import Array

KeyPath = tuple[str, ...]


class NotEditable(Exception):
    """The list can't be changed in place; whoever asked says what to write by hand."""


def resized(text: str, path: KeyPath, wanted: Sequence[int | str]) -> str:
    """Return the text with the list at `path` changed at its end, so that it holds `wanted`.

    A comment behind an element that goes, goes with it. The list must be there, and begin as `wanted` does.
    Raises `NotEditable` where the result would not say exactly that; the text is valid TOML.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    expected = _with(tomllib.loads(text), path, list(wanted))
    refusal = NotEditable(f"{shown(path)} can't be changed in place")
    try:
        document = tomlkit.parse(text)
        if tomlkit.dumps(document) != text:
            raise refusal
        inside: Any = document
        for key in path:
            inside = inside[key]
        _resize(inside, wanted)
        changed = tomlkit.dumps(document)
        if tomllib.loads(changed) != expected:
            raise refusal
    except (TOMLKitError, tomllib.TOMLDecodeError, LookupError, TypeError, AttributeError) as error:
        raise refusal from error
    return changed


def _resize(array: "Array", wanted: Sequence[int | str]) -> None:
    while len(array) > len(wanted):
        del array[-1]
    for element in wanted[len(array) :]:
        array.append(element)


def _with(tables: dict[str, Any], path: KeyPath, value: object) -> dict[str, Any]:
    inside = tables
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return tables
