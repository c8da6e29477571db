"""Draining: what a machine loses, what can't leave it, and the plan that moves nothing else."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, Step, UnitKind
from coreos_kit.placement import Placements
from coreos_kit.planning.keeping import Keeping, Standing, standing

Reasons = Mapping[UnitName, Mapping[str, str]]  # unit -> machine's id -> what it has against it


def unmoved(
    desired: Collection[DesiredUnit],
    seen: Standing,
    drained: frozenset[str],
    placed_with: Callable[[Collection[UnitName]], Placements],
) -> tuple[Placements, Reasons]:
    """Place units, leaving on the drained machines what no other can take; return what that is, and why.

    `placed_with` places them all, given those that stay. An instance and its sidekick stay or go together.
    """
    there = {unit for unit, machines in seen.items() if not drained.isdisjoint(machines)}
    staying: set[UnitName] = set()
    stuck: dict[UnitName, Mapping[str, str]] = {}
    while True:
        result = placed_with(staying)
        if not (new := (result.unplaceable.keys() & there) - staying):
            return result, stuck
        groups = {_group(unit) for unit in desired if unit.name in new}
        staying |= {unit.name for unit in desired if unit.name in there and _group(unit) in groups}
        named = {unit.name for unit in desired if unit.name in new and unit.kind is not UnitKind.SIDEKICK}
        stuck |= {unit: result.unplaceable[unit] for unit in named or new}


def _group(unit: DesiredUnit) -> tuple[str, str]:
    return unit.service, unit.name.instance or unit.name.prefix


def as_it_stands(
    project: str,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    recorded: Mapping[UnitName, Collection[str]],
) -> tuple[DesiredUnit, ...]:
    """Return the project's units as they are on the machines, in the configured order: nothing to change.

    What the configuration no longer names is there, too, and what it names and stands nowhere is not.
    """
    keeping = Keeping.among(project, desired, observed, recorded)
    found: dict[UnitName, ObservedUnit] = {}
    for name, places in standing(project, observed).items():
        if where := {machine: unit for machine, unit in places.items() if unit.text is not None}:
            found[name] = where[keeping.place(name, where)]
    configured = {unit.name: unit for unit in desired}
    names = [*(name for name in configured if name in found), *sorted(found.keys() - configured.keys())]
    return tuple(_as_found(found[name], configured.get(name)) for name in names)


def _as_found(found: ObservedUnit, configured: DesiredUnit | None) -> DesiredUnit:
    text = found.text or ""
    if configured is None:
        return DesiredUnit(found.name, text, found.service, UnitKind.EXTRA)
    return replace(configured, text=text)


def only_moves(made: Plan, observed: Observation, drained: frozenset[str]) -> Plan:
    """Leave of a plan what takes units off the drained machines; everything else is for a deploy."""
    moving = {
        unit.name
        for name in drained & observed.machines.keys()
        for unit in observed.machines[name].units
        if name not in made.placements.get(unit.name, (name,))
    }
    waves = tuple(tuple(_steps(wave, moving)) for wave in made.waves)
    kept = tuple(wave for wave in waves if wave)
    touched = {step.machine for wave in kept for step in wave}
    environments = {machine: text for machine, text in made.environments.items() if machine in touched}
    return replace(made, waves=kept, environments=environments)


def _steps(wave: Sequence[Step], moving: Collection[UnitName]) -> Iterator[Step]:
    for step in wave:
        changes = tuple(change for change in step.changes if change.name in moving)
        if changes:
            yield replace(step, changes=changes)
