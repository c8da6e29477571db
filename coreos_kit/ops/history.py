"""One release looked at: what it has, and what it changed against the one before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coreos_kit.model.plan import UnitChange, Verb
from coreos_kit.model.release import Release, ReleasedUnit, digest_of
from coreos_kit.ops.releases import History, read_history, stored_texts
from coreos_kit.ops.session import Session
from coreos_kit.ops.vouching import Vouched, ask_who_vouches

_LOST = "(this text is not in etcd any more, or is another)\n"


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release or an attempt, beside the release before it."""

    release: Release
    before: Release | None
    changes: tuple[UnitChange, ...]
    configurations: tuple[str, str]  # before and after
    vouched: Vouched | None = None  # None: an attempt, which nobody seals


def view(session: Session, number: int) -> ReleaseView:
    """Show a release; raises `KitError` where there is none of that number.

    The machines are asked whether they vouch for it, as `rollback` would.
    """
    history = read_history(session)
    recorded = history.find(number)
    release = recorded.release
    before = _before(history, number)
    texts = stored_texts(session)
    return ReleaseView(
        release,
        before,
        tuple(_changes(before, release, texts)),
        (_text(texts, before.configuration) if before else "", _text(texts, release.configuration)),
        ask_who_vouches(session, recorded) if release.is_deployed else None,
    )


def _before(history: History, number: int) -> Release | None:
    earlier = [one.release for one in history.deployed if one.release.number < number]
    return earlier[-1] if earlier else None


def _changes(before: Release | None, after: Release, texts: Mapping[str, str]) -> Iterator[UnitChange]:
    was = {unit.name: unit for unit in before.units} if before else {}
    now = {unit.name: unit for unit in after.units}
    for unit in after.units:
        old = was.get(unit.name)
        if old is None:
            yield UnitChange(unit.name, Verb.CREATE, _where(unit), "was not there")
        elif old.text.digest != unit.text.digest:
            pair = (_text(texts, old.text.digest), _text(texts, unit.text.digest))
            yield UnitChange(unit.name, Verb.REPLACE, _where(unit), "its text changed", *pair)
        elif old.machines != unit.machines:
            yield UnitChange(unit.name, Verb.MOVE, _where(unit), f"was on {_where(old)}")
    for name, old in was.items():
        if name not in now:
            yield UnitChange(name, Verb.REMOVE, _where(old), "is not there any more")


def _where(unit: ReleasedUnit) -> str:
    return ", ".join(unit.machines)


def _text(texts: Mapping[str, str], digest: str) -> str:
    text = texts.get(digest, "")
    return text if digest_of(text) == digest else _LOST
