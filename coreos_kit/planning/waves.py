"""The order of the work: what goes, what is new (all machines at once), then one instance after the other.

Why this order: docs/decisions/rolling.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import ObservedMachine, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Step, UnitChange, UnitKind, Verb
from coreos_kit.model.services import DISCOVERY_SUFFIX
from coreos_kit.planning.placing import Placed
from coreos_kit.planning.turns import Run, in_turn
from coreos_kit.ports import Change
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.ownership import owner_of


def waves_of(
    desired: Sequence[DesiredUnit],
    placed: Placed,
    stale: Sequence[ObservedUnit],
    usable: Mapping[str, ObservedMachine],
    at_a_time: Mapping[str, int],
) -> tuple[tuple[Step, ...], ...]:
    """Order the work; `at_a_time` says how many instances each service can do without."""
    moved = {unit.name: unit.machine for unit in stale if unit.name in placed.machines}
    created: dict[str, list[UnitChange]] = defaultdict(list)
    runs: list[Run] = []
    # By the ten thousand units: what stands where is looked up, never searched for.
    standing = {name: {unit.name: unit for unit in machine.units} for name, machine in usable.items()}
    leaving_of: dict[UnitName, list[ObservedUnit]] = defaultdict(list)
    for unit in stale:
        leaving_of[unit.name].append(unit)
    for group in _groups(desired):
        machines = sorted(
            {machine for unit in group for machine in placed.machines.get(unit.name, ())} & set(usable)
        )
        for machine in machines:
            present = standing[machine]
            here = [unit for unit in group if machine in placed.machines.get(unit.name, ())]
            changes = tuple(
                change for unit in here if (change := _change(unit, machine, present.get(unit.name)))
            )
            # Once: a global unit that leaves a machine stays on several others.
            leaving = [old for unit in reversed(here) for old in leaving_of.pop(unit.name, ())]
            serves = all(unit.name in present and present[unit.name].is_active for unit in here)
            if leaving:
                steps = tuple(_moves(changes, leaving, machine, here))
                serves = serves or all(unit.is_active for unit in leaving)
                runs.append(Run(here[0], steps, serves=serves))
            elif (
                changes
                and all(change.verb is Verb.CREATE for change in changes)
                and len(changes) == len(here)
            ):
                created[machine] += changes
            elif changes:
                runs.append(Run(here[0], (_together(machine, changes, here),), serves=serves))
    waves = [
        *_removals([unit for unit in stale if unit.name not in moved]),
        tuple(Step(machine, tuple(changes)) for machine, changes in sorted(created.items())),
        *in_turn(runs, at_a_time),
    ]
    return tuple(wave for wave in waves if wave)


def _removals(gone: Sequence[ObservedUnit]) -> Iterator[tuple[Step, ...]]:
    """Take what is registered away one instance after the other, and then at once whatever is not."""
    groups: dict[tuple[str, str, str], list[ObservedUnit]] = defaultdict(list)
    for unit in gone:
        groups[unit.machine, unit.service, unit.name.instance or unit.name.prefix].append(unit)
    one_by_one: list[list[ObservedUnit]] = []
    at_once: list[ObservedUnit] = []
    for group in groups.values():
        if any(is_registering(unit) for unit in group):
            one_by_one.append(group)
        else:
            at_once += group
    for group in one_by_one:
        yield tuple(_by_machine(_removal(unit) for unit in group))
    yield tuple(_by_machine(_removal(unit) for unit in at_once))


def is_registering(unit: ObservedUnit) -> bool:
    """Whether a unit is a sidekick that runs; told by its name, since it may be configured no more."""
    return unit.is_active and unit.name.prefix == f"{unit.service}{DISCOVERY_SUFFIX}"


def _removal(unit: ObservedUnit) -> UnitChange:
    return UnitChange(unit.name, Verb.REMOVE, unit.machine, "no longer configured", before=unit.text)


def _groups(desired: Sequence[DesiredUnit]) -> Iterator[list[DesiredUnit]]:
    """Put each instance together with its sidekick, in the configured order, balancers last."""
    groups: dict[tuple[bool, str, str], list[DesiredUnit]] = defaultdict(list)
    for unit in desired:
        groups[
            unit.kind is UnitKind.LOAD_BALANCER, unit.service, unit.name.instance or unit.name.prefix
        ].append(unit)
    for late in (False, True):
        for key, group in groups.items():
            if key[0] is late:
                yield group


def _change(unit: DesiredUnit, machine: str, present: ObservedUnit | None) -> UnitChange | None:
    if present is None or present.text is None:
        return UnitChange(unit.name, Verb.CREATE, machine, "is not there", after=unit.text)
    if present.text != unit.text and differs(present.text, unit.text):
        return UnitChange(
            unit.name, Verb.REPLACE, machine, "its text changed", before=present.text, after=unit.text
        )
    if present.needs_reload or present.load_state == "not-found":
        reason = "systemd has not read its file"
        return UnitChange(unit.name, Verb.REPLACE, machine, reason, before=present.text, after=unit.text)
    if not present.is_active:
        reason = f"it is {present.active_state} ({present.sub_state})"
        return UnitChange(unit.name, Verb.RESTART, machine, reason, before=present.text, after=unit.text)
    return None


def differs(before: str, after: str) -> bool:
    """Compare as fleet does: comments and blank lines are not a change. A file that fleet can't read is."""
    try:
        return fleet_hash(before) != fleet_hash(after) or owner_of(before) != owner_of(after)
    except KitError:
        return True


