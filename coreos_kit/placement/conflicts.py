"""Which machines have a unit that another conflicts with, in either direction."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from coreos_kit.placement.values import MachineSet, PlacementUnit
from coreos_kit.units import globs


class Conflicts:
    """Which machines have a unit that a unit conflicts with, in either direction."""

    def __init__(self, units: Iterable[PlacementUnit]) -> None:
        self._globs = {str(unit.name): tuple(dict.fromkeys(unit.requirements.conflicts)) for unit in units}
        self._matched_by: dict[str, list[str]] = {name: [] for name in self._globs}
        # Each glob with the machines that have a unit that states it, and one that it matches.
        self._declared: dict[str, MachineSet] = defaultdict(int)
        self._matched: dict[str, MachineSet] = defaultdict(int)
        self._placed: dict[str, MachineSet] = {}
        names = sorted(self._globs)
        for pattern in {pattern for patterns in self._globs.values() for pattern in patterns}:
            for name in _matching_names(pattern, names):
                self._matched_by[name].append(pattern)

    def present(self, name: str) -> MachineSet:
        """Return the machines that the unit has been put on."""
        return self._placed.get(name, 0)

    def put(self, unit: PlacementUnit, machines: MachineSet) -> None:
        """Put the unit on more machines."""
        name = str(unit.name)
        self._placed[name] = self.present(name) | machines
        for pattern in self._globs[name]:
            self._declared[pattern] |= machines
        for pattern in self._matched_by[name]:
            self._matched[pattern] |= machines

    def clear(self, unit: PlacementUnit, machines: MachineSet) -> None:
        """Take the unit off; who else is on these machines must then be put again, as globs are shared."""
        name = str(unit.name)
        self._placed[name] = self.present(name) & ~machines
        for pattern in self._globs[name]:
            self._declared[pattern] &= ~machines
        for pattern in self._matched_by[name]:
            self._matched[pattern] &= ~machines

    def signature(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Return what decides a unit's conflicts: the same for instances that differ in nothing."""
        return self._globs[name], tuple(self._matched_by[name])

    def of(self, name: str) -> MachineSet:
        """Return the machines that have something against the unit, or that it has something against."""
        machines = 0
        for pattern in self._globs[name]:
            machines |= self._matched.get(pattern, 0)
        for pattern in self._matched_by[name]:
            machines |= self._declared.get(pattern, 0)
        return machines

    def obstacles(self, name: str) -> Iterator[tuple[str, MachineSet]]:
        """Yield each conflict in words, with the machines where it keeps the unit off."""
        for pattern in self._globs[name]:
            yield f"conflicts with a unit there (Conflicts={pattern})", self._matched.get(pattern, 0)
        for pattern in self._matched_by[name]:
            why = f"a unit there conflicts with it (Conflicts={pattern})"
            yield why, self._declared.get(pattern, 0)


def _matching_names(pattern: str, names: list[str]) -> Iterator[str]:
    prefix = globs.literal_prefix(pattern)
    for i in range(bisect_left(names, prefix), len(names)):
        if not names[i].startswith(prefix):
            return
        if globs.matches(pattern, names[i]):
            yield names[i]
