"""Desired and observed -> the steps between. Pure: the same values give the same plan.

Refuses, before anything is touched, what can't be done: a machine that is silent, a unit that no machine
can take, a name that somebody else's unit has, a service that would vanish as a whole.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.errors import KitError, Refused, Unplaceable, Unreachable
from coreos_kit.model.cluster import ObservedMachine, ObservedUnit, Observation
from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, Step, UnitChange, UnitKind, Verb
from coreos_kit.model.project import Cluster
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.ports import Change
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.ownership import owner_of
from coreos_kit.units.x_fleet import Requirements


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator allows beyond the ordinary."""

    skip: frozenset[str] = frozenset()  # machines that are left as they are
    evacuate: frozenset[str] = frozenset()  # machines whose units move
    allow_remove: frozenset[str] = frozenset()  # services that may vanish as a whole


@dataclass(frozen=True, slots=True)
class _Placed:
    machines: Mapping[UnitName, tuple[str, ...]]  # by name of the machine
    held: frozenset[UnitName] = field(default_factory=frozenset)  # believed to stand on a skipped machine


def plan(
    project: str,
    cluster: Cluster,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    options: PlanOptions = PlanOptions(),  # noqa: B008 - frozen
    *,
    digests: Mapping[str, str] | None = None,
) -> Plan:
    """Return what has to be done so that `observed` becomes `desired`.

    Raises `Unreachable`, `Unplaceable` or `Refused`, each with every reason at once.
    """
    _refuse_silent_machines(cluster, observed, options)
    _refuse_foreign_units(project, desired, observed)
    usable = {
        name: machine
        for name, machine in observed.machines.items()
        if name not in options.evacuate | options.skip
    }
    placed = _place(project, desired, observed, options)
    stale = _stale_units(project, desired, placed, observed, options)
    _refuse_vanishing_services(cluster, desired, stale, options)
    waves = _waves(desired, placed, stale, usable)
    touched = {machine for machines in placed.machines.values() for machine in machines}
    return Plan(
        waves=waves,
        placements=placed.machines,
        environments=_environments(cluster, [usable[name] for name in sorted(touched & set(usable))]),
        digests=dict(digests or {}),
        notes=tuple(_notes(placed, observed, options)),
    )


def _refuse_silent_machines(cluster: Cluster, observed: Observation, options: PlanOptions) -> None:
    known = {machine.name for machine in cluster.machines}
    if unknown := sorted((options.skip | options.evacuate) - known):
        raise Refused(
            f"{cluster.name} has no machine {unknown[0]}",
            hint=f"Its machines are {', '.join(sorted(known))}.",
        )
    silent = {
        name: error
        for name, error in observed.unreachable.items()
        if name not in options.skip | options.evacuate
    }
    if silent:
        first = sorted(silent)[0]
        raise Unreachable(
            f"{_listed(sorted(silent))} can't be looked at, so nothing was touched",
            machine=first,
            details=[f"{name}: {error}" for name, error in sorted(silent.items())],
            hint=f"Leave it as it is with --skip {first}, or move its units with --evacuate {first}.",
        )
    if len(options.skip | options.evacuate) == len(known):
        raise Refused("every machine is skipped or evacuated", hint="Leave at least one machine to work on.")


def _refuse_foreign_units(project: str, desired: Sequence[DesiredUnit], observed: Observation) -> None:
    wanted = {unit.name for unit in desired}
    foreign = [
        f"{unit.machine}: {unit.name} {_whose(unit)}"
        for _, machine in sorted(observed.machines.items())
        for unit in machine.units
        if unit.name in wanted and unit.project != project
    ]
    if foreign:
        raise Refused(
            "a unit of the same name is not this project's, so nothing was touched",
            details=foreign,
            hint="Rename the service in coreos-kit.toml, or remove that unit by hand.",
        )


def _whose(unit: ObservedUnit) -> str:
    if unit.project:
        return f"belongs to the project {unit.project}"
    return (
        f"stands at {unit.fragment_path}, without [X-CoreosKit]"
        if unit.fragment_path
        else "is somebody else's"
    )


