"""[X-Fleet]: where a unit may run, as fleet 1.0.0 reads it and refuses it.

Facts from coreos/fleet job/job.go, unit/unit.go and api/units.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName
from coreos_kit.units import globs
from coreos_kit.units.fleet_hash import fleet_options

SECTION = "X-Fleet"

# Each key with the spellings it had before fleet 0.8. Order matters: of a list, the old ones come first.
MACHINE_ID = ("MachineID", "X-ConditionMachineID", "X-ConditionMachineBootID")
MACHINE_OF = ("X-ConditionMachineOf", "MachineOf")
MACHINE_METADATA = ("X-ConditionMachineMetadata", "MachineMetadata")
CONFLICTS = ("X-Conflicts", "Conflicts")
GLOBAL = ("Global",)
REPLACES = ("Replaces",)
KEYS = frozenset(MACHINE_ID + MACHINE_OF + MACHINE_METADATA + CONFLICTS + GLOBAL + REPLACES)

TRUE = frozenset({"true", "yes", "1", "on", "t"})


@dataclass(frozen=True, slots=True)
class UnitRequirements:
    """What a unit asks of its machine. Conflicts and replaces are globs, peers are exact names."""

    machine_id: str | None = None
    peers: tuple[str, ...] = ()
    metadata: Mapping[str, frozenset[str]] = field(
        default_factory=dict, hash=False
    )  # one of each key's values
    conflicts: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    is_global: bool = False

    @staticmethod
    def of(name: UnitName, text: str) -> "UnitRequirements":
        """Read the requirements of a unit from its file's text, specifiers expanded.

        Raises `InvalidUnit` where fleet would refuse to create the unit.
        """
        if reason := refusal(text):
            raise InvalidUnit(f"{name} is refused, as fleet would: {reason}")
        return _requirements(section_values(text), name)

    @staticmethod
    def as_found(name: UnitName, text: str) -> "UnitRequirements":
        """Read those of a unit that stands already, refusing nothing: what can't be read asks nothing."""
        try:
            return _requirements(section_values(text), name)
        except InvalidUnit:
            return UnitRequirements()


def _requirements(values: Mapping[str, tuple[str, ...]], name: UnitName | None) -> UnitRequirements:
    """Sort the values out; without a name, specifiers stay as they are."""

    def expanded(keys: Iterable[str]) -> tuple[str, ...]:
        found = (value for key in keys for value in values.get(key, ()))
        return tuple(name.expand(value) if name else value for value in found)

    truth = expanded(GLOBAL)
    return UnitRequirements(
        machine_id=next(iter(expanded(MACHINE_ID)), None),
        peers=expanded(MACHINE_OF),
        metadata=MappingProxyType(_metadata(expanded(MACHINE_METADATA))),
        # Splitting at blanks is 1.0.0's; up to 0.13 `a@* b@*` was one glob, which matched nothing.
        conflicts=tuple(glob for value in expanded(CONFLICTS) for glob in value.split()),
        replaces=expanded(REPLACES),
        is_global=bool(truth) and truth[-1].lower() in TRUE,
    )


@lru_cache(maxsize=256)  # instances of a template share their text
def section_values(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return the values of each key in [X-Fleet], known or not, as written but taken apart."""
    values: dict[str, tuple[str, ...]] = {}
    for option in fleet_options(text):
        if option.section == SECTION:
            values[option.name] = values.get(option.name, ()) + split_values(option.value)
    return MappingProxyType(values)


def split_values(line: str) -> tuple[str, ...]:
    """Take ``"a=b" "c=d"`` apart; a line that does not both begin and end with a quote is one value.

    One space ends a value, so two of them leave an empty one between; quotes may stand anywhere.
    """
    if not (line.startswith('"') and line.endswith('"')):
        return (line,)
    values, quoted = [""], False
    for character in line:
        if character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            values.append("")
        else:
            values[-1] += character
    return tuple(values)


def metadata_pair(value: str) -> tuple[str, str] | None:
    """Read ``key=value``; None for anything else, which fleet ignores without a word."""
    parts = value.split("=")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def _metadata(values: Iterable[str]) -> dict[str, frozenset[str]]:
    wanted: dict[str, frozenset[str]] = {}
    for value in values:
        if pair := metadata_pair(value):
            wanted[pair[0]] = wanted.get(pair[0], frozenset()) | {pair[1]}
    return wanted


@lru_cache(maxsize=256)
def refusal(text: str) -> str | None:
    """Say, in fleet's words, why it would not create a unit of this text; None if it would.

    fleet checks before it expands specifiers, so ``b@%i.service`` is matched against conflicts as it stands.
    """
    try:
        raw = _requirements(section_values(text), None)
    except InvalidUnit as error:
        return str(error)
    for peer in raw.peers:
        for kind, patterns in (("conflict", raw.conflicts), ("replace", raw.replaces)):
            for pattern in patterns:
                if globs.matches(pattern, peer):
                    return f'unresolvable requirements: peer "{peer}" matches {kind} "{pattern}"'
    stated = {
        "MachineID": raw.machine_id is not None,
        "Global": raw.is_global,
        "Peers": bool(raw.peers),
        "Conflicts": bool(raw.conflicts),
        "Replaces": bool(raw.replaces),
    }
    for one, other in _EXCLUSIVE:
        if stated[one] and stated[other]:
            return f"{one} cannot be used with {other}"
    return None


_EXCLUSIVE = (
    ("MachineID", "Peers"),
    ("MachineID", "Conflicts"),
    ("MachineID", "Global"),
    ("MachineID", "Replaces"),
    ("Global", "Peers"),
    ("Global", "Replaces"),
    ("Conflicts", "Replaces"),
)
