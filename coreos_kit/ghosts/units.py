"""Units that stand where they should not, and machines that are taken for one another."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from coreos_kit.chain import Evidence
from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.ghosts import Ghost, GhostKind
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.planning.keeping import Keeping, standing
from coreos_kit.planning.options import PlanOptions
from coreos_kit.planning.placing import Placed, place_units, stale_units
from coreos_kit.planning.still import with_sidekicks
from coreos_kit.units.x_fleet import UnitRequirements

_NEW_ID = "sudo sh -c 'rm /etc/machine-id && systemd-machine-id-setup && reboot'"


def machine_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Look for machines with one machine-id, and for those that only the cluster's scheduler knows."""
    by_id: dict[str, list[str]] = defaultdict(list)
    for name, machine in sorted(evidence.observed.machines.items()):
        by_id[machine.machine_id].append(name)
    for id_, names in by_id.items():
        for name in names[1:]:
            yield Ghost(
                GhostKind.SAME_MACHINE_ID,
                name,
                id_,
                "a machine-id of its own",
                f"{names[0]} has it, too",
                f"coreos-kit ssh {name} -- {_NEW_ID}",
            )
    configured = {entry.name for entry in evidence.cluster.machines}
    for name, machine in sorted(evidence.observed.machines.items()):
        units = [str(unit.name) for unit in machine.units if unit.project == evidence.project]
        if name not in configured and units:
            yield Ghost(
                GhostKind.UNKNOWN_MACHINE,
                name,
                ", ".join(units),
                f"a machine of {evidence.cluster.name}: {', '.join(sorted(configured))}",
                f"{name} is none of them, and has {len(units)} of the project's units",
                "coreos-kit deploy",
            )


def unit_ghosts(evidence: Evidence) -> Iterator[Ghost]:
    """Look for units that a deploy would take away from where they stand."""
    if evidence.desired is None:
        return
    observed, configured = evidence.observed, {entry.name for entry in evidence.cluster.machines}
    holding = evidence.holding
    options = PlanOptions(
        skip=frozenset(observed.unreachable),
        cordoned=frozenset(holding.cordoned),
        held_units=with_sidekicks(holding.held.keys(), evidence.desired),
        recorded=evidence.recorded,
    )
    placed = _placed(evidence.project, evidence.desired, observed, options)
    wanted = {unit.name for unit in evidence.desired}
    for unit in sorted(
        stale_units(evidence.project, evidence.desired, placed, observed, options),
        key=lambda unit: (unit.name, unit.machine),
    ):
        if unit.machine and unit.machine not in configured:
            continue  # told of the machine
        where = ", ".join(placed.machines.get(unit.name, ()))
        if unit.name not in wanted:
            kind, expected = GhostKind.UNIT_NOT_CONFIGURED, "a unit of coreos-kit.toml"
        elif any(other.machine != unit.machine for other in observed.units(unit.name)):
            kind, expected = GhostKind.UNIT_TWICE, f"{unit.name} on {where} only"
        else:
            kind, expected = GhostKind.UNIT_MISPLACED, f"{unit.name} on {where}"
        yield Ghost(
            kind,
            unit.machine,
            str(unit.name),
            expected,
            f"it stands on {unit.machine or 'no machine'}: {unit.active_state} ({unit.sub_state})",
            _remedy(unit, evidence.desired),
            may_pass=observed.scheduler is not None,  # it may be at work on it
        )


def _remedy(unit: ObservedUnit, desired: Sequence[DesiredUnit]) -> str:
    if unit.service in {other.service for other in desired}:
        return "coreos-kit deploy"
    return f"coreos-kit deploy --allow-remove {shlex.quote(unit.service)}"


def _placed(
    project: str, desired: Sequence[DesiredUnit], observed: Observation, options: PlanOptions
) -> Placed:
    """Say where units belong; where no placement can be found, each belongs where it is."""
    try:
        return place_units(project, desired, observed, options)
    except KitError:
        found = standing(project, observed)
        keeping = Keeping.among(project, desired, observed, options.recorded)
        return Placed({unit.name: _as_it_stands(unit, found.get(unit.name, {}), keeping) for unit in desired})


def _as_it_stands(unit: DesiredUnit, where: Mapping[str, ObservedUnit], keeping: Keeping) -> tuple[str, ...]:
    if not where or UnitRequirements.of(unit.name, unit.text).is_global:
        return tuple(where)
    return (keeping.place(unit.name, where),)
