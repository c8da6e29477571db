"""Who is on which machine, kept so that "who can run this unit" is a few operations on integers."""

from collections.abc import Iterable, Iterator, Mapping

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement.conflicts import Conflicts
from coreos_kit.placement.values import MachineSet, PlacementUnit, bits
from coreos_kit.units import globs
from coreos_kit.units.x_fleet import UnitRequirements


class Board:
    """The machines, and the units put on them so far."""

    def __init__(
        self, machines: Iterable[Machine], units: Iterable[PlacementUnit], closed: Mapping[str, str]
    ) -> None:
        """`units` are all that may ever be put here, so that globs are matched once and not per machine."""
        self._machines = sorted(machines, key=lambda machine: machine.id)
        self._bit = {machine.id: 1 << i for i, machine in enumerate(self._machines)}
        self._all: MachineSet = (1 << len(self._machines)) - 1
        self._why_closed = {id_: why for id_, why in closed.items() if id_ in self._bit}
        self.closed: MachineSet = self.mask_of_ids(self._why_closed)
        self._open: MachineSet = self._all & ~self.closed
        self._on: list[dict[UnitName, PlacementUnit]] = [{} for _ in self._machines]
        self._of_load: dict[int, MachineSet] = {0: self._all}
        self._where: dict[str, MachineSet] = {}
        self._conflicts = Conflicts(units)
        self._with_metadata: dict[tuple[str, frozenset[str]], MachineSet] = {}
        self._asked_for: dict[str, MachineSet] = {}  # MachineID= -> machines
        for machine in self._machines:
            for id_ in {machine.id, machine.short_id}:
                self._asked_for[id_] = self._asked_for.get(id_, 0) | self._bit[machine.id]
        self._said: dict[object, dict[str, str]] = {}
        self._lost: MachineSet = 0

    def mask_of_id(self, machine_id: str) -> MachineSet:
        """Return the machine as a set; the empty one if there is no such machine."""
        return self._bit.get(machine_id, 0)

    def mask_of_ids(self, machine_ids: Iterable[str]) -> MachineSet:
        """Return those of the machines that exist here."""
        mask = 0
        for id_ in machine_ids:
            mask |= self.mask_of_id(id_)
        return mask

    def ids(self, machines: MachineSet) -> list[str]:
        """Return the machines' ids in order."""
        return [self._machines[i].id for i in bits(machines)]

    def present(self, name: UnitName) -> MachineSet:
        """Return the machines that the unit has been put on."""
        return self._conflicts.present(str(name))

    def announce(self, name: UnitName, machines: MachineSet) -> None:
        """Let the unit count as a peer on these machines and no others, before it is put anywhere."""
        self._where[str(name)] = machines

    def put(self, unit: PlacementUnit, machines: MachineSet) -> None:
        """Put the unit on more machines."""
        new = machines & ~self.present(unit.name)
        for i in bits(new):
            self._change_load(i, +1)
            self._on[i][unit.name] = unit
        self._conflicts.put(unit, new)
        self._where[str(unit.name)] = self._where.get(str(unit.name), 0) | new

    def remove(self, unit: PlacementUnit) -> None:
        """Take the unit away from wherever it is."""
        self._where[str(unit.name)] = machines = self.present(unit.name)
        self.take(unit, machines)

    def take(self, unit: PlacementUnit, machines: MachineSet) -> None:
        """Take the unit away from these machines, all of which have it, and from no others."""
        self._where[str(unit.name)] &= ~machines
        for i in bits(machines):
            self._change_load(i, -1)
            del self._on[i][unit.name]
        self._conflicts.clear(unit, machines)
        for i in bits(machines):
            for other in self._on[i].values():
                self._conflicts.put(other, 1 << i)

    def lose(self, machines: MachineSet) -> None:
        """Have none of these machines for the time being; the empty set brings all back.

        What has been put on them stays in the books, and stands in nobody's way elsewhere.
        """
        self._lost = machines
        self._open = self._all & ~self.closed & ~machines

    def _change_load(self, i: int, by: int) -> None:
        load, bit = len(self._on[i]), 1 << i
        self._of_load[load] ^= bit
        if not self._of_load[load]:
            del self._of_load[load]
        self._of_load[load + by] = self._of_load.get(load + by, 0) | bit

    def able(self, unit: PlacementUnit) -> MachineSet:
        """Return the machines that may be given the unit: fleet's AbleToRun, for all of them at once."""
        machines = self._open & self.reach(unit) & self.beside_peers(unit)
        return machines & ~self._conflicts.of(str(unit.name))

    def reach(self, unit: PlacementUnit) -> MachineSet:
        """Return the machines with the id and the metadata that the unit asks for."""
        wanted = unit.requirements.machine_id
        machines = self._all if wanted is None else self._asked_for.get(wanted, 0)
        for key, values in unit.requirements.metadata.items():
            machines &= self._having(key, values)
        return machines

    def beside_peers(self, unit: PlacementUnit) -> MachineSet:
        """Return the machines that have all of the unit's peers."""
        machines = self._all
        for peer in unit.requirements.peers:
            machines &= self._where.get(peer, 0)
        return machines

    def _having(self, key: str, values: frozenset[str]) -> MachineSet:
        if (key, values) not in self._with_metadata:
            machines = (machine.id for machine in self._machines if machine.metadata.get(key) in values)
            self._with_metadata[key, values] = self.mask_of_ids(machines)
        return self._with_metadata[key, values]

    def least_loaded(self, machines: MachineSet) -> MachineSet:
        """Return the one with the fewest units, of several the first by id; the empty set for none."""
        for load in sorted(self._of_load):
            if candidates := self._of_load[load] & machines:
                return candidates & -candidates
        return 0

    def units_on(self, machines: MachineSet) -> list[PlacementUnit]:
        """Return the units on these machines in the order of their names."""
        return sorted(
            (unit for i in bits(machines) for unit in self._on[i].values()), key=lambda unit: unit.name
        )

    def obstacles(self, unit: PlacementUnit) -> Mapping[str, MachineSet]:
        """Say what keeps a unit that is nowhere off, each reason with the machines that it holds for."""
        found: dict[str, MachineSet] = {}
        left = self._all & ~self._lost
        for why, machines in self._obstacles(unit):
            if hit := machines & left:
                found[why] = found.get(why, 0) | hit
                left &= ~hit
        return found

    def _obstacles(self, unit: PlacementUnit) -> Iterator[tuple[str, MachineSet]]:
        wanted = unit.requirements
        for id_, why in self._why_closed.items():
            yield why, self._bit[id_]
        if wanted.machine_id is not None:
            yield f"its id is not {wanted.machine_id} (MachineID)", ~self._asked_for.get(wanted.machine_id, 0)
        for key, values in wanted.metadata.items():
            yield f"no metadata {_asked(key, values)}", ~self._having(key, values)
        for peer in wanted.peers:
            yield f"{peer} is not placed there (MachineOf)", ~self._where.get(peer, 0)
        yield from self._conflicts.obstacles(str(unit.name))

    def reasons(self, unit: PlacementUnit) -> Mapping[str, str]:
        """Say for each machine, by id, what it has against the unit; for a unit that is nowhere."""
        wanted = unit.requirements
        alike = (
            wanted.machine_id,
            wanted.peers,
            tuple(sorted(wanted.metadata.items())),
            self._conflicts.signature(str(unit.name)),
        )
        if alike not in self._said:  # a thousand surplus instances are told the same
            self._said[alike] = self._reasons(unit)
        return self._said[alike]

    def _reasons(self, unit: PlacementUnit) -> dict[str, str]:
        why = {i: self._why_closed[self._machines[i].id] for i in bits(self.closed)}
        for i in bits(self._open & ~self.reach(unit)):
            why[i] = _unmet(unit.requirements, self._machines[i])
        for peer in unit.requirements.peers:
            reason = f"{peer} is not placed here (MachineOf)"
            for i in bits(self._all & ~self._where.get(peer, 0)):
                why.setdefault(i, reason)
        for i in bits(self._conflicts.of(str(unit.name))):
            if i not in why:
                why[i] = _conflict(unit, self.units_on(1 << i))
        return {machine.id: why[i] for i, machine in enumerate(self._machines) if i in why}


def _unmet(wanted: UnitRequirements, machine: Machine) -> str:
    if wanted.machine_id is not None and not machine.matches_id(wanted.machine_id):
        return f"its id is not {wanted.machine_id} (MachineID)"
    for key, values in wanted.metadata.items():
        has = machine.metadata.get(key)
        if has not in values:
            return f"no metadata {_asked(key, values)} (has {f'no {key}' if has is None else f'{key}={has}'})"
    raise AssertionError(f"{machine.id} has everything that was asked for")


def _asked(key: str, values: Iterable[str]) -> str:
    return " or ".join(f"{key}={value}" for value in sorted(values))


def _conflict(unit: PlacementUnit, others: Iterable[PlacementUnit]) -> str:
    for other in others:
        for pattern in unit.requirements.conflicts:
            if globs.matches(pattern, str(other.name)):
                return f"conflicts with {other.name} (Conflicts={pattern})"
        for pattern in other.requirements.conflicts:
            if globs.matches(pattern, str(unit.name)):
                return f"{other.name} conflicts with it (Conflicts={pattern})"
    raise AssertionError(f"nothing conflicts with {unit.name}")
