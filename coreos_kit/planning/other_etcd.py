"""Balancers that, until they change, follow another etcd than the one in which instances will register."""

from collections.abc import Iterator, Sequence

from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitChange, Verb
from coreos_kit.units.pool_environment import words_on_etcd


def follows_other_etcd(waves: Sequence[Sequence[Step]]) -> frozenset[UnitName]:
    """Return the balancers that see nothing of what registers anew, until they change themselves."""
    return frozenset(
        change.name for change in _replaced(waves) if _where(change.before) != _where(change.after)
    )


def other_etcd_notes(waves: Sequence[Sequence[Step]]) -> Iterator[str]:
    """Say of each such unit what that means."""
    for unit in sorted(follows_other_etcd(waves)):
        yield (
            f"{unit} follows another etcd, API or prefix until it changes: nobody waits for its pool"
            " until then, and requests may be lost"
        )


def _replaced(waves: Sequence[Sequence[Step]]) -> Iterator[UnitChange]:
    for wave in waves:
        for step in wave:
            yield from (change for change in step.changes if change.verb in (Verb.REPLACE, Verb.MOVE))


def _where(text: str | None) -> frozenset[str]:
    return words_on_etcd(text or "")
