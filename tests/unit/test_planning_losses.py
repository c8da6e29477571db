"""What a plan says of each machine's loss: the same as evacuating it would do."""

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.errors import Unplaceable
from coreos_kit.model.loss import MachineLoss
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.planning import PlanOptions, plan
from coreos_kit.planning.losses import losses_of
from tests.unit.test_planning import BALANCER, Site, main, pairs
from tests.unit.test_planning_properties import desires


def losses(site: Site, desired: list[DesiredUnit]) -> dict[str, MachineLoss]:
    observed = site.fake.observe([])
    made = plan("web", site.cluster, desired, observed)
    return {loss.machine: loss for loss in losses_of("web", desired, observed, made)}


def names(*texts: str) -> list[UnitName]:
    return [UnitName.parse(text) for text in texts]


def test_an_instance_with_a_free_machine_moves_there_with_its_sidekick() -> None:
    site = Site(3)

    found = losses(site, pairs(7777, 8888))

    first, sidekick = names("apache@7777.service", "apache-discovery@7777.service")
    assert found["core-1"] == MachineLoss("core-1", {first: "core-3", sidekick: "core-3"}, {})
    assert found["core-3"] == MachineLoss("core-3", {}, {})
    assert found["core-3"].is_harmless


def test_a_unit_that_no_other_machine_can_take_is_stranded_with_what_keeps_it_off() -> None:
    site = Site(2)

    found = losses(site, pairs(7777, 8888))

    first, sidekick = names("apache@7777.service", "apache-discovery@7777.service")
    assert found["core-1"].stranded == {
        first: ("core-2: conflicts with a unit there (Conflicts=apache@*.service)",),
        sidekick: ("core-2: apache@7777.service is not placed there (MachineOf)",),
    }
    assert (found["core-1"].down, found["core-1"].stays_down) == ((), ())


def test_a_service_of_one_instance_is_down_until_it_has_moved() -> None:
    found = losses(Site(2), pairs(7777))

    assert (found["core-1"].down, found["core-1"].stays_down) == (("apache",), ())
    assert found["core-2"].down == ()


def test_what_can_go_nowhere_stays_down() -> None:
    found = losses(Site(3), [*pairs(7777, 8888), BALANCER])

    assert found["core-3"].moves == {}
    assert (found["core-3"].down, found["core-3"].stays_down) == (("nginx_lb",), ("nginx_lb",))


def test_a_machine_that_is_skipped_takes_nothing_and_is_no_place_to_fall_back_on() -> None:
    site = Site(3)
    site.deploy(pairs(7777))
    observed = site.fake.observe([])
    options = PlanOptions(skip=frozenset({"core-2", "core-3"}))
    made = plan("web", site.cluster, pairs(7777), observed, options)

    found = {loss.machine: loss for loss in losses_of("web", pairs(7777), observed, made, options)}

    assert found["core-1"].stranded[UnitName.parse("apache@7777.service")] == (
        "core-2, core-3: it is skipped",
    )


def test_a_unit_that_is_held_still_goes_nowhere_and_serves_nobody() -> None:
    site = Site(3)
    site.deploy(pairs(7777, 8888))
    held = PlanOptions(held_units=frozenset(unit.name for unit in pairs(8888)))
    observed = site.fake.observe([])
    made = plan("web", site.cluster, pairs(7777, 8888), observed, held)

    found = {loss.machine: loss for loss in losses_of("web", pairs(7777, 8888), observed, made, held)}

    assert (found["core-1"].down, set(found["core-1"].moves.values())) == (("apache",), {"core-3"})
    assert found["core-2"] == MachineLoss("core-2", {}, {})


def test_the_machines_that_keep_a_unit_off_are_counted_where_they_are_many() -> None:
    found = losses(Site(7), [main(instance) for instance in range(1, 8)])

    assert found["core-1"].stranded[UnitName.parse("apache@1.service")] == (
        "core-2, core-3, core-4 and 3 more: conflicts with a unit there (Conflicts=apache@*.service)",
    )


def evacuated(site: Site, desired: list[DesiredUnit], machine: str) -> dict[UnitName, str] | set[str]:
    """Return where evacuating a machine would put what it moves; or the units that no machine would take."""
    stood = site.plan(desired).placements
    try:
        after = site.plan(desired, evacuate={machine}).placements
    except Unplaceable as refused:
        return {detail.split()[0] for detail in refused.details}
    return {unit: to for unit, (to,) in after.items() if stood[unit] != (to,)}


@given(st.integers(2, 5), desires())
def test_a_loss_is_what_evacuating_that_machine_would_do(machines: int, desired: list[DesiredUnit]) -> None:
    site = Site(machines)
    try:
        site.deploy(desired)
    except Unplaceable:
        return

    for machine, loss in losses(site, desired).items():
        stranded = {str(unit) for unit in loss.stranded}
        told = {unit for unit in stranded if unit.replace("-discovery@", "@") not in stranded - {unit}}
        assert evacuated(site, desired, machine) == (told or loss.moves)
