"""Unit files as systemd reads them, without losing a byte of what their author wrote.

The text is the truth: it is kept whole, what was read points into it, and an edit is a new text.
`fleet_hash` reads the same text as fleet does, which is not always the same.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self

from coreos_kit.errors import InvalidUnit

Span = tuple[int, int]  # of the text: first character, one past the last

_WHITESPACE = " \t\n\r"  # systemd's own, for lines; str.strip() would take more
_COMMENT = ("#", ";")
_PHYSICAL = re.compile(r"([^\r\n]*)(\n\r?|\r\n?|\Z)")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Option:
    """One assignment. Its value is unquoted by nobody: quotes and specifiers stand as written.

    Continued lines are joined by a space, and comment lines between them left out.
    """

    section: str
    name: str
    value: str
    line: int  # the first of its lines, from 1
    spans: tuple[Span, ...] = field(repr=False, compare=False)  # of the value, a line each


@dataclass(frozen=True, slots=True)
class Problem:
    """Something systemd complains about; if it is fatal, the whole file is not loaded."""

    line: int
    message: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class _Block:
    """A section from its header to the end of its last assignment; a name can have several."""

    section: str
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit file's text and what systemd reads in it."""

    text: str
    all_options: tuple[Option, ...] = field(repr=False, compare=False)
    problems: tuple[Problem, ...] = field(repr=False, compare=False)
    _blocks: tuple[_Block, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any text; what systemd would not like is in `problems`."""
        return cls(text, *_read(text))

    def __str__(self) -> str:
        return self.text

    @property
    def sections(self) -> tuple[str, ...]:
        """Names in the order of their first appearance."""
        return tuple(dict.fromkeys(block.section for block in self._blocks))

    @property
    def section_lines(self) -> tuple[tuple[str, int], ...]:
        """Every section header with its line."""
        return tuple((block.section, block.line) for block in self._blocks)

    def options(self, section: str) -> tuple[Option, ...]:
        """Return a section's assignments in order, wherever in the file its parts stand."""
        return tuple(option for option in self.all_options if option.section == section)

    def values(self, section: str, name: str) -> tuple[str, ...]:
        """Return every value given to a key, the empty ones included."""
        return tuple(option.value for option in self.options(section) if option.name == name)

    def value(self, section: str, name: str) -> str | None:
        """Return the value that counts where the key is no list, the last one; None without any."""
        values = self.values(section, name)
        return values[-1] if values else None

    def with_section(self, section: str, options: Iterable[tuple[str, str]]) -> Self:
        """Make these the section's only assignments, where it stands or at the end; safe to repeat."""
        new = f"[{section}]\n" + "".join(_assignment(name, value) for name, value in options)
        blocks = [block for block in self._blocks if block.section == section]
        if not blocks:
            head = _closed(self.text)
            return self.parse(f"{head}\n{new}" if head else new)
        edits = [(blocks[0].start, blocks[0].end, new)] + [
            (block.start, block.end, "") for block in blocks[1:]
        ]
        return self.parse(_spliced(self.text, edits))

    def replace_word(self, old: str, new: str) -> Self:
        """Replace a whole word in all values, e.g. an image's reference. Comments stay as they are."""
        word = re.compile(rf"(?<![^\s\"'=]){re.escape(old)}(?![^\s\"'\\;])")
        edits = [
            (start + found.start(), start + found.end(), new)
            for option in self.all_options
            for start, end in option.spans
            for found in word.finditer(self.text[start:end])
        ]
        return self.parse(_spliced(self.text, edits)) if edits else self


@dataclass(slots=True)
class _Line:
    """A logical line: physical ones joined by backslashes, without the comments between them."""

    number: int
    start: int
    end: int = 0
    joined: str = ""
    spans: list[Span] = field(default_factory=list)


def _logical_lines(text: str) -> Iterator[_Line]:
    # systemd src/shared/conf-parser.c, config_parse: comments are skipped even inside a continuation.
    line: _Line | None = None
    for number, physical in enumerate(_PHYSICAL.finditer(text), 1):
        start, body = physical.start(), physical[1]
        if start == len(text):
            break
        if number == 1 and body.startswith(_BYTE_ORDER_MARK):
            start, body = start + 1, body[1:]
        if body.lstrip(_WHITESPACE).startswith(_COMMENT):
            continue
        line = line or _Line(number, start)
        line.end = physical.end()
        if is_continued(body):
            line.joined += body[:-1] + " "
            line.spans.append((start, start + len(body) - 1))
            continue
        line.joined += body
        line.spans.append((start, start + len(body)))
        yield line
        line = None
    if line:
        yield line


def is_continued(line: str) -> bool:
    """Tell whether systemd joins the next line to this one: by a backslash that is not itself escaped."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


@lru_cache(maxsize=256)  # instances of a template share their text
def _read(text: str) -> tuple[tuple[Option, ...], tuple[Problem, ...], tuple[_Block, ...]]:
    options: list[Option] = []
    problems: list[Problem] = []
    blocks: list[_Block] = []
    for line in _logical_lines(text):
        content = line.joined.strip(_WHITESPACE)
        if not content:
            continue
        if content.startswith("["):
            if content.endswith("]"):
                blocks.append(_Block(content[1:-1], line.number, line.start, line.end))
            else:
                problems.append(Problem(line.number, f"invalid section header {content!r}", fatal=True))
            continue
        name, equals, value = content.partition("=")
        if not equals:
            problems.append(Problem(line.number, f"no '=' in {content!r}; systemd ignores the line"))
        elif not name:
            problems.append(
                Problem(line.number, f"nothing before '=' in {content!r}; systemd ignores the line")
            )
        elif not blocks:
            problems.append(Problem(line.number, f"{name.strip()}= stands before the first section; ignored"))
        else:
            section = blocks[-1].section
            blocks[-1] = replace(blocks[-1], end=line.end)
            spans = _value_spans(text, line.spans)
            options.append(
                Option(section, name.strip(_WHITESPACE), value.strip(_WHITESPACE), line.number, spans)
            )
    return tuple(options), tuple(problems), tuple(blocks)


def _value_spans(text: str, spans: list[Span]) -> tuple[Span, ...]:
    for i, (start, end) in enumerate(spans):
        if (equals := text.find("=", start, end)) >= 0:
            return ((equals + 1, end), *spans[i + 1 :])
    raise AssertionError("an assignment has an equals sign")


def _assignment(name: str, value: str) -> str:
    for word in (name, value):
        if "\n" in word or "\r" in word or "\0" in word:
            raise InvalidUnit(f"a line break in {name!r} = {value!r} would smuggle a line into a unit")
    if value.endswith("\\"):
        raise InvalidUnit(f"{name}={value} ends in a backslash, which would swallow the next line")
    return f"{name}={value}\n"


def _closed(text: str) -> str:
    """Return a text after which a new line begins: nothing unfinished and nothing continued."""
    if not text:
        return text
    if not text.endswith(("\n", "\r")):
        text += "\n"
    # fleet lets a comment be continued too, so this asks for the last line whatever it is.
    return (
        text + "\n" if text.rstrip("\r\n").endswith("\\") and not re.search(r"\n\r?\n", text[-3:]) else text
    )


def _spliced(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text
