"""Holds: units that somebody stopped by hand, and that stay stopped until they are started."""

from collections.abc import Sequence
from dataclasses import dataclass

from coreos_kit.errors import KitError, Unreachable, UsageError
from coreos_kit.model.cluster import ObservedUnit
from coreos_kit.model.holding import holding_of
from coreos_kit.model.keys import hold_key, holds_folder
from coreos_kit.model.names import UnitName
from coreos_kit.ops.holding import mark, read_holding, try_read_holding
from coreos_kit.ops.restarting import restart
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import (
    UnitsResult,
    find,
    matches,
    start,
    stop,
    stop_and_stay,
    with_sidekicks,
)


@dataclass(frozen=True, slots=True)
class Held:
    """What became of units that were stopped to stay so, or started again."""

    result: UnitsResult
    units: tuple[UnitName, ...]  # that are held now, or no more
    problem: str = ""  # why it can't be told whether they were held


def stop_until_deploy(session: Session, units: Sequence[ObservedUnit], why: str) -> Held:
    """Stop units; the next deploy starts them again."""
    del why  # nothing is written down
    return Held(stop(session, units), ())


def stop_and_hold(session: Session, units: Sequence[ObservedUnit], why: str) -> Held:
    """Stop units, and remember that they stay stopped until somebody starts them; no boot starts them either.

    It is written down first: what is only stopped, the next deploy would start again.
    """
    mains = _without_sidekicks(session, units)
    held = read_holding(session).held
    text = mark(session, why).text()
    for name in dict.fromkeys(unit.name for unit in mains):
        if name not in held:
            session.store().put(hold_key(session.project.name, name), text)
    result = stop_and_stay(session, with_sidekicks(session, mains))
    return Held(result, tuple(dict.fromkeys(unit.name for unit in mains)))


def start_again(session: Session, patterns: Sequence[str]) -> Held:
    """Start units, and forget that they were held. Without etcd they start all the same, and that is said."""
    released, problem = _release(session, patterns)
    try:
        units = find(session, patterns)
    except KitError as error:
        if not released:
            raise
        names = ", ".join(str(name) for name in released)
        raise KitError(
            f"{names} {'is' if len(released) == 1 else 'are'} not held any more; {error}",
            hint="What stands nowhere, coreos-kit deploy places.",
        ) from error
    # A sidekick was held with its unit, and no boot would start it.
    return Held(start(session, with_sidekicks(session, units) if released else units), released, problem)


def restart_unless_held(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Restart units; refuse what is held, and its sidekick. Without etcd nothing is known to be."""
    holding, _ = try_read_holding(session)
    mains = {unit.name: session.cluster.main_of(unit.name) for unit in units}
    held = sorted(name for name, main in mains.items() if main in holding.held)
    if held:
        main = mains[held[0]]
        beside = f" with {main}" if main != held[0] else ""
        raise KitError(
            f"{held[0]} is held{beside}{holding.held[main]}",
            details=[f"so is {name}" for name in held[1:]],
            hint=f"Start it, and it is held no more: coreos-kit start {main}",
        )
    return restart(session, units)


def _release(session: Session, patterns: Sequence[str]) -> tuple[tuple[UnitName, ...], str]:
    project = session.project.name
    try:
        store = session.store()
        entries = store.entries(holds_folder(project))
        held = holding_of(project, entries, ()).held
        names = sorted(name for name in held if _is_started(session, name, patterns))
        keys = {hold_key(project, name): name for name in names}
        released = [
            keys[entry.key]
            for entry in entries
            if entry.key in keys and store.delete_if_value(entry.key, entry.value)
        ]
    except Unreachable as error:
        return (), str(error)
    return tuple(sorted(released)), ""


def _without_sidekicks(session: Session, units: Sequence[ObservedUnit]) -> list[ObservedUnit]:
    """Leave out the sidekicks of units that are there, too; refuse one alone: its unit would start it."""
    mains = {unit.name: session.cluster.main_of(unit.name) for unit in units}
    alone = sorted(name for name, main in mains.items() if main not in mains)
    if alone:
        raise UsageError(
            f"{alone[0]} is the sidekick of {mains[alone[0]]}, which would start it again",
            hint=f"Hold both: coreos-kit stop --hold {mains[alone[0]]}",
        )
    return [unit for unit in units if mains[unit.name] == unit.name]


def _is_started(session: Session, name: UnitName, patterns: Sequence[str]) -> bool:
    """Whether a held unit is meant by a name as it is typed, or its sidekick, which would start it."""
    sidekick = session.cluster.sidekick_of(name)
    pair = (name, sidekick) if sidekick else (name,)
    return any(matches(pattern, unit) for pattern in patterns for unit in pair)
