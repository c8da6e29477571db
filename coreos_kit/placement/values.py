"""What placement is about: units with what they ask of a machine, and sets of machines.

A set of machines is an integer: bit i is the machine whose id is the i-th in order, so that the lowest bit
is the machine that fleet prefers among equals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from coreos_kit.model.names import UnitName
from coreos_kit.units.x_fleet import UnitRequirements

MachineSet = int


@dataclass(frozen=True, slots=True)
class PlacementUnit:
    """A unit and what it asks of its machine."""

    name: UnitName
    requirements: UnitRequirements


def bits(machines: MachineSet) -> Iterator[int]:
    """Yield the numbers of the machines in the set."""
    while machines:
        lowest = machines & -machines
        yield lowest.bit_length() - 1
        machines ^= lowest