def _place(
    project: str,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    options: PlanOptions,
) -> _Placed:
    staying = {name: machine for name, machine in observed.machines.items() if name not in options.evacuate}
    name_of = {machine.machine_id: name for name, machine in staying.items()}
    if len(name_of) != len(staying):
        raise Refused(
            "two machines have one machine-id, so nothing was touched",
            details=_twins(staying),
            hint="Give each its own: systemd-machine-id-setup.",
        )
    seen = _seen(project, observed)
    held = _held(desired, seen, observed, options)
    units = [
        PlacementUnit(unit.name, Requirements.of(unit.name, unit.text))
        for unit in desired
        if unit.name not in held
    ]
    wanted = {unit.name for unit in desired}
    result = place(
        units,
        [Machine(machine.machine_id, machine.private_ip, machine.metadata) for machine in staying.values()],
        current=_current(units, seen, staying),
        standing={
            machine.machine_id: tuple(_standing(project, wanted, machine)) for machine in staying.values()
        },
        closed={staying[name].machine_id: "it is skipped" for name in options.skip & set(staying)},
    )
    if result.unplaceable:
        raise Unplaceable(
            f"no machine can take {_listed([str(name) for name in sorted(result.unplaceable)])}, so nothing was touched",
            details=[
                f"{unit} on {name_of[machine]}: {reason}"
                for unit, reasons in sorted(result.unplaceable.items())
                for machine, reason in sorted(reasons.items(), key=lambda item: name_of[item[0]])
            ],
            hint="Add a machine, or loosen the service's conflicts or machine_metadata.",
        )
    placed: dict[UnitName, tuple[str, ...]] = {
        name: (name_of[machine],) for name, machine in result.machine_of.items()
    }
    placed |= {
        name: tuple(sorted(name_of[machine] for machine in many)) for name, many in result.globals.items()
    }
    return _Placed(placed, frozenset(held))


def _current(
    units: Sequence[PlacementUnit],
    seen: Mapping[UnitName, Mapping[str, ObservedUnit]],
    staying: Mapping[str, ObservedMachine],
) -> Placements:
    """Say where each unit is now; one that stands on several machines is where it is active."""
    machine_of: dict[UnitName, str] = {}
    everywhere: dict[UnitName, frozenset[str]] = {}
    for unit in units:
        where = {name: found for name, found in seen.get(unit.name, {}).items() if name in staying}
        if unit.requirements.is_global:
            everywhere[unit.name] = frozenset(staying[name].machine_id for name in where)
        elif where:
            kept = min(where, key=lambda name: (not where[name].is_active, name))
            machine_of[unit.name] = staying[kept].machine_id
    return Placements(machine_of, everywhere)


def _twins(machines: Mapping[str, ObservedMachine]) -> list[str]:
    by_id: dict[str, list[str]] = defaultdict(list)
    for name, machine in sorted(machines.items()):
        by_id[machine.machine_id].append(name)
    return [f"{id_}: {_listed(names)}" for id_, names in by_id.items() if len(names) > 1]


def _seen(project: str, observed: Observation) -> Mapping[UnitName, Mapping[str, ObservedUnit]]:
    seen: dict[UnitName, dict[str, ObservedUnit]] = defaultdict(dict)
    for name, machine in sorted(observed.machines.items()):
        for unit in machine.units:
            if unit.project == project:
                seen[unit.name][name] = unit
    return seen


def _held(
    desired: Sequence[DesiredUnit],
    seen: Mapping[UnitName, Mapping[str, ObservedUnit]],
    observed: Observation,
    options: PlanOptions,
) -> set[UnitName]:
    """Return what may stand on a machine that is skipped and silent: starting it elsewhere could make two of it."""
    if not any(name in options.skip for name in observed.unreachable):
        return set()
    return {unit.name for unit in desired if unit.name not in seen}


def _standing(
    project: str, desired: Collection[UnitName], machine: ObservedMachine
) -> Iterator[PlacementUnit]:
    """Units of the kit that are not ours to place, whichever project's: they count for load and conflicts."""
    for unit in machine.units:
        if unit.project and unit.text is not None and unit.project != project and unit.name not in desired:
            yield PlacementUnit(unit.name, Requirements.as_found(unit.name, unit.text))


def _stale_units(
    project: str,
    desired: Sequence[DesiredUnit],
    placed: _Placed,
    observed: Observation,
    options: PlanOptions,
) -> tuple[ObservedUnit, ...]:
    """Return the project's units that stand where they should not, newest first, sidekicks before their units."""
    wanted = {unit.name for unit in desired}
    reachable = {name: machine for name, machine in observed.machines.items() if name not in options.skip}
    stale = [
        unit
        for machine in reachable.values()
        for unit in machine.units
        if unit.project == project
        and unit.name not in placed.held
        and (unit.name not in wanted or unit.machine not in placed.machines.get(unit.name, ()))
    ]
    return tuple(sorted(stale, key=lambda unit: (unit.name, unit.machine), reverse=True))


def _refuse_vanishing_services(
    cluster: Cluster, desired: Sequence[DesiredUnit], stale: Sequence[ObservedUnit], options: PlanOptions
) -> None:
    configured = {unit.service for unit in desired}
    vanishing: dict[str, list[str]] = defaultdict(list)
    for unit in stale:
        if unit.service not in configured and unit.service not in options.allow_remove:
            vanishing[unit.service].append(f"{unit.machine}: {unit.name}")
    if vanishing:
        service = sorted(vanishing)[0]
        raise Refused(
            f"{_listed(sorted(vanishing))} is no longer configured for {cluster.name}, but its units stand",
            details=[line for name in sorted(vanishing) for line in sorted(vanishing[name])],
            hint=f"Remove the whole service with --allow-remove {service}, or put it back into coreos-kit.toml.",
        )


