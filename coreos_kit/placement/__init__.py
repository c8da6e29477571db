"""fleet's scheduler as one pure function: units and machines in, placements and refusals out.

The rules are those of fleet 1.0.0: the least loaded machine that is able to run a unit, ties by machine id;
a unit stays where it is for as long as that machine is able to run it. Where fleet leaves the order to
chance, names decide, and leaders come before the units that follow them by MachineOf=.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement.board import Board
from coreos_kit.placement.order import leaders_first
from coreos_kit.placement.values import PlacementUnit
from coreos_kit.units import globs

__all__ = ["PlacementUnit", "Placements", "place"]


@dataclass(frozen=True, slots=True)
class Placements:
    """Which unit belongs on which machine (by id), and what each machine has against the others."""

    machine_of: Mapping[UnitName, str] = field(default_factory=dict)
    globals: Mapping[UnitName, frozenset[str]] = field(default_factory=dict)
    unplaceable: Mapping[UnitName, Mapping[str, str]] = field(default_factory=dict)


def place(
    units: Iterable[PlacementUnit],
    machines: Iterable[Machine],
    *,
    current: Placements | None = None,
    standing: Mapping[str, Iterable[PlacementUnit]] | None = None,
    closed: Mapping[str, str] | None = None,
) -> Placements:
    """Decide for every unit where it belongs; the same input in any order gives the same answer.

    `current` says where units are; one whose machine is not in `machines` (evacuated, gone) moves.
    `standing` are units that are not ours to move, by machine: they count for load, conflicts and peers.
    `closed` machines take nothing new, for the reason given; what `current` has on them stays, unexamined.
    Units in `current` that are not in `units` do not count.
    """
    return _Scheduler(units, machines, current or Placements(), standing or {}, closed or {}).run()


class _Scheduler:
    """One run of `place`."""

    def __init__(
        self,
        units: Iterable[PlacementUnit],
        machines: Iterable[Machine],
        current: Placements,
        standing: Mapping[str, Iterable[PlacementUnit]],
        closed: Mapping[str, str],
    ) -> None:
        ordered = sorted(units, key=lambda unit: unit.name)
        ours = {unit.name for unit in ordered}
        others = {id_: [unit for unit in there if unit.name not in ours] for id_, there in standing.items()}
        self._globals = [unit for unit in ordered if unit.requirements.is_global]
        self._units = leaders_first([unit for unit in ordered if not unit.requirements.is_global])
        self._replacing = [unit for unit in self._units if unit.requirements.replaces]
        self._movable = {unit.name for unit in self._units}
        self._current = current
        self._board = Board(
            machines, [*ordered, *(unit for there in others.values() for unit in there)], closed
        )
        for id_, there in others.items():
            for unit in there:
                self._board.put(unit, self._board.mask_of_id(id_))

    def run(self) -> Placements:
        self._keep()
        self._settle_globals()
        self._drop_strays()
        self._schedule()
        while self._make_way():
            self._drop_strays()
            self._schedule()
        return self._result()

    def _keep(self) -> None:
        """Leave each unit where it is, unless its machine is no longer able to run it."""
        board = self._board
        claims = {
            unit.name: board.mask_of_id(self._current.machine_of[unit.name])
            for unit in self._units
            if unit.name in self._current.machine_of
        }
        # Claims are announced before any is examined: a peer counts whether or not its turn has come,
        # and a global unit counts wherever it may run, until it is known where it does.
        for name, claim in claims.items():
            board.announce(name, claim)
        for unit in self._globals:
            board.announce(unit.name, board.reach(unit))
        for unit in self._units:
            claim = claims.get(unit.name, 0)
            if claim and (claim & board.closed or claim & board.able(unit)):
                board.put(unit, claim)
            else:
                board.announce(unit.name, 0)

    def _settle_globals(self) -> None:
        """Put global units wherever they may run: where they don't conflict with what is there already."""
        for unit in self._globals:
            self._board.remove(unit)
        for unit in self._globals:
            there = self._board.mask_of_ids(self._current.globals.get(unit.name, frozenset()))
            self._board.put(unit, self._board.able(unit) | (there & self._board.closed))

    def _drop_strays(self) -> None:
        """Take away units whose peers turned out to be elsewhere, and those that follow them."""
        board = self._board
        dropping = True
        while dropping:
            dropping = False
            for unit in self._units:
                here = board.present(unit.name) & ~board.closed
                if here and unit.requirements.peers and not here & board.beside_peers(unit):
                    board.remove(unit)
                    dropping = True
            if dropping:
                self._settle_globals()

    def _schedule(self) -> None:
        """Place what is nowhere yet, until nothing more can be: behind a circle, peers may come late."""
        board = self._board
        waiting = [unit for unit in self._units if not board.present(unit.name)]
        placed = True
        while placed:
            for unit in waiting:
                board.put(unit, board.least_loaded(board.able(unit)))
            left = [unit for unit in waiting if not board.present(unit.name)]
            waiting, placed = left, len(left) < len(waiting)

    def _make_way(self) -> bool:
        """Move units away from those that replace them; True if any moved.

        fleet also moves the replacing unit where it happens to look at that one first, and takes the least
        loaded other machine unseen. Here it is the replaced unit that moves, to a machine able to run it;
        if there is none, it stays.
        """
        moved = False
        for replacing in self._replacing:
            here = self._board.present(replacing.name)
            for unit in self._board.units_on(here & ~self._board.closed):
                if unit.name in self._movable and _replaces(replacing, unit):
                    self._movable.remove(unit.name)  # once, so that a circle of three comes to rest
                    self._board.remove(unit)
                    target = self._board.least_loaded(self._board.able(unit) & ~here & ~self._replacers(unit))
                    self._board.put(unit, target or here)
                    moved = moved or bool(target)
        return moved

    def _replacers(self, unit: PlacementUnit) -> int:
        mask = 0
        for other in self._replacing:
            if _replaces(other, unit):
                mask |= self._board.present(other.name)
        return mask

    def _result(self) -> Placements:
        board = self._board
        waiting = [unit for unit in self._units if not board.present(unit.name)]
        return Placements(
            machine_of={
                unit.name: board.ids(board.present(unit.name))[0]
                for unit in sorted(self._units, key=lambda unit: unit.name)
                if board.present(unit.name)
            },
            globals={unit.name: frozenset(board.ids(board.present(unit.name))) for unit in self._globals},
            unplaceable={
                unit.name: board.reasons(unit) for unit in sorted(waiting, key=lambda unit: unit.name)
            },
        )


def _replaces(one: PlacementUnit, other: PlacementUnit) -> bool:
    """Tell whether one replaces the other; two that replace each other don't."""
    if one.name == other.name:
        return False

    def matches(patterns: Iterable[str], name: UnitName) -> bool:
        return any(globs.matches(pattern, str(name)) for pattern in patterns)

    return matches(one.requirements.replaces, other.name) and not matches(
        other.requirements.replaces, one.name
    )
