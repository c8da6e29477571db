"""Configuration values inside unit files: whatever a value is, systemd reads it back as that very value.

Facts: man systemd.service, "COMMAND LINES"; man systemd.syntax, "QUOTING"; systemd src/basic/extract-word.c.
A word of a command line is unquoted first, then specifiers (%) are expanded, then variables ($).
"""

import re
import shlex

from coreos_kit.errors import InvalidUnit

# fleet 1.0.0 refuses a longer line ("line too long"), and so did the systemd of its days.
MAX_LINE_BYTES = 2048

_PLAIN = re.compile(r"[A-Za-z0-9_./:=@,+^~-]+")
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def argument(value: str) -> str:
    """Return one word of an Exec line that systemd reads back as `value`; quoted only where it must be."""
    _refuse_unspeakable(value)
    if _PLAIN.fullmatch(value):
        return value
    return '"' + "".join(_NAMED.get(char) or _escaped_control(char) for char in value) + '"'


def command(value: str) -> str:
    """Return the words of a command, split as a shell would, each as `argument` writes it."""
    try:
        words = shlex.split(value)
    except ValueError as error:
        hint = "Close the quote, or escape it with a backslash."
        raise InvalidUnit(f"the command {value!r} can't be split into words: {error}", hint=hint) from error
    return " ".join(argument(word) for word in words)


def line(value: str) -> str:
    """Return the value of a directive that is neither quoted nor split: Description=, Project=."""
    return literal(value).replace("%", "%%")


def literal(value: str) -> str:
    """Return the value of an [X-Fleet] option as it is: fleet has no way to escape anything."""
    _refuse_unspeakable(value)
    if _CONTROL.search(value):
        raise InvalidUnit(f"{value!r} can't stand in a unit: it holds a control character")
    if value.endswith("\\"):
        raise InvalidUnit(f"{value!r} can't stand in a unit: its last backslash would swallow the next line")
    if value != value.strip():
        raise InvalidUnit(f"{value!r} can't stand in a unit: blanks at its ends would be lost")
    return value


def script(text: str) -> str:
    """Return a shell script as one single-quoted word over several lines, joined by backslashes.

    systemd joins the lines with blanks, so each line of `text` has to end where a blank may stand: after a
    semicolon or a word like `do`. Empty lines and comments are left out.
    """
    lines = [part.rstrip() for part in text.splitlines()]
    kept = [_in_single_quotes(part) for part in lines if part and not part.lstrip().startswith("#")]
    return "'" + " \\\n".join(["", *kept]).removeprefix(" ") + "'"


def shell_word(value: str) -> str:
    """Return `value` as one word of a script that goes through `script`."""
    _refuse_unspeakable(value)
    if _CONTROL.search(value):
        raise InvalidUnit(f"{value!r} can't stand in a sidekick: it holds a control character")
    return shlex.quote(value)


def _in_single_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("%", "%%").replace("$", "$$")


def _escaped_control(char: str) -> str:
    return f"\\x{ord(char):02x}" if _CONTROL.match(char) else char


def _refuse_unspeakable(value: str) -> None:
    if "\0" in value:
        raise InvalidUnit(f"{value!r} can't stand in a unit: no argument can hold a NUL")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidUnit(f"{value!r} can't stand in a unit: it is not valid Unicode") from error