def _waves(
    desired: Sequence[DesiredUnit],
    placed: _Placed,
    stale: Sequence[ObservedUnit],
    usable: Mapping[str, ObservedMachine],
) -> tuple[tuple[Step, ...], ...]:
    """Order the work: what goes, what is new (all machines at once), then one instance after the other."""
    moved = {unit.name: unit.machine for unit in stale if unit.name in placed.machines}
    created: dict[str, list[UnitChange]] = defaultdict(list)
    one_by_one: list[Step] = []
    gone = _by_machine(
        UnitChange(unit.name, Verb.REMOVE, unit.machine, "no longer configured", before=unit.text)
        for unit in stale
        if unit.name not in moved
    )
    for group in _groups(desired):
        machines = sorted(
            {machine for unit in group for machine in placed.machines.get(unit.name, ())} & set(usable)
        )
        for machine in machines:
            present = {unit.name: unit for unit in usable[machine].units}
            here = [unit for unit in group if machine in placed.machines.get(unit.name, ())]
            changes = tuple(
                change for unit in here if (change := _change(unit, machine, present.get(unit.name)))
            )
            leaving = [
                unit
                for unit in stale
                if unit.name in {other.name for other in here} and unit.machine != machine
            ]
            if leaving:
                one_by_one += _moves(changes, leaving, machine)
            elif (
                changes
                and all(change.verb is Verb.CREATE for change in changes)
                and len(changes) == len(here)
            ):
                created[machine] += changes
            elif changes:
                one_by_one.append(_together(machine, changes, here))
    waves = [
        tuple(gone),
        tuple(Step(machine, tuple(changes)) for machine, changes in sorted(created.items())),
        *((step,) for step in one_by_one),
    ]
    return tuple(wave for wave in waves if wave)


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
    if present.text != unit.text and _differs(present.text, unit.text):
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


def _differs(before: str, after: str) -> bool:
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


def _moves(changes: tuple[UnitChange, ...], leaving: Sequence[ObservedUnit], machine: str) -> Iterator[Step]:
    """Take an instance away where it was, then bring it where it goes: never two of it at once."""
    yield from _by_machine(
        UnitChange(
            unit.name,
            Verb.REMOVE,
            unit.machine,
            f"moves to {machine}" if changes else f"runs on {machine}",
            before=unit.text,
        )
        for unit in leaving
    )
    if changes:
        moved = {unit.name: unit.machine for unit in leaving}
        yield Step(
            machine,
            tuple(
                UnitChange(
                    change.name,
                    Verb.MOVE if change.name in moved else change.verb,
                    machine,
                    f"comes from {moved[change.name]}" if change.name in moved else change.reason,
                    change.before,
                    change.after,
                )
                for change in changes
            ),
        )


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


def environment_text(machine: ObservedMachine) -> str:
    """Write the environment file of a machine: the two names that units know it by."""
    return f"COREOS_PRIVATE_IPV4={machine.private_ip}\nCOREOS_PUBLIC_IPV4={machine.public_ip}\n"


def _environments(cluster: Cluster, machines: Sequence[ObservedMachine]) -> Mapping[str, str]:
    """Return the environment files to write; refuse a machine whose private address is not known.

    Without it `docker run -p :7777:80` would publish a backend on every address of the machine.
    """
    if cluster.profile.writes_environment_file:
        nameless = [machine.name for machine in machines if not machine.private_ip]
        hint = f'Set clusters.{cluster.name}.network.private to the network that its machines share, or the machine\'s "private_ip".'
    else:
        nameless = [
            machine.name for machine in machines if not _names_private_address(machine.environment or "")
        ]
        hint = f"Write COREOS_PRIVATE_IPV4=… into {cluster.profile.environment_file} on it."
    if nameless:
        raise Refused(
            f"the private address of {_listed(nameless)} is not known, so nothing was touched", hint=hint
        )
    if not cluster.profile.writes_environment_file:
        return {}
    return {
        machine.name: text
        for machine in machines
        if (text := environment_text(machine)) != machine.environment
    }


def _names_private_address(environment: str) -> bool:
    return any(
        line.startswith("COREOS_PRIVATE_IPV4=") and line.split("=", 1)[1].strip("\"' ")
        for line in environment.splitlines()
    )


def _notes(placed: _Placed, observed: Observation, options: PlanOptions) -> Iterator[str]:
    for name in sorted(options.skip):
        reason = f": {observed.unreachable[name]}" if name in observed.unreachable else ""
        yield f"{name} is skipped and stays as it is{reason}"
    for name in sorted(options.evacuate & set(observed.unreachable)):
        yield f"{name} can't be reached: its units are placed elsewhere, and what is left on it goes when it is back"
    for unit in sorted(placed.held):
        yield f"{unit} is seen nowhere and may stand on a machine that is skipped, so it is not started elsewhere"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
