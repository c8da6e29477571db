"""What `place` would do were one machine gone, for each machine in turn.

`place` from the start for each of 1,000 machines takes minutes. Here everything stands once, and for each
machine only its own units are put elsewhere and back: units on other machines stay where they are, since
a machine that goes makes no other less able. Units with Replaces= move others, so with them it is `place`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, place
from coreos_kit.placement.board import Board
from coreos_kit.placement.order import leaders_first
from coreos_kit.placement.values import MachineSet, PlacementUnit

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a unit can't go to some machines: how many, and which the first of them are, by id."""

    reason: str
    count: int
    machines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loss:
    """What becomes of the units of a machine that is gone; `moves` are to machines by id."""

    moves: Mapping[UnitName, str]
    stranded: Mapping[UnitName, tuple[Obstacle, ...]]


def losses(
    units: Sequence[PlacementUnit],
    machines: Sequence[Machine],
    placed: Placements,
    *,
    standing: Mapping[str, Sequence[PlacementUnit]] | None = None,
    closed: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Loss]]:
    """Yield for each machine, by id, what `place` without it would do, beginning from `placed`.

    `placed`, `standing` and `closed` are as for `place`, and `placed` is what it answered.
    """
    others, closed = standing or {}, closed or {}
    if any(unit.requirements.replaces for unit in units):
        yield from _by_placing(units, machines, placed, others, closed)
        return
    ours = {unit.name for unit in units}
    foreign = {id_: [unit for unit in there if unit.name not in ours] for id_, there in others.items()}
    board = Board(machines, [*units, *(unit for there in foreign.values() for unit in there)], closed)
    for id_, there in foreign.items():
        for unit in there:
            board.put(unit, board.mask_of_id(id_))
    regular = leaders_first(sorted(_regular(units), key=lambda unit: unit.name))
    position = {unit.name: i for i, unit in enumerate(regular)}
    by_machine: dict[str, list[PlacementUnit]] = defaultdict(list)  # "": on none
    for unit in regular:
        machine_id = placed.machine_of.get(unit.name, "")
        by_machine[machine_id].append(unit)
        board.put(unit, board.mask_of_id(machine_id))
    for unit in units:
        if unit.requirements.is_global:
            board.put(unit, board.mask_of_ids(placed.globals.get(unit.name, frozenset())))
    for machine in sorted(machines, key=lambda machine: machine.id):
        mine = by_machine[machine.id]
        waiting = sorted([*mine, *by_machine[""]], key=lambda unit: position[unit.name])
        yield machine.id, _without(board, board.mask_of_id(machine.id), mine, waiting)


def _regular(units: Iterable[PlacementUnit]) -> list[PlacementUnit]:
    return [unit for unit in units if not unit.requirements.is_global]


def _without(
    board: Board, lost: MachineSet, mine: Sequence[PlacementUnit], waiting: Sequence[PlacementUnit]
) -> Loss:
    board.lose(lost)
    for unit in mine:
        board.announce(unit.name, 0)
    moved: dict[UnitName, MachineSet] = {}
    left = list(waiting)
    placing = True
    while placing:
        for unit in left:
            if target := board.least_loaded(board.able(unit)):
                board.put(unit, target)
                moved[unit.name] = target
        still = [unit for unit in left if unit.name not in moved]
        left, placing = still, len(still) < len(left)
    loss = Loss(
        {name: board.ids(target)[0] for name, target in moved.items()},
        {unit.name: _named(board, board.obstacles(unit)) for unit in mine if unit.name not in moved},
    )
    for unit in waiting:
        if target := moved.get(unit.name, 0):
            board.take(unit, target)
    for unit in mine:
        board.announce(unit.name, lost)
    board.lose(0)
    return loss


def _named(board: Board, obstacles: Mapping[str, MachineSet]) -> tuple[Obstacle, ...]:
    return tuple(
        Obstacle(reason, machines.bit_count(), tuple(board.ids(_lowest(machines, _NAMED))))
        for reason, machines in obstacles.items()
    )


def _lowest(machines: MachineSet, count: int) -> MachineSet:
    lowest = 0
    for _ in range(count):
        lowest |= (machines & ~lowest) & -(machines & ~lowest)
    return lowest


def _by_placing(
    units: Sequence[PlacementUnit],
    machines: Sequence[Machine],
    placed: Placements,
    standing: Mapping[str, Sequence[PlacementUnit]],
    closed: Mapping[str, str],
) -> Iterator[tuple[str, Loss]]:
    for lost in sorted(machines, key=lambda machine: machine.id):
        after = place(
            units,
            [machine for machine in machines if machine is not lost],
            current=Placements(
                {name: id_ for name, id_ in placed.machine_of.items() if id_ != lost.id},
                {name: ids - {lost.id} for name, ids in placed.globals.items()},
            ),
            standing={id_: there for id_, there in standing.items() if id_ != lost.id},
            closed={id_: why for id_, why in closed.items() if id_ != lost.id},
        )
        yield (
            lost.id,
            Loss(
                {name: id_ for name, id_ in after.machine_of.items() if placed.machine_of.get(name) != id_},
                {
                    name: _grouped(reasons)
                    for name, reasons in after.unplaceable.items()
                    if placed.machine_of.get(name) == lost.id
                },
            ),
        )


def _grouped(reasons: Mapping[str, str]) -> tuple[Obstacle, ...]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for machine, reason in sorted(reasons.items()):
        by_reason[reason].append(machine)
    return tuple(Obstacle(reason, len(ids), tuple(ids[:_NAMED])) for reason, ids in by_reason.items())
