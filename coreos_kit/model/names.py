"""Unit names: what they are made of, which are valid, and how they sort."""

import re
from dataclasses import dataclass, field, replace
from typing import Self

from coreos_kit.errors import InvalidUnit

# fmt: off
TYPES = frozenset({
    "automount", "busname", "device", "mount", "path", "scope", "service", "slice", "snapshot", "socket",
    "swap", "target", "timer",
})
# fmt: on
TEMPLATE_TYPES = frozenset({"path", "service", "socket", "target", "timer"})
MAX_LENGTH = 256

_INVALID_CHARACTER = re.compile(r"[^0-9a-zA-Z:\-_.\\@]")
_DIGITS = re.compile(r"([0-9]+)")

_SortKey = tuple[tuple[str | int, ...], bool, tuple[str | int, ...], str, str]


@dataclass(frozen=True, slots=True)
class UnitName:
    """A systemd unit name, ``prefix[@[instance]].type``.

    Split at the first ``@`` and the last ``.``, as fleet does (coreos/fleet unit/unit.go,
    NewUnitNameInfo). Names sort naturally: ``web@2.service`` before ``web@10.service``.
    """

    prefix: str
    type: str = "service"
    instance: str | None = None  # None: plain unit, "": template unit, "1": instance

    # Names are printed, hashed and sorted by the ten thousand, so both are worked out once.
    _text: str = field(init=False, repr=False, compare=False)
    _key: _SortKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at = "" if self.instance is None else f"@{self.instance}"
        text = f"{self.prefix}{at}.{self.type}"
        key = (
            _natural(self.prefix),
            self.instance is not None,
            _natural(self.instance or ""),
            self.type,
            text,
        )
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_key", key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name; refuse with `InvalidUnit` what fleet 1.0.0 refuses, in its words."""
        if reason := refusal(text):
            raise InvalidUnit(f"{text!r} is not a unit name: {reason}", hint=_hint(text))
        stem, _, type_ = text.rpartition(".")
        prefix, at, instance = stem.partition("@")
        return cls(prefix, type_, instance if at else None)

    @property
    def is_template(self) -> bool:
        """True of ``web@.service``, from which instances are made."""
        return self.instance == ""

    @property
    def is_instance(self) -> bool:
        """True of ``web@1.service``."""
        return bool(self.instance)

    @property
    def stem(self) -> str:
        """The name without its type: systemd's and fleet's ``%N``."""
        return self._text[: -len(self.type) - 1]

    @property
    def template(self) -> Self:
        """The template unit that this instance is made of, e.g. ``web@1.service`` -> ``web@.service``."""
        if self.instance is None:
            raise InvalidUnit(f"{self} is neither an instance nor a template unit")
        return replace(self, instance="")

    def instantiate(self, instance: str) -> Self:
        """Return the instance of this template unit, e.g. ``web@.service`` -> ``web@1.service``."""
        if not self.is_template:
            hint = f"Did you mean {self.prefix}@.{self.type}?"
            raise InvalidUnit(f"{self} is not a template unit", hint=hint)
        return replace(self, instance=instance)

    def expand(self, text: str) -> str:
        """Replace fleet's four specifiers, %n %N %p %i, as it does inside [X-Fleet].

        Plain replacement in this order: there is no ``%%`` (coreos/fleet job/job.go, unitPrintf).
        """
        if "%" not in text:
            return text
        for specifier, value in self.specifiers.items():
            text = text.replace(specifier, value)
        return text

    @property
    def specifiers(self) -> dict[str, str]:
        """What fleet's specifiers stand for, in the order in which it replaces them."""
        return {"%n": self._text, "%N": self.stem, "%p": self.prefix, "%i": self.instance or ""}

    def __str__(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __lt__(self, other: "UnitName") -> bool:
        return self._key < other._key

    def __le__(self, other: "UnitName") -> bool:
        return self._key <= other._key

    def __gt__(self, other: "UnitName") -> bool:
        return self._key > other._key

    def __ge__(self, other: "UnitName") -> bool:
        return self._key >= other._key


def refusal(text: str) -> str | None:
    """Say, in fleet's words, why `text` is no unit name; None if it is one.

    The checks and their order are those of coreos/fleet api/units.go, ValidateName.
    """
    if not text:
        return "unit name cannot be empty"
    if len(text.encode(errors="surrogateescape")) > MAX_LENGTH:
        return f"unit name exceeds maximum length ({MAX_LENGTH})"
    stem, dot, type_ = text.rpartition(".")
    if not dot:
        return 'unit name must contain "."'
    if not type_:
        return 'unit name cannot end in "."'
    if type_ not in TYPES:
        return f'invalid unit type: "{type_}"'
    if "@" in text and type_ not in TEMPLATE_TYPES:
        return f'invalid unit type for template: "{type_}"'
    if invalid := _INVALID_CHARACTER.search(stem):
        return f"invalid character {invalid.group()!r} in unit name"
    if text.startswith("@"):
        return 'unit name cannot start in "@"'
    return None


def _hint(text: str) -> str:
    if text and refusal(f"{text}.service") is None:
        return f"Did you mean {text}.service?"
    return ""


def _natural(text: str) -> tuple[str | int, ...]:
    # Odd places hold numbers and even ones text, so that two keys always compare like with like.
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(text)))
