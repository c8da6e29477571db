"""The links that a machine tells of: the unit and its container, and what is held instead."""

from collections.abc import Sequence

from coreos_kit.chain.evidence import Evidence
from coreos_kit.model.chain import Link, LinkName, State
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import container_name


def held_links(
    evidence: Evidence, machine: ObservedMachine | None, units: Sequence[UnitName]
) -> tuple[Link, ...]:
    """Return what there is to say of a unit that is held and stopped; nothing of one that is not, or runs."""
    unit = units[0]
    if unit not in evidence.holding.held:
        return ()
    where = machine.name if machine else ""
    stopped = ("inactive", "failed")
    if machine and any(seen.name in units and seen.active_state not in stopped for seen in machine.units):
        return ()
    seen = f"held{evidence.holding.held[unit]}" + ("" if machine else "; it stands on no machine")
    link = Link(LinkName.UNIT, State.HELD, where, f"{unit} stopped", seen, f"coreos-kit start {unit}")
    name = container_name(unit)
    if machine and any(one.name == name and one.state == "running" for one in machine.containers):
        expected, remedy = f"no container {name} while its unit is held", f"coreos-kit ssh {where}"
        return (link, Link(LinkName.CONTAINER, State.BROKEN, where, expected, "it is running", remedy))
    return (link,)


def unit_link(evidence: Evidence, machine: ObservedMachine | None, units: Sequence[UnitName]) -> Link:
    """Judge whether a unit and its sidekick are active."""
    expected = f"{' and '.join(str(unit) for unit in units)} active"
    if lost := [seen for unit in units for seen in evidence.observed.units(unit) if seen.has_lost_its_file]:
        return _lost_link(expected, lost)
    if machine is None:
        if unseen := _unseen_machines(evidence.observed):
            silent = ", ".join(unseen)
            return Link(
                LinkName.UNIT,
                State.UNKNOWN,
                "",
                expected,
                f"it stands on no machine that can be seen; {silent} can't be",
            )
        return Link(LinkName.UNIT, State.BROKEN, "", expected, "it stands on no machine", "coreos-kit deploy")
    present = {unit.name: unit for unit in machine.units}
    ill = [
        _described(unit, present.get(unit))
        for unit in units
        if not (unit in present and present[unit].is_active)
    ]
    if ill:
        return Link(
            LinkName.UNIT,
            State.BROKEN,
            machine.name,
            expected,
            "; ".join(ill),
            _remedy([present.get(unit) for unit in units], units[0]),
        )
    if machine.name in evidence.observed.silent:  # fleet repeats what the machine said last, for its TTL
        seen = f"fleet says active, and {machine.name} can't be asked"
        return Link(
            LinkName.UNIT, State.UNKNOWN, machine.name, expected, seen, f"coreos-kit ssh {machine.name}"
        )
    return Link(LinkName.UNIT, State.OK, machine.name, expected, "active")


def _lost_link(expected: str, lost: Sequence[ObservedUnit]) -> Link:
    """Say of units that run on without their files: systemd notices when it reads its files again."""
    where, files = lost[0].machine, " and ".join(str(unit.name) for unit in lost)
    seen = f"the file of {files} is gone; systemd goes on with what it had read"
    remedy = f"coreos-kit ssh {where} -- sudo systemctl daemon-reload, then: coreos-kit deploy"
    return Link(LinkName.UNIT, State.BROKEN, where, expected, seen, remedy)


def _remedy(units: Sequence[ObservedUnit | None], main: UnitName) -> str:
    """Return `start`, unless one has to be put there first, or systemd is about to start them by itself."""
    states = [(unit.active_state, unit.sub_state) for unit in units if unit]
    if None in units:  # what is not there can't be started
        return "coreos-kit deploy"
    comes_by_itself = ("activating", "auto-restart") in states
    return "coreos-kit verify --wait 30" if comes_by_itself else f"coreos-kit start {main}"


def _described(name: UnitName, unit: ObservedUnit | None) -> str:
    return f"{name} is {unit.active_state} ({unit.sub_state})" if unit else f"{name} is not there"


def container_link(evidence: Evidence, machine: ObservedMachine | None, unit: UnitName) -> Link:
    """Judge whether a unit's container runs."""
    name = container_name(unit)
    expected = f"container {name} running"
    if machine is None:
        if _unseen_machines(evidence.observed):
            seen = "its unit stands on no machine that can be seen"
            return Link(LinkName.CONTAINER, State.UNKNOWN, "", expected, seen)
        seen = "its unit stands on no machine"
        return Link(LinkName.CONTAINER, State.BROKEN, "", expected, seen, "coreos-kit deploy")
    if machine.engine_error:
        return Link(
            LinkName.CONTAINER,
            State.UNKNOWN,
            machine.name,
            expected,
            machine.engine_error,
            f"coreos-kit ssh {machine.name}",
        )
    found = next((container for container in machine.containers if container.name == name), None)
    if found is None or found.state != "running":
        seen = f"it is {found.state}" if found else "there is no such container"
        return Link(
            LinkName.CONTAINER, State.BROKEN, machine.name, expected, seen, f"coreos-kit restart {unit}"
        )
    return Link(LinkName.CONTAINER, State.OK, machine.name, expected, "running")


def _unseen_machines(observed: Observation) -> list[str]:
    """Return the machines on which a unit may stand that is seen nowhere; a scheduler knows of all."""
    return [] if observed.scheduler else sorted(observed.unreachable)
