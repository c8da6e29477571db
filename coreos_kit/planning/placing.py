"""Where each unit belongs, from where it was seen; and what stands where nothing of ours belongs."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.errors import Refused, Unplaceable
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.planning.draining import unmoved
from coreos_kit.planning.keeping import Keeping, Standing, standing
from coreos_kit.planning.options import PlanOptions
from coreos_kit.planning.refusals import listed
from coreos_kit.units.x_fleet import UnitRequirements


@dataclass(frozen=True, slots=True)
class Placed:
    """Where every unit belongs."""

    machines: Mapping[UnitName, tuple[str, ...]]  # by name of the machine
    held: frozenset[UnitName] = field(default_factory=frozenset)  # believed to stand on a skipped machine
    still: frozenset[UnitName] = field(default_factory=frozenset)  # stopped by hand, and left where they are
    stuck: Mapping[UnitName, Sequence[str]] = field(default_factory=dict)  # what a drain leaves, and why


def place_units(
    project: str,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    options: PlanOptions,
) -> Placed:
    """Run fleet's scheduler over what was seen; raise `Unplaceable` with each machine's reason."""
    staying = {name: machine for name, machine in observed.machines.items() if name not in options.evacuate}
    name_of = {machine.machine_id: name for name, machine in staying.items()}
    if len(name_of) != len(staying):
        raise Refused(
            "two machines have one machine-id, so nothing was touched",
            details=_twins(staying),
            hint="Give each its own: systemd-machine-id-setup.",
        )
    seen = standing(project, observed)
    keeping = Keeping.among(project, desired, observed, options.recorded)
    still = options.held_units & {unit.name for unit in desired}
    held = _held(desired, seen, observed, options) - still
    units = [
        PlacementUnit(unit.name, UnitRequirements.of(unit.name, unit.text))
        for unit in desired
        if unit.name not in held | still
    ]
    wanted = {unit.name for unit in desired}

    def placed_with(stuck: Collection[UnitName]) -> Placements:
        return place(
            units,
            [
                Machine(machine.machine_id, machine.private_ip, machine.metadata)
                for machine in staying.values()
            ],
            current=_current(units, seen, keeping, staying, options, stuck),
            standing={
                machine.machine_id: tuple(standing_on(project, wanted - still, machine, observed, still))
                for machine in staying.values()
            },
            closed=closed_to_new(staying, observed, options),
        )

    result, stuck = unmoved(desired, seen, options.drained, placed_with)
    if result.unplaceable:
        told = _without_followers(result.unplaceable, units)
        raise Unplaceable(
            f"no machine can take {listed([str(name) for name in sorted(told)])}; nothing was touched",
            details=[
                f"{unit} on {reason}"
                for unit, reasons in sorted(_in_words(told, name_of).items())
                for reason in reasons
            ],
            hint="Add a machine, or loosen the service's conflicts or machine_metadata.",
        )
    placed: dict[UnitName, tuple[str, ...]] = {
        name: (name_of[machine],) for name, machine in result.machine_of.items()
    }
    placed |= {
        name: tuple(sorted(name_of[machine] for machine in many)) for name, many in result.globals.items()
    }
    placed |= {name: tuple(sorted(seen[name].keys() & staying.keys())) for name in still if name in seen}
    return Placed(placed, frozenset(held), still, _in_words(stuck, name_of))


def _without_followers(
    unplaceable: Mapping[UnitName, Mapping[str, str]], units: Sequence[PlacementUnit]
) -> Mapping[UnitName, Mapping[str, str]]:
    """Leave out what has no machine only because a unit that it follows has none; a circle stays."""
    lost = {str(name) for name in unplaceable}
    behind = {str(unit.name): lost.intersection(unit.requirements.peers) for unit in units}
    return {
        name: reasons
        for name, reasons in unplaceable.items()
        if all(behind.get(peer) for peer in behind[str(name)])
    }


def _in_words(
    reasons: Mapping[UnitName, Mapping[str, str]], name_of: Mapping[str, str]
) -> Mapping[UnitName, Sequence[str]]:
    """Put each machine's reason, by its id, into words that begin with its name."""
    return {
        unit: tuple(sorted(f"{name_of[machine]}: {reason}" for machine, reason in found.items()))
        for unit, found in reasons.items()
    }


