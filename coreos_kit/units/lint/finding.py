"""What lint has to say, and the file it says it about."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePath

from coreos_kit.model.names import UnitName, refusal
from coreos_kit.units.unit_file import Option, UnitFile


class Severity(StrEnum):
    """An error does not do what it says; a warning works and will hurt one day."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in one place."""

    path: str
    line: int
    rule: str
    severity: Severity
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.severity}: {self.message} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Source:
    """A unit file under lint, with its name; a template unit stands for its instance ``%i``."""

    path: str
    unit: UnitFile
    name: UnitName | None  # None: the file's name is no unit name

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        """Parse the text; the base name of the path is the unit's name."""
        base = PurePath(path).name
        name = UnitName.parse(base) if refusal(base) is None else None
        if name and name.is_template:
            name = replace(name, instance="%i")
        return cls(path, UnitFile.parse(text), name)

    @property
    def is_template(self) -> bool:
        """Whether the file is a template unit."""
        return self.name is not None and self.name.instance == "%i"

    def words(self, section: str, *keys: str) -> Iterator[tuple[str, Option]]:
        """Yield the blank-separated words of the keys' values, specifiers expanded: the names of units."""
        for option in self.unit.options(section):
            if option.name in keys:
                for word in option.value.split():
                    yield (self.name.expand(word) if self.name else word), option

    def error(self, line: int, rule: str, message: str, hint: str = "") -> Finding:
        """Say that something in this file does not do what it says."""
        return Finding(self.path, line, rule, Severity.ERROR, message, hint)

    def warning(self, line: int, rule: str, message: str, hint: str = "") -> Finding:
        """Say that something in this file works and will hurt one day."""
        return Finding(self.path, line, rule, Severity.WARNING, message, hint)