def _together(machine: str, changes: tuple[UnitChange, ...], group: Sequence[DesiredUnit]) -> Step:
    """An instance whose text changes stops and starts as a whole; one that only lies still is started."""
    changed = {change.name for change in changes}
    whole = any(change.verb is Verb.REPLACE for change in changes)
    return Step(
        machine, changes, tuple(unit.name for unit in group if unit.name not in changed) if whole else ()
    )


def _moves(
    changes: tuple[UnitChange, ...],
    leaving: Sequence[ObservedUnit],
    machine: str,
    group: Sequence[DesiredUnit],
) -> Iterator[Step]:
    """Take an instance away where it was, then bring it where it goes: never two of it at once.

    What stands there already has not moved: it changes like any other.
    """
    comes = {change.name for change in changes if change.verb is Verb.CREATE}
    yield from _by_machine(
        UnitChange(
            unit.name,
            Verb.REMOVE,
            unit.machine,
            f"moves to {machine}" if unit.name in comes else f"runs on {machine}",
            before=unit.text,
        )
        for unit in leaving
    )
    if changes:
        came_from = {unit.name: unit.machine for unit in leaving if unit.name in comes}
        moved = tuple(
            replace(change, verb=Verb.MOVE, reason=f"comes from {came_from[change.name]}")
            if change.name in came_from
            else change
            for change in changes
        )
        yield _together(machine, moved, group)


def _by_machine(changes: Iterable[UnitChange]) -> list[Step]:
    by_machine: dict[str, list[UnitChange]] = defaultdict(list)
    for change in changes:
        by_machine[change.machine].append(change)
    return [Step(machine, tuple(found)) for machine, found in sorted(by_machine.items())]


def change_of(step: Step) -> Change:
    """Turn a step into what its machine is asked: sidekicks stop before and start after their units."""
    replaced = tuple(change.name for change in step.changes if change.verb is Verb.REPLACE) + step.restarts
    removed = tuple(change.name for change in step.changes if change.verb is Verb.REMOVE)
    written = {
        change.name: change.after
        for change in step.changes
        if change.after is not None and change.verb not in (Verb.REMOVE, Verb.RESTART)
    }
    started = tuple(change.name for change in step.changes if change.verb is not Verb.REMOVE) + step.restarts
    return Change(step.machine, stop=(*replaced, *removed), remove=removed, write=written, start=started)
