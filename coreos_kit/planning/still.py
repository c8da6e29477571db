"""Units that somebody stopped by hand and holds: a plan leaves them as they are, and says so."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.planning.waves import differs


def with_sidekicks(units: Collection[UnitName], desired: Sequence[DesiredUnit]) -> frozenset[UnitName]:
    """Add the sidekicks of held units: starting one would start its unit."""
    groups = {(unit.service, unit.name.instance) for unit in desired if unit.name in units}
    return frozenset(units) | {
        unit.name
        for unit in desired
        if unit.kind is UnitKind.SIDEKICK and (unit.service, unit.name.instance) in groups
    }


def left_as_found(
    project: str, desired: Sequence[DesiredUnit], observed: Observation, held: Collection[UnitName]
) -> tuple[DesiredUnit, ...]:
    """Give held units the texts that stand on the machines: what these name, secret files too, stays."""
    found = {
        unit.name: unit.text
        for machine in observed.machines.values()
        for unit in machine.units
        if unit.name in held and unit.project == project and unit.text is not None
    }
    return tuple(replace(unit, text=found[unit.name]) if unit.name in found else unit for unit in desired)


def still_notes(
    desired: Sequence[DesiredUnit], still: Collection[UnitName], observed: Observation
) -> Iterator[str]:
    """Say of held units what a deploy would otherwise have done to them."""
    for unit in desired:
        if unit.name not in still or unit.kind is UnitKind.SIDEKICK:
            continue
        seen = observed.units(unit.name)
        start = f"coreos-kit start {unit.name}"
        if not seen:
            yield f"{unit.name} stands nowhere, and is not placed while it is held; {start} ends that"
        elif any(one.is_active for one in seen):
            where = ", ".join(one.machine for one in seen if one.is_active)
            yield f"{unit.name} is held, and runs on {where} all the same; it is left as it is"
        elif any(one.text is not None and differs(one.text, unit.text) for one in seen):
            yield f"{unit.name} keeps the text that it was stopped with, until a deploy after {start}"
