"""What a deploy would do, as a value: which unit changes where, why, and in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from coreos_kit.model.names import UnitName
from coreos_kit.model.secret import FileNames


class UnitKind(StrEnum):
    """What a unit is for."""

    MAIN = "main"
    SIDEKICK = "sidekick"
    LOAD_BALANCER = "load balancer"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class DesiredUnit:
    """A unit as it should stand on its machine; instances of a template share the text."""

    name: UnitName
    text: str
    service: str
    kind: UnitKind
    images: tuple[str, ...] = ()  # references that the text pulls and runs


class Verb(StrEnum):
    """What happens to a unit."""

    CREATE = "create"
    REPLACE = "replace"  # its text changed
    RESTART = "restart"  # its text is right, but it is not running
    REMOVE = "remove"
    MOVE = "move"  # removed from one machine, created on another


@dataclass(frozen=True, slots=True)
class UnitChange:
    """One unit on one machine; `before` and `after` are texts, None where there is none."""

    name: UnitName
    verb: Verb
    machine: str
    reason: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Changes of one machine that are made together: an instance and its sidekick, or all that is new there.

    `restarts` are units of the same instance that stop and start along, though nothing changes in them.
    """

    machine: str
    changes: tuple[UnitChange, ...]
    restarts: tuple[UnitName, ...] = ()

    @property
    def units(self) -> tuple[UnitName, ...]:
        """Every unit that this step touches, in the order of starting."""
        return (*(change.name for change in self.changes), *self.restarts)


@dataclass(frozen=True, slots=True)
class Downtime:
    """A service, or a balancer, of which at one point of a plan nothing serves."""

    service: str
    units: tuple[tuple[UnitName, str], ...]  # what stops at that point, each with its machine
    is_allowed: bool = False  # by the configuration; a balancer that stands alone can't change otherwise
    stops_within_s: int = 0  # from leaving the pool to standing still; then it starts

    def __str__(self) -> str:
        """Say it as one sentence without its full stop."""
        stopping = ", ".join(f"{unit} on {machine}" for unit, machine in self.units)
        how_long = f", for up to {self.stops_within_s} s and as long as it takes to start"
        return (
            f"{self.service} will be down while {stopping} changes: nothing else of it serves"
            f"{how_long if self.stops_within_s else ''}"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The waves of a deploy: the steps of a wave run at once, on different machines, wave after wave."""

    waves: tuple[tuple[Step, ...], ...]
    placements: Mapping[UnitName, tuple[str, ...]]  # each unit's machines, by name
    environments: Mapping[str, str] = field(default_factory=dict)  # machine -> the environment file it lacks
    files: Mapping[str, FileNames] = field(default_factory=dict)  # machine -> secret files, names only
    digests: Mapping[str, str] = field(default_factory=dict)  # image reference -> digest
    stuck: Mapping[UnitName, Sequence[str]] = field(default_factory=dict)  # what a drain leaves: machine: why
    downtimes: tuple[Downtime, ...] = ()
    waits_s: int = 0  # for how long it drains and pauses, whatever else takes how long
    notes: tuple[str, ...] = ()  # what the operator should know, though nothing is done about it

    @property
    def changes(self) -> tuple[UnitChange, ...]:
        """Every change, in the order in which it would be made."""
        return tuple(change for wave in self.waves for step in wave for change in step.changes)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.waves and not self.environments and not self.files
