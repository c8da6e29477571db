"""Why fleet has placed a unit nowhere: the kit's own placement knows what each machine has against it."""

from collections.abc import Mapping

from coreos_kit.adapters.fleet.sight import Sight
from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import PlacementUnit, place
from coreos_kit.units.x_fleet import UnitRequirements


def why_nowhere(sight: Sight, name: UnitName, names: Mapping[str, str]) -> tuple[str, ...]:
    """Say for each machine what it has against a unit that fleet knows; or that one could take it."""
    entry = sight.registry.get(name)
    if entry is None:
        return (f"fleet does not know {name}",)
    standing: dict[str, list[PlacementUnit]] = {machine.id: [] for machine in sight.machines}
    for other in sight.registry.values():
        for id_ in sight.machine_ids(other):
            if id_ in standing and other.name != name:
                text = sight.text(other) or ""
                standing[id_].append(PlacementUnit(other.name, UnitRequirements.as_found(other.name, text)))
    unit = PlacementUnit(name, UnitRequirements.as_found(name, sight.text(entry) or ""))
    machines = [Machine(machine.id, machine.ip, machine.metadata) for machine in sight.machines]
    result = place([unit], machines, standing=standing)
    if name in result.machine_of:
        able = names.get(result.machine_of[name], result.machine_of[name])
        return (f"{able} could take it, but fleet has not decided yet",)
    reasons = result.unplaceable.get(name, {})
    return tuple(
        sorted(f"{name} on {names.get(machine, machine)}: {reason}" for machine, reason in reasons.items())
    )
