"""What a deploy left, as it is kept: which unit ran from which text where, from what, by whom, and when.

A manifest names texts by their SHA-256; the texts lie beside it. Secrets are in neither.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import UnitKind

SCHEMA = "coreos-kit/release/v1"
KEPT = 10
LARGEST_BYTES = 1_500_000  # etcd takes 1.5 MB in a request that nobody has allowed more, key and all


class Outcome(StrEnum):
    """How a deploy ended."""

    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled back"  # it failed, and what it had changed was put back
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Revision:
    """What the workspace was checked out from."""

    commit: str = ""  # "": it is not in git
    is_dirty: bool = False


@dataclass(frozen=True, slots=True)
class ReleasedText:
    """A unit's text, by its digest, with what a deploy has to know of it."""

    digest: str
    service: str
    kind: UnitKind
    images: tuple[str, ...] = ()  # references that the text pulls and runs


@dataclass(frozen=True, slots=True)
class ReleasedUnit:
    """A unit of a release, and the machines that it stood on."""

    name: UnitName
    text: ReleasedText
    machines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """One deploy: a release where it came to its end, or an attempt of which the history tells."""

    number: int
    outcome: Outcome
    at: str
    owner: str
    host: str
    kit: str
    command: str
    revision: Revision
    configuration: str  # the digest of coreos-kit.toml's text
    units: tuple[ReleasedUnit, ...]
    digests: Mapping[str, str] = field(default_factory=dict)  # image reference -> digest
    back_to: int | None = None  # the release that this went back to
    error: str = ""

    @property
    def is_deployed(self) -> bool:
        """Whether this is a release, and no attempt."""
        return self.outcome is Outcome.DEPLOYED

    @property
    def texts(self) -> frozenset[str]:
        """The digests of every text that it needs."""
        return frozenset({self.configuration, *(unit.text.digest for unit in self.units)})

    @property
    def content(self) -> Mapping[UnitName, str]:
        """Which unit runs from which text: what tells two releases apart."""
        return {unit.name: unit.text.digest for unit in self.units}

    @property
    def places(self) -> Mapping[UnitName, tuple[str, ...]]:
        """On which machines each unit stood."""
        return {unit.name: unit.machines for unit in self.units}

    def manifest(self) -> str:
        """Write what stands in etcd; the same release gives the same bytes."""
        texts = list(dict.fromkeys(unit.text for unit in self.units))
        place = {text: number for number, text in enumerate(texts)}
        return json.dumps(
            {
                "schema": SCHEMA,
                "number": self.number,
                "outcome": self.outcome,
                "at": self.at,
                "owner": self.owner,
                "host": self.host,
                "kit": self.kit,
                "command": self.command,
                "revision": self.revision.commit,
                "dirty": self.revision.is_dirty,
                "back_to": self.back_to,
                "error": self.error,
                "configuration": self.configuration,
                "digests": dict(sorted(self.digests.items())),
                "texts": [[text.digest, text.service, text.kind, list(text.images)] for text in texts],
                "units": [[str(unit.name), place[unit.text], list(unit.machines)] for unit in self.units],
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, number: int, manifest: str) -> "Release":
        """Read what stands in etcd, whoever wrote it; raises `ValueError` for what no deploy has written."""
        try:
            return _release(number, json.loads(manifest))
        except (KeyError, TypeError, AttributeError, IndexError, RecursionError, InvalidUnit) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def digest_of(text: str) -> str:
    """Return the name of a text; what v2 hands out may hold half of a surrogate pair."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _release(number: int, words: Any) -> Release:
    if words["schema"] != SCHEMA or words["number"] != number:
        raise ValueError(f"it is not the manifest of release {number}")
    texts = [
        ReleasedText(_text(digest), _text(service), UnitKind(kind), _texts(images))
        for digest, service, kind, images in words["texts"]
    ]
    units = tuple(
        ReleasedUnit(UnitName.parse(_text(name)), texts[_number(place)], _texts(machines))
        for name, place, machines in words["units"]
    )
    back_to = words["back_to"]
    return Release(
        number=number,
        outcome=Outcome(words["outcome"]),
        at=_text(words["at"]),
        owner=_text(words["owner"]),
        host=_text(words["host"]),
        kit=_text(words["kit"]),
        command=_text(words["command"]),
        revision=Revision(_text(words["revision"]), words["dirty"] is True),
        configuration=_text(words["configuration"]),
        units=units,
        digests={_text(name): _text(digest) for name, digest in words["digests"].items()},
        back_to=None if back_to is None else _number(back_to),
        error=_text(words["error"]),
    )


def _text(word: object) -> str:
    if not isinstance(word, str):
        raise TypeError(f"{word!r} is no text")
    return word


def _texts(words: Sequence[object]) -> tuple[str, ...]:
    return tuple(_text(word) for word in words)


def _number(word: object) -> int:
    if not isinstance(word, int) or isinstance(word, bool) or word < 0:
        raise TypeError(f"{word!r} is no number")
    return word
