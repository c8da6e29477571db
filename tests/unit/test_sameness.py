"""Whether a plan is still the one that was confirmed."""

from dataclasses import replace

from coreos_kit.model.cluster import Observation
from coreos_kit.planning import plan
from coreos_kit.planning.sameness import same_work
from tests.unit.test_planning import Site, main, pairs


def in_state(observed: Observation, active_state: str, sub_state: str) -> Observation:
    """Return what is seen while the first instance is in that state."""
    machine, state = observed.machines["core-1"], {"active_state": active_state, "sub_state": sub_state}
    units = tuple(replace(unit, **state) if unit.name == main(7777).name else unit for unit in machine.units)
    return replace(observed, machines={**observed.machines, "core-1": replace(machine, units=units)})


def test_a_unit_that_starts_and_fails_over_and_over_does_not_change_the_plan() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))
    observed = site.fake.observe([])
    failed, starting = (
        plan("web", site.cluster, pairs(7777, 8888), in_state(observed, *state))
        for state in (("failed", "failed"), ("activating", "auto-restart"))
    )

    assert [change.reason for change in failed.changes] != [change.reason for change in starting.changes]
    assert same_work("web", failed, starting)


def test_another_text_another_place_and_another_order_are_other_work() -> None:
    site = Site(4)
    site.deploy(pairs(7777, 8888))
    made = site.plan(pairs(7777, 8888, body="2"))

    assert not same_work("web", made, site.plan(pairs(7777, 8888, body="3")))
    assert not same_work("web", made, site.plan(pairs(8888, 7777, body="2")))
    assert not same_work("web", made, site.plan(pairs(7777, 8888, body="2"), evacuate={"core-1"}))
    assert same_work("web", made, replace(made, notes=("it rains",)))
