import random

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.units import globs
from coreos_kit.units.x_fleet import UnitRequirements

NAMES = [
    UnitName.parse(text)
    for text in [
        "a@1.service",
        "a@2.service",
        "a@3.service",
        "a-log@1.service",
        "a-log@2.service",
        "b.service",
        "c.service",
        "g.service",
    ]
]
GLOBS = st.sampled_from(["a@*.service", "a@2.service", "?.service", "*", "[bc].service", "[", "c.service"])
PEERS = st.sampled_from([str(name) for name in NAMES] + ["nosuch.service"])
PAIRS = st.dictionaries(
    st.sampled_from(["region", "disk"]),
    st.frozensets(st.sampled_from(["x", "y", "z"]), min_size=1),
    max_size=1,
)
REGULAR = st.builds(
    UnitRequirements,
    peers=st.lists(PEERS, max_size=1).map(tuple),
    metadata=PAIRS,
    conflicts=st.lists(GLOBS, max_size=2).map(tuple),
)
REQUIREMENTS = st.one_of(
    REGULAR,
    REGULAR,
    st.builds(
        UnitRequirements,
        metadata=PAIRS,
        conflicts=st.lists(GLOBS, max_size=1).map(tuple),
        is_global=st.just(True),
    ),
    st.builds(
        UnitRequirements,
        peers=st.lists(PEERS, max_size=1).map(tuple),
        replaces=st.lists(GLOBS, max_size=1).map(tuple),
    ),
    st.builds(UnitRequirements, machine_id=st.sampled_from(["m1", "m2", "m9"])),
)
REGULAR_UNITS = st.dictionaries(st.sampled_from(NAMES), REGULAR).map(
    lambda found: [PlacementUnit(name, wanted) for name, wanted in found.items()]
)
UNITS = st.dictionaries(st.sampled_from(NAMES), REQUIREMENTS).map(
    lambda found: [PlacementUnit(name, wanted) for name, wanted in found.items()]
)
MACHINES = st.lists(
    st.builds(dict, region=st.sampled_from(["x", "y"]), disk=st.sampled_from(["x", "z"])), max_size=4
).map(lambda found: [Machine(f"m{i}", metadata=metadata) for i, metadata in enumerate(found)])
CURRENT = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["m0", "m1", "m2", "gone"])).map(Placements)


def units_on(machine: Machine, units: list[PlacementUnit], placed: Placements) -> list[PlacementUnit]:
    return [
        unit
        for unit in units
        if placed.machine_of.get(unit.name) == machine.id or machine.id in placed.globals.get(unit.name, ())
    ]


def able(machine: Machine, unit: PlacementUnit, there: list[PlacementUnit]) -> bool:
    """fleet's AbleToRun, written down unit by unit, to hold the quick one against."""
    wanted = unit.requirements
    others = [other for other in there if other.name != unit.name]
    names = [str(other.name) for other in there]
    return (
        (wanted.machine_id is None or machine.matches_id(wanted.machine_id))
        and all(machine.metadata.get(key) in values for key, values in wanted.metadata.items())
        and all(peer in names for peer in wanted.peers)
        and not any(globs.matches(glob, str(other.name)) for other in others for glob in wanted.conflicts)
        and not any(
            globs.matches(glob, str(unit.name)) for other in others for glob in other.requirements.conflicts
        )
    )


@given(UNITS, MACHINES, CURRENT)
def test_every_machine_is_able_to_run_what_it_was_given(
    units: list[PlacementUnit], machines: list[Machine], current: Placements
) -> None:
    placed = place(units, machines, current=current)

    for machine in machines:
        there = units_on(machine, units, placed)
        assert all(able(machine, unit, there) for unit in there)


@given(UNITS, MACHINES, CURRENT)
def test_what_is_not_placed_no_machine_is_able_to_run_and_each_says_why(
    units: list[PlacementUnit], machines: list[Machine], current: Placements
) -> None:
    placed = place(units, machines, current=current)

    regular = {unit.name: unit for unit in units if not unit.requirements.is_global}
    assert placed.machine_of.keys() | placed.unplaceable.keys() == regular.keys()
    for name, reasons in placed.unplaceable.items():
        assert list(reasons) == [machine.id for machine in machines]
        assert not any(able(machine, regular[name], units_on(machine, units, placed)) for machine in machines)


@given(UNITS, MACHINES, CURRENT)
def test_placing_again_moves_nothing(
    units: list[PlacementUnit], machines: list[Machine], current: Placements
) -> None:
    steady = [unit for unit in units if not unit.requirements.replaces]

    once = place(steady, machines, current=current)

    assert place(steady, machines, current=once) == once


@given(UNITS, MACHINES, CURRENT, st.randoms(use_true_random=False))
def test_the_order_of_units_and_machines_does_not_matter(
    units: list[PlacementUnit], machines: list[Machine], current: Placements, dice: random.Random
) -> None:
    shuffled = (dice.sample(units, len(units)), dice.sample(machines, len(machines)))

    assert place(*shuffled, current=current) == place(units, machines, current=current)


@given(REGULAR_UNITS, MACHINES, CURRENT, REGULAR)
def test_a_new_unit_goes_to_the_least_loaded_machine_that_is_able_to_run_it(
    units: list[PlacementUnit], machines: list[Machine], current: Placements, wanted: UnitRequirements
) -> None:
    newcomer = PlacementUnit(UnitName("new"), wanted)
    settled = place(units, machines, current=current)
    units = [unit for unit in units if unit.name not in settled.unplaceable]

    after = place([*units, newcomer], machines, current=settled)

    there = {machine.id: units_on(machine, units, settled) for machine in machines}
    ranked = sorted(machines, key=lambda machine: (len(there[machine.id]), machine.id))
    chosen = next((machine.id for machine in ranked if able(machine, newcomer, there[machine.id])), None)
    assert after.machine_of.get(newcomer.name) == chosen
