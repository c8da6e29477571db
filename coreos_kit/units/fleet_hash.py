"""Unit files as fleet reads them, and the hash by which it knows them.

fleet reads with go-systemd, which differs from systemd: comments inside a continuation are part of the
value, a comment can itself be continued, and some files that systemd takes are refused.
The rules are those of fleet 1.0.0 (coreos/go-systemd unit/deserialize.go and serialize.go).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from coreos_kit.errors import InvalidUnit

LINE_MAX_BYTES = 2048

# Go's unicode.IsSpace; Python's own idea has four control characters more.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class FleetRefusal(InvalidUnit):
    """fleet would not take a file; the message is fleet's own, and `line` says where it stopped reading."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class FleetOption:
    """An assignment as fleet stores it: a continued value keeps its backslashes and line breaks."""

    section: str
    name: str
    value: str


def fleet_hash(text: str) -> str:
    """Return the 40 hex digits that fleet shows for a unit of this text; refuse what it refuses."""
    return hashlib.sha1(fleet_text(text).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def fleet_text(text: str) -> str:
    """Return the text that fleet makes of a unit file, as `fleetctl cat` prints it."""
    return _serialise(fleet_options(text))


@lru_cache(maxsize=256)  # instances of a template share their text
def fleet_options(text: str) -> tuple[FleetOption, ...]:
    """Read a unit file as fleet does; raise `FleetRefusal` with fleet's own words where it refuses."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.encode(errors="surrogateescape")) >= LINE_MAX_BYTES:
            raise FleetRefusal(f"line too long (max {LINE_MAX_BYTES} bytes)", line=number)
    reader = _Reader(text)
    if not reader.skip_to_first_section():
        return ()
    options: list[FleetOption] = []
    section = reader.section_name()
    while reader.skip_to_content():
        if reader.take("["):
            section = reader.section_name()
        else:
            options.append(FleetOption(section, reader.option_name(), reader.option_value()))
    return tuple(options)


def _serialise(options: Iterable[FleetOption]) -> str:
    sections: dict[str, list[str]] = {}
    for option in options:
        sections.setdefault(option.section, []).append(f"{option.name}={option.value}\n")
    return "\n".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


@dataclass(slots=True)
class _Reader:
    """A place in a text, and the ways in which fleet moves on from it."""

    text: str
    at: int = 0

    def skip_to_first_section(self) -> bool:
        """Move past the first ``[`` outside comments; what stands before it does not count."""
        while self.at < len(self.text):
            if self.take("["):
                return True
            if not self._skip_comment():
                self.at += 1
        return False

    def skip_to_content(self) -> bool:
        """Move past blanks and comments; False at the end of the file."""
        while self.at < len(self.text):
            if self.text[self.at] in _SPACE:
                self.at += 1
            elif not self._skip_comment():
                return True
        return False

    def take(self, character: str) -> bool:
        taken = self.text.startswith(character, self.at)
        self.at += taken
        return taken

    def section_name(self) -> str:
        end = self.text.find("]", self.at)
        if end < 0:
            raise self._refusal("unable to find end of section")
        name = self.text[self.at : end]
        self.at = end + 1
        header_at = self.at
        if garbage := self._line().strip(_SPACE):
            self.at = header_at
            # fleet names no section here and prints the bytes as numbers.
            numbers = " ".join(str(byte) for byte in garbage.encode(errors="surrogateescape"))
            raise self._refusal(f"found garbage after section name : [{numbers}]")
        return name

    def option_name(self) -> str:
        for i in range(self.at, len(self.text)):
            character = self.text[i]
            if character == "=":
                name = self.text[self.at : i]
                self.at = i + 1
                return name.strip(_SPACE)
            if character in "\r\n":
                raise self._refusal("unexpected newline encountered while parsing option name")
        raise self._refusal("EOF")

    def option_value(self) -> str:
        value = ""
        while (line := self._line()).strip(_SPACE):
            value += line
            if not line.endswith("\\"):
                break
            if self.text[self.at - 1] == "\n":
                value += "\n"
        kept_newline = "\n" if value.endswith("\n") else ""
        return value.strip(_SPACE) + kept_newline

    def _refusal(self, message: str) -> FleetRefusal:
        return FleetRefusal(message, line=self.text.count("\n", 0, self.at) + 1)

    def _skip_comment(self) -> bool:
        if self.text[self.at] not in "#;":
            return False
        while self._line().removesuffix(" ").endswith("\\"):
            pass
        return True

    def _line(self) -> str:
        end = self.text.find("\n", self.at)
        if end < 0:  # only here does fleet take a carriage return for the end of a line
            line = self.text[self.at :].removesuffix("\r")
            self.at = len(self.text)
        else:
            line = self.text[self.at : end]
            self.at = end + 1
        return line
