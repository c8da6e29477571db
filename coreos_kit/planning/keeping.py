"""Where the project's units stand, and which place keeps one that stands on several: one rule for all.

Why this order: docs/decisions/skip-and-evacuate.md.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.units.pin import pin_images, pinned_digests
from coreos_kit.units.secret_files import unpinned
from coreos_kit.units.stamp import digest_of
from coreos_kit.units.x_fleet import UnitRequirements

Standing = Mapping[UnitName, Mapping[str, ObservedUnit]]  # unit -> name of the machine -> as it stands there

_ANY_DIGEST = f"sha256:{'0' * 64}"


def standing(project: str, observed: Observation) -> Standing:
    """Return where each of the project's units stands."""
    found: dict[UnitName, dict[str, ObservedUnit]] = defaultdict(dict)
    for name, machine in sorted(observed.machines.items()):
        for unit in machine.units:
            if unit.project == project:
                found[unit.name][name] = unit
    return found


def is_any_twice(project: str, desired: Sequence[DesiredUnit], observed: Observation) -> bool:
    """Whether one that belongs on one machine stands on several, so that a place has to be chosen."""
    found = standing(project, observed)
    return any(
        len(found.get(unit.name, ())) > 1 and not UnitRequirements.of(unit.name, unit.text).is_global
        for unit in desired
    )


@dataclass(frozen=True, slots=True)
class Keeping:
    """Chooses among the places of a unit: from what is wanted, and where the last deploy put it."""

    project: str
    wanted: Mapping[UnitName, DesiredUnit]
    recorded: Mapping[UnitName, Collection[str]]

    @classmethod
    def among(
        cls,
        project: str,
        desired: Sequence[DesiredUnit],
        observed: Observation,
        recorded: Mapping[UnitName, Collection[str]],
    ) -> "Keeping":
        """Choose for these units; where a scheduler places them, no record knows better than it."""
        if observed.scheduler is not None:
            return cls(project, {}, {})
        return cls(project, {unit.name: unit for unit in desired}, recorded)

    def place(self, name: UnitName, where: Mapping[str, ObservedUnit]) -> str:
        """Return the machine that keeps the unit, one of those where it stands; there is at least one.

        That is where the last deploy put it; else where its text is the wanted one; else where it is active.
        """
        if len(where) == 1:
            return next(iter(where))
        recorded, wanted = self.recorded.get(name, ()), self.wanted.get(name)

        def rank(machine: str) -> tuple[bool, bool, bool, str]:
            found = where[machine]
            is_wanted = wanted is not None and self._says(found.text, wanted)
            return machine not in recorded, not is_wanted, not found.is_active, machine

        return min(where, key=rank)

    def _says(self, text: str | None, wanted: DesiredUnit) -> bool:
        """Whether a text is the wanted one, whatever digests deploy has put in: who verifies has none."""
        if text is None:
            return False
        try:
            return self._bare(text, wanted) == self._bare(wanted.text, wanted)
        except KitError:
            return False  # nothing that anybody wants

    def _bare(self, text: str, wanted: DesiredUnit) -> str:
        text = pin_images(unpinned(text, self.project), dict.fromkeys(wanted.images, _ANY_DIGEST))
        for digest in pinned_digests(text, wanted.images).values():
            text = text.replace(digest, _ANY_DIGEST)
        return digest_of(text)
