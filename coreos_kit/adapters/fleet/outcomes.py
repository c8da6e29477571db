"""What became of a change: told from where fleet_apply.sh ended, and from fleet's lists. Asks nobody."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.adapters.answers import Line
from coreos_kit.adapters.fleet.explain import why_nowhere
from coreos_kit.adapters.fleet.sight import PENDING, Sight
from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, UnitOutcome

_HAS_ASKED_ALL = frozenset({"start", "end"})
_STAGES = frozenset({"stop", "destroy", "submit"}) | _HAS_ASKED_ALL  # at which fleet_apply.sh ends

Up = Mapping[tuple[UnitName, str], UnitOutcome]  # what machines say of units that were started on them


@dataclass(frozen=True, slots=True)
class End:
    """Where fleet_apply.sh ended: at which stage, waiting for which units, and what fleetctl said."""

    stage: str
    left: frozenset[UnitName]
    said: str

    @property
    def has_asked_all(self) -> bool:
        """Whether fleet was asked everything; what it then placed nowhere is an outcome, not a failure."""
        return self.stage in _HAS_ASKED_ALL

    @property
    def first_left(self) -> UnitName | None:
        """The unit to complain about, of those that it waited for."""
        return min(self.left, default=None)

    def holds_up(self, change: Change) -> bool:
        """Whether it cut a change short: starts all come later, and a unit of the change may be left."""
        names = {*change.stop, *change.remove, *change.write, *change.start}
        return not self.has_asked_all and bool(change.start or names & self.left)


def end_of(lines: tuple[Line, ...]) -> End:
    """Read what fleet_apply.sh says of its end, where answers are being `understood`."""
    said = {line.key: line for line in lines}
    left = frozenset(UnitName.parse(name) for name in said["left"].text().split())
    end = End(said["stage"].word(), left, said["said"].text())
    if end.stage not in _STAGES:
        raise ValueError(f"it ended at {end.stage!r}")
    return end


def failure_of(end: End, sight: Sight, machine: str, journal: Sequence[str], timeout_s: int) -> KitError:
    """Say why it went no further; `machine` and `journal` are of the first unit that is left, if any."""
    first = end.first_left
    states = [f"{state.active} ({state.sub})" for state in sight.of(first)] if first else []
    is_so = f": it is {states[0]}" if states else ""
    place = f"{machine}: " if machine else ""
    what = {
        "stop": f"{place}{first} does not stop within {timeout_s} s{is_so}",
        "destroy": f"{place}{first} was destroyed, but is still there after {timeout_s} s{is_so}",
        "submit": f"fleet did not take {first}",
    }[end.stage]
    others = [f"and {len(end.left) - 1} more"] if len(end.left) > 1 else []
    return KitError(
        what,
        details=[*others, *journal, *end.said.splitlines()],
        hint=f"See more: coreos-kit logs {first}",
    )


def outcomes_of(change: Change, sight: Sight, names: Mapping[str, str], up: Up) -> Iterator[UnitOutcome]:
    """Say how every unit of a change is; `names` are those of fleet's machines, by id."""
    for name in dict.fromkeys((*change.stop, *change.remove)):
        if name not in change.start:
            yield _at_rest(change, sight, name, names)
    for name in change.start:
        machines = places_of(sight, name, names)
        yield from (up.get((name, machine), _unknown(name, machine)) for machine in machines)
        if not machines:
            yield UnitOutcome(name, "", PENDING, "", "", why_nowhere(sight, name, names))


def places_of(sight: Sight, name: UnitName, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the machines that have a unit are called."""
    return tuple(names.get(id_, id_[:8]) for id_ in sorted(ids_of(sight, [name])))


def ids_of(sight: Sight, units: Iterable[UnitName]) -> set[str]:
    """Return the ids of the machines that have one of the units."""
    entries = (entry for name in units if (entry := sight.registry.get(name)))
    return {id_ for entry in entries for id_ in sight.machine_ids(entry)}


def _at_rest(change: Change, sight: Sight, name: UnitName, names: Mapping[str, str]) -> UnitOutcome:
    machine = next(iter(places_of(sight, name, names)), change.machine)
    state = next(iter(sight.of(name)), None)
    if state is None or state.active == "-":
        return UnitOutcome(name, machine, "inactive", "dead", "success")
    return UnitOutcome(name, machine, state.active, state.sub, "")


def _unknown(name: UnitName, machine: str) -> UnitOutcome:
    """Stand for what a machine that fleet chose would not say."""
    return UnitOutcome(name, machine, "unknown", "", "")
