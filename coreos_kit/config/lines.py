"""Where in a TOML text its keys stand. A light scan of text that tomllib has accepted already."""

import json
import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = r'"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'"
_KEY = rf"(?:[A-Za-z0-9_-]+|{_QUOTED})"
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*\[(\[)?[ \t]*({_DOTTED})[ \t]*\](?(1)\])")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' + r"|'''.*?'{3,5}" + rf"|{_QUOTED}" + r"|#[^\n]*|[\[\]{}\n]", re.DOTALL
)


def line_table(text: str) -> dict[KeyPath, int]:
    """Return the line on which each key (also of a table, also a part of a dotted one) comes up first."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    at = 0
    while at < len(text):
        if header := _HEADER.match(text, at):
            table = _parts(header[2])
            _note(lines, (), table, text.count("\n", 0, at) + 1)
            at = _end_of_value(text, header.end())
        elif assignment := _ASSIGNMENT.match(text, at):
            _note(lines, table, _parts(assignment[1]), text.count("\n", 0, at) + 1)
            at = _end_of_value(text, assignment.end())
        else:
            at = _end_of_value(text, at)
    return lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of a key; inside an inline table or an array, the line that it begins on."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def shown(path: KeyPath) -> str:
    """Write a key path as TOML would: `services.apache.instances[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE.fullmatch(part) else json.dumps(part)
            text += f".{key}" if text else key
    return text


def _note(lines: dict[KeyPath, int], table: KeyPath, keys: KeyPath, line: int) -> None:
    for length in range(1, len(keys) + 1):  # [a.b] makes a as well
        lines.setdefault((*table, *keys[:length]), line)


def _end_of_value(text: str, at: int) -> int:
    """Return where the line after a value begins; newlines inside brackets and strings don't count."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] == "\n" and depth == 0:
            return token.end()
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
    return len(text)


def _parts(dotted: str) -> KeyPath:
    found: object = tomllib.loads(f"{dotted} = 0")
    parts: list[str] = []
    while isinstance(found, dict):
        ((key, found),) = found.items()
        parts.append(key)
    return tuple(parts)
