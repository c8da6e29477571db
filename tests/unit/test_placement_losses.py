"""What a machine's loss would mean: what `place` does without it, worked out for all machines at once."""

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.placement.losses import Obstacle, losses
from coreos_kit.units.x_fleet import UnitRequirements
from tests.unit.test_placement_properties import CURRENT, MACHINES, UNITS

CLOSED = st.dictionaries(st.sampled_from(["m0", "m1"]), st.just("it is skipped"), max_size=1)


def unit(name: str, **wanted: object) -> PlacementUnit:
    return PlacementUnit(UnitName.parse(name), UnitRequirements(**wanted))  # type: ignore[arg-type]


@given(UNITS, MACHINES, CURRENT, CLOSED)
def test_each_loss_is_what_placing_without_that_machine_gives(
    units: list[PlacementUnit], machines: list[Machine], current: Placements, closed: dict[str, str]
) -> None:
    placed = place(units, machines, current=current, closed=closed)

    found = dict(losses(units, machines, placed, closed=closed))

    assert list(found) == [machine.id for machine in machines]
    for lost in machines:
        after = place(
            units,
            [machine for machine in machines if machine != lost],
            current=Placements(
                {name: id_ for name, id_ in placed.machine_of.items() if id_ != lost.id},
                {name: ids - {lost.id} for name, ids in placed.globals.items()},
            ),
            closed={id_: why for id_, why in closed.items() if id_ != lost.id},
        )
        moved = {name: id_ for name, id_ in after.machine_of.items() if placed.machine_of.get(name) != id_}
        mine = {name for name, id_ in placed.machine_of.items() if id_ == lost.id}
        assert found[lost.id].moves == moved
        assert found[lost.id].stranded.keys() == mine & after.unplaceable.keys()


def test_what_keeps_a_unit_off_is_said_with_how_many_machines_and_the_first_of_them() -> None:
    web = [unit(f"web@{n}.service", conflicts=("web@*.service",)) for n in range(5)]
    big = unit("big.service", metadata={"disk": frozenset({"ssd"})})
    machines = [Machine(f"m{n}", metadata={"disk": "ssd"} if n == 0 else {}) for n in range(5)]

    found = dict(losses([*web, big], machines, place([*web, big], machines)))

    why = found["m0"].stranded
    assert why[UnitName.parse("big.service")] == (Obstacle("no metadata disk=ssd", 4, ("m1", "m2", "m3")),)
    (conflict,) = next(iter(found["m3"].stranded.values()))
    assert conflict == Obstacle(
        "conflicts with a unit there (Conflicts=web@*.service)", 4, ("m0", "m1", "m2")
    )


def test_a_sidekick_follows_its_unit() -> None:
    units = [unit("web@1.service"), unit("web-log@1.service", peers=("web@1.service",))]
    machines = [Machine("m0"), Machine("m1")]

    found = dict(losses(units, machines, place(units, machines)))

    assert set(found["m0"].moves.values()) == {"m1"}
    assert len(found["m0"].moves) == 2