def closed_to_new(
    staying: Mapping[str, ObservedMachine], observed: Observation, options: PlanOptions
) -> Mapping[str, str]:
    """Return the machines that take nothing new, by id, each with the reason."""
    why = {
        **dict.fromkeys(options.cordoned, "it is cordoned"),
        **dict.fromkeys(options.drained, "it is drained"),
        **dict.fromkeys(options.skip, "it is skipped"),
        **dict.fromkeys(options.skip & observed.silent, "it can't be reached"),
    }
    return {staying[name].machine_id: reason for name, reason in why.items() if name in staying}


def _current(
    units: Sequence[PlacementUnit],
    seen: Standing,
    keeping: Keeping,
    staying: Mapping[str, ObservedMachine],
    options: PlanOptions,
    stuck: Collection[UnitName],
) -> Placements:
    """Say where each unit is now; one that stands on several machines is where `keeping` says.

    On a drained machine is only what is stuck there. A new unit whose peers stand on a cordoned machine is
    taken to be there already: it comes with them, and is nothing that was placed there for itself.
    """
    machine_of: dict[UnitName, str] = {}
    everywhere: dict[UnitName, frozenset[str]] = {}
    for unit in units:
        where = {name: found for name, found in seen.get(unit.name, {}).items() if name in staying}
        if unit.requirements.is_global:
            everywhere[unit.name] = frozenset(staying[name].machine_id for name in where)
            continue
        if unit.name not in stuck:
            where = {name: found for name, found in where.items() if name not in options.drained}
        if where:
            machine_of[unit.name] = staying[keeping.place(unit.name, where)].machine_id
    cordoned = {staying[name].machine_id for name in options.cordoned | options.drained if name in staying}
    for unit in units:
        if cordoned and unit.name not in machine_of:
            beside = {machine_of.get(UnitName.parse(peer)) for peer in unit.requirements.peers}
            if len(beside) == 1 and beside <= cordoned:
                machine_of[unit.name] = beside.pop() or ""
    return Placements(machine_of, everywhere)


def _twins(machines: Mapping[str, ObservedMachine]) -> list[str]:
    by_id: dict[str, list[str]] = defaultdict(list)
    for name, machine in sorted(machines.items()):
        by_id[machine.machine_id].append(name)
    return [f"{id_}: {listed(names)}" for id_, names in by_id.items() if len(names) > 1]


def _held(
    desired: Sequence[DesiredUnit],
    seen: Standing,
    observed: Observation,
    options: PlanOptions,
) -> set[UnitName]:
    """Return what may stand on a machine that is skipped and silent: elsewhere, it could be there twice."""
    if observed.scheduler or not any(name in options.skip for name in observed.unreachable):
        return set()  # a scheduler knows where everything is
    return {unit.name for unit in desired if unit.name not in seen}


def standing_on(
    project: str,
    desired: Collection[UnitName],
    machine: ObservedMachine,
    observed: Observation,
    still: Collection[UnitName] = (),
) -> Iterator[PlacementUnit]:
    """Yield the units that are not ours to place: they count for load and conflicts.

    Those of the kit, whichever project's; to a scheduler, whatever it runs. `still` are ours, and stay.
    """
    for unit in machine.units:
        counts = unit.project or (observed.scheduler and not unit.fragment_path.startswith("/etc/"))
        is_others = unit.project != project or unit.name in still
        if counts and unit.text is not None and is_others and unit.name not in desired:
            yield PlacementUnit(unit.name, UnitRequirements.as_found(unit.name, unit.text))


def stale_units(
    project: str,
    desired: Sequence[DesiredUnit],
    placed: Placed,
    observed: Observation,
    options: PlanOptions,
) -> tuple[ObservedUnit, ...]:
    """Return the project's units that stand where they should not, newest first, sidekicks first."""
    wanted = {unit.name for unit in desired}
    reachable = {name: machine for name, machine in observed.machines.items() if name not in options.skip}
    stale = [
        unit
        for machine in reachable.values()
        for unit in machine.units
        if unit.project == project
        and unit.name not in placed.held | placed.still
        and (unit.name not in wanted or unit.machine not in placed.machines.get(unit.name, ()))
    ]
    stale += [unit for unit in observed.unplaced if unit.project == project and unit.name not in wanted]
    return tuple(sorted(stale, key=lambda unit: (unit.name, unit.machine), reverse=True))
