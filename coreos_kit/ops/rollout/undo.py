"""Going back: what a deploy has changed, put back from the texts that the machines had, as carefully."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitChange, Verb
from coreos_kit.ops.rollout.ledger import Ledger, unit_at
from coreos_kit.ops.rollout.wave import Wave
from coreos_kit.ops.rollout.work import Work

REASON = "goes back"


def go_back(work: Work, ledger: Ledger) -> None:
    """Undo every step that was begun, what failed first; raise the first `KitError` in the way.

    What did not run before is written back and started, but nobody waits for it. Stops at the first step that
    can't be undone: whatever went wrong there should not take down more.
    """
    steps = ledger.to_put_back()
    ran = {
        (unit.name, name)
        for name, machine in work.observed.machines.items()
        for unit in machine.units
        if unit.is_active
    }
    names = {unit for unit, _ in ran}
    if work.observed.scheduler:  # which may bring a unit up elsewhere
        work = replace(work, is_awaited=lambda unit, _: unit in names)
    else:
        work = replace(work, is_awaited=lambda unit, machine: (unit, machine) in ran)
    seen = work.session.driver.observe([unit for step in steps for unit in step.units])
    for step in steps:
        undone = undoing(step)
        if undone and (ledger.is_done(step) or not _is_as_before(step, seen, ran)):
            work.heard.before_step(undone)
            for result in Wave(work, [undone]).run().values():
                if isinstance(result, KitError):
                    raise result
            work.heard.after_step(undone)
        ledger.put_back(step)


def _is_as_before(step: Step, seen: Observation, ran: Collection[tuple[UnitName, str]]) -> bool:
    """Whether a step that failed has left everything as it was: its texts, and what of it runs."""
    if step.machine in seen.unreachable:
        return False
    units = {name: unit_at(seen, name, step.machine) for name in step.units}
    runs = {name for name, unit in units.items() if unit and unit.is_active}
    return runs == {name for name in step.units if (name, step.machine) in ran} and all(
        (found.text if (found := units[change.name]) else None) == change.before for change in step.changes
    )


def undoing(step: Step) -> Step | None:
    """Return the step that undoes another; None where there is nothing to undo."""
    changes = tuple(undone for change in step.changes for undone in _undone(change))
    return Step(step.machine, changes, step.restarts) if changes else None


def _undone(change: UnitChange) -> Iterator[UnitChange]:
    match change.verb:
        case Verb.CREATE | Verb.MOVE:
            yield UnitChange(change.name, Verb.REMOVE, change.machine, REASON, before=change.after)
        case Verb.REMOVE if change.before is not None:
            yield UnitChange(change.name, Verb.CREATE, change.machine, REASON, after=change.before)
        case Verb.REPLACE if change.before is not None:
            yield replace(change, reason=REASON, before=change.after, after=change.before)
