"""A plan as a file keeps it: its steps, and digests of all that it was made from. No text, no secret."""

from collections.abc import Mapping
from dataclasses import dataclass

Digest = str  # sha256, hexadecimal


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One unit's change; the texts before and after as digests, None where there is none."""

    unit: str
    verb: str
    reason: str
    before: Digest | None
    after: Digest | None


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """Changes of one machine that are made together."""

    machine: str
    changes: tuple[RecordedChange, ...]
    restarts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedFiles:
    """Secret files that one machine gets, each with its digest under the project's key, and loses."""

    write: Mapping[str, Digest]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedUnit:
    """A unit as it was seen on a machine."""

    state: str
    text: Digest | None


@dataclass(frozen=True, slots=True)
class RecordedMachine:
    """A machine as it was seen: whatever a plan depends on, and nothing that changes by itself."""

    machine_id: str
    private_ip: str
    public_ip: str
    metadata: Mapping[str, str]
    environment: Digest | None
    units: Mapping[str, RecordedUnit]


@dataclass(frozen=True, slots=True)
class RecordedOptions:
    """What the command line of a plan said, which `deploy --plan` needs not say again."""

    skip: tuple[str, ...]
    evacuate: tuple[str, ...]
    allow_remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What `plan --out` writes, and what `deploy --plan` holds against a plan made anew."""

    schema: str
    kit: str  # the version that made it
    project: str
    cluster: str
    options: RecordedOptions
    waves: tuple[tuple[RecordedStep, ...], ...]
    placements: Mapping[str, tuple[str, ...]]
    environments: Mapping[str, Digest]
    files: Mapping[str, RecordedFiles]
    images: Mapping[str, str]
    notes: tuple[str, ...]
    desired: Mapping[str, Digest]
    machines: Mapping[str, RecordedMachine]
    unreachable: tuple[str, ...]
    cordoned: tuple[str, ...]  # by hand, as what follows
    held: tuple[str, ...]
    scheduler: str  # fleet and its version, "" without
    seal: Digest  # of everything above
