"""What losing a machine would mean, once a plan has been carried out."""

from collections.abc import Mapping
from dataclasses import dataclass

from coreos_kit.model.names import UnitName


@dataclass(frozen=True, slots=True)
class MachineLoss:
    """One machine taken away: where its units would go, and what would not be there any more.

    A service (or balancer) is `down` when nothing of it stands elsewhere, until its units have moved; it
    `stays_down` when none of them can.
    """

    machine: str
    moves: Mapping[UnitName, str]  # unit -> the machine that would take it
    stranded: Mapping[UnitName, tuple[str, ...]]  # unit -> what keeps it off the other machines
    down: tuple[str, ...] = ()
    stays_down: tuple[str, ...] = ()

    @property
    def is_harmless(self) -> bool:
        """Whether everything would find a place, and nothing be down meanwhile."""
        return not self.stranded and not self.down
