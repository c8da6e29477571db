"""Mend: of the ghosts that were found, those that can be taken away without touching what serves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coreos_kit.errors import KitError
from coreos_kit.model.chain import State, Verdict
from coreos_kit.model.ghosts import DeleteKey, Mend, RemoveContainer
from coreos_kit.ops.lock import Lock, held_lock
from coreos_kit.ops.session import Session
from coreos_kit.ops.verify import verify
from coreos_kit.ports import Change

SETTLE_S = 15  # for the balancer to follow what was deleted

_IT_CHANGED = "it is not as it was seen any more, so it was left"


@dataclass(frozen=True, slots=True)
class Mended:
    """What was to be done, and why it was not; "" if it was."""

    mend: Mend
    error: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What was tried, and what a last look gave."""

    verdict: Verdict
    mended: tuple[Mended, ...] = ()


def mends_of(verdict: Verdict) -> tuple[Mend, ...]:
    """Return what can be done about a verdict's ghosts, each once."""
    return tuple(dict.fromkeys(ghost.mend for ghost in verdict.ghosts if ghost.mend))


def mend(session: Session, verdict: Verdict, confirm: Callable[[Sequence[Mend]], None]) -> Fixed:
    """Mend what is safe, once `confirm` has let it pass, and look again; the rest stays as it is.

    Looks once more before it touches anything: while somebody thought about the question, a machine may have
    come back or a deploy gone on. One failure does not keep the others from being mended.
    """
    mends = mends_of(verdict)
    if not mends:
        return Fixed(verdict)
    confirm(mends)
    with held_lock(session, "coreos-kit verify --fix") as lock:
        still = set(mends_of(verify(session)))
        mended = tuple(
            Mended(one, _attempt(session, one, lock) if one in still else _IT_CHANGED) for one in mends
        )
    return Fixed(verify(session, wait_s=SETTLE_S, until=lambda seen: _has_settled(verdict, seen)), mended)


def _attempt(session: Session, one: Mend, lock: Lock) -> str:
    session.progress(str(one))
    try:
        lock.ensure()
        return "" if _apply(session, one) else _IT_CHANGED
    except KitError as error:
        return str(error)


def _apply(session: Session, one: Mend) -> bool:
    if isinstance(one, DeleteKey):
        return session.store().delete_if_value(one.key, one.value)
    if isinstance(one, RemoveContainer):
        session.engines[one.machine].remove_container(one.id)
        return True
    session.driver.apply(Change(one.machine, write={one.unit: one.text}))
    return True


def _has_settled(before: Verdict, seen: Verdict) -> bool:
    """Whether nothing is left but what was not to be mended."""
    left = {(ghost.kind, ghost.machine, ghost.subject) for ghost in before.ghosts if not ghost.mend}
    return seen.count(State.BROKEN) <= before.count(State.BROKEN) and all(
        (ghost.kind, ghost.machine, ghost.subject) in left for ghost in seen.ghosts
    )
