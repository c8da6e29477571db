"""The patterns of Conflicts= and Replaces=: Go's path.Match, which is not Python's fnmatch.

``*`` and ``?`` stop at a slash, a class is negated by ``^`` alone, and a malformed pattern matches nothing.
"""

import re
from functools import lru_cache

_NOTHING = re.compile(r"(?!)")
_META = re.compile(r"[*?\[\\]")


class _MalformedError(Exception):
    """Stays in this module: to fleet, a malformed pattern is one that matches nothing."""


def matches(pattern: str, name: str) -> bool:
    """Tell whether the pattern matches the whole name."""
    return compiled(pattern).fullmatch(name) is not None


def is_malformed(pattern: str) -> bool:
    """Tell whether Go refuses the pattern, which fleet takes for "no match" without a word."""
    return compiled(pattern) is _NOTHING


def literal_prefix(pattern: str) -> str:
    """Return what every matching name begins with."""
    meta = _META.search(pattern)
    return pattern[: meta.start()] if meta else pattern


@lru_cache(maxsize=16384)
def compiled(pattern: str) -> re.Pattern[str]:
    """Translate the pattern to a regular expression, to be used with `fullmatch`."""
    try:
        return re.compile(_translated(pattern), re.DOTALL)
    except _MalformedError:
        return _NOTHING


def _translated(pattern: str) -> str:
    expression, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            expression, at = expression + "[^/]*", at + 1
        elif character == "?":
            expression, at = expression + "[^/]", at + 1
        elif character == "[":
            part, at = _character_class(pattern, at + 1)
            expression += part
        else:
            literal, at = _character(pattern, at) if character == "\\" else (character, at + 1)
            expression += re.escape(literal)
    return expression


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern.startswith("^", at)
    at += negated
    ranges = ""
    first = True
    while first or not pattern.startswith("]", at):
        low, at = _class_character(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_character(pattern, at + 1)
        if low <= high:  # Go takes an upside-down range for an empty one
            ranges += f"{re.escape(low)}-{re.escape(high)}"
        first = False
    if not ranges:
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{ranges}]", at + 1


def _class_character(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith(("-", "]"), at):
        raise _MalformedError
    return _character(pattern, at)


def _character(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("\\", at):
        at += 1
    if at >= len(pattern):
        raise _MalformedError
    return pattern[at], at + 1
