"""fleetctl's lists, row by row. Columns are padded with tabs of whatever number, so blanks separate them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName

NOTHING = "-"
GLOBAL = "global"
INACTIVE = "inactive"
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:-]{0,252}")  # "-" is none


@dataclass(frozen=True, slots=True)
class FleetMachine:
    """A row of list-machines: a machine that fleet counts on."""

    id: str
    ip: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A row of list-unit-files: what fleet wants of a unit (`desired`), and how far it has come (`state`)."""

    name: UnitName
    hash: str
    desired: str  # inactive | loaded | launched
    state: str  # the same; "-" of a global unit
    machine_id: str  # "" for none
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class UnitState:
    """A row of list-units: what systemd says of a unit on a machine; a global unit has one for each."""

    name: UnitName
    machine_id: str
    load: str
    active: str
    sub: str
    hash: str


def machines_of(text: str) -> tuple[FleetMachine, ...]:
    """Read list-machines with the fields machine, ip, metadata.

    A machine that the configuration does not name goes by these, so they are words or nothing.
    """
    return tuple(
        FleetMachine(id_, ip if _WORD.fullmatch(ip) else "", _metadata(metadata))
        for id_, ip, metadata in _rows(text, 3)
        if _WORD.fullmatch(id_)
    )


def registry_of(text: str) -> Mapping[UnitName, RegistryEntry]:
    """Read list-unit-files with the fields unit, hash, dstate, state, target."""
    return {
        name: RegistryEntry(name, hash_, desired, state, _machine_id(target), target == GLOBAL)
        for unit, hash_, desired, state, target in _rows(text, 5)
        if (name := _name(unit))
    }


def states_of(text: str) -> Mapping[UnitName, tuple[UnitState, ...]]:
    """Read list-units with the fields unit, machine, load, active, sub, hash."""
    states: dict[UnitName, tuple[UnitState, ...]] = {}
    for unit, machine, load, active, sub, hash_ in _rows(text, 6):
        if name := _name(unit):
            state = UnitState(name, _machine_id(machine), load, active, sub, hash_)
            states[name] = (*states.get(name, ()), state)
    return states


def _rows(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        row = line.split(None, columns - 1)
        if len(row) == columns:  # less is no row of this list
            yield [cell.strip() for cell in row]


def _name(text: str) -> UnitName | None:
    try:
        return UnitName.parse(text)
    except InvalidUnit:
        return None  # of an older fleet, which took names that 1.0 refuses


def _machine_id(text: str) -> str:
    """Read a machine as the lists print it: ID/IP, ID alone for one that is gone, or nothing."""
    id_ = text.partition("/")[0]
    return "" if id_ in (NOTHING, GLOBAL) else id_


def _metadata(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",")) if text != NOTHING else ()
    return {key.strip(): value.strip() for key, _, value in pairs}
