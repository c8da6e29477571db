"""Planning around what is held still: nothing new on a cordoned machine, nothing left on a drained one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.errors import Refused, Unplaceable
from coreos_kit.model.cluster import Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, UnitKind
from coreos_kit.planning import PlanOptions, change_of, plan
from coreos_kit.planning.draining import as_it_stands, only_moves
from coreos_kit.planning.still import left_as_found, still_notes, with_sidekicks
from tests.unit.test_planning import BALANCER, Site, changes, main, pairs, sidekick, text_of
from tests.unit.test_planning_properties import desires, stands

MAIN, SIDEKICK = UnitName.parse("apache@7777.service"), UnitName.parse("apache-discovery@7777.service")
BOTH = {MAIN, SIDEKICK}
ALLOWED = {"apache", "nginx_lb", "agent"}
AGENT = DesiredUnit(
    UnitName.parse("agent.service"),
    text_of("agent", service="agent", fleet="Global=true"),
    "agent",
    UnitKind.EXTRA,
)
PINNED = DesiredUnit(
    UnitName.parse("disk.service"),
    text_of("disk", service="disk", fleet=f"MachineID={1:032x}"),
    "disk",
    UnitKind.EXTRA,
)


def drain(site: Site, desired: list[DesiredUnit], machine: str, **options: frozenset[UnitName]) -> Plan:
    """Plan a drain as ops.drain does it."""
    observed = site.fake.observe([])
    standing = as_it_stands("web", desired, observed, {})
    drained = frozenset({machine})
    made = plan("web", site.cluster, standing, observed, PlanOptions(drained=drained, **options))  # type: ignore[arg-type]
    return only_moves(made, observed, drained)


# Cordoned machines


def test_a_cordoned_machine_is_passed_over_however_little_it_has() -> None:
    made = Site(3).plan(pairs(7777), cordoned={"core-1"})

    assert made.placements[MAIN] == made.placements[SIDEKICK] == ("core-2",)


def test_what_is_everywhere_is_not_put_onto_a_cordoned_machine_and_stays_where_it_is() -> None:
    site = Site(3)

    assert site.plan([AGENT], cordoned={"core-1"}).placements[AGENT.name] == ("core-2", "core-3")
    site.deploy([AGENT])
    assert site.plan([AGENT], cordoned={"core-1"}).is_empty


def test_a_changed_unit_is_replaced_on_a_cordoned_machine() -> None:
    site = Site(3)
    site.deploy(pairs(7777))

    made = site.plan(pairs(7777, body="2"), cordoned={"core-1"})

    assert changes(made) == [
        "replace apache@7777.service core-1",
        "replace apache-discovery@7777.service core-1",
    ]


def test_a_sidekick_that_is_new_comes_to_its_unit_on_a_cordoned_machine() -> None:
    site = Site(3)
    site.deploy([main(7777)])

    made = site.plan(pairs(7777), cordoned={"core-1"})

    assert changes(made) == ["create apache-discovery@7777.service core-1"]


def test_with_every_machine_cordoned_each_says_so() -> None:
    with pytest.raises(Unplaceable) as caught:
        Site(2).plan([main(7777)], cordoned={"core-1", "core-2"})

    assert caught.value.details == (
        "apache@7777.service on core-1: it is cordoned",
        "apache@7777.service on core-2: it is cordoned",
    )


@given(st.integers(1, 5), desires(), desires(), st.sets(st.integers(1, 5), max_size=4))
def test_nothing_new_comes_to_a_cordoned_machine_and_what_it_has_stays(
    machines: int, before: list[DesiredUnit], after: list[DesiredUnit], closed: set[int]
) -> None:
    site = Site(machines)
    cordoned = {f"core-{n}" for n in closed if n <= machines}
    try:
        site.deploy(before, allow_remove=ALLOWED)
        stood = stands(site)
        site.deploy(after, allow_remove=ALLOWED, cordoned=cordoned)
    except Unplaceable:
        return

    wanted = {str(unit.name) for unit in after}
    mains = {str(unit.name) for unit in after if unit.kind is not UnitKind.SIDEKICK}
    there = {place for place in stands(site) if place[0] in cordoned}
    assert {place for place in there if place[1] in mains} <= stood
    assert {place for place in stood if place[0] in cordoned and place[1] in wanted} <= there


@given(st.integers(1, 5), desires(), st.sets(st.integers(1, 5), max_size=4))
def test_a_cordon_alone_changes_nothing(machines: int, desired: list[DesiredUnit], closed: set[int]) -> None:
    site = Site(machines)
    try:
        site.deploy(desired, allow_remove=ALLOWED)
    except Unplaceable:
        return

    cordoned = {f"core-{n}" for n in closed if n <= machines}
    assert site.plan(desired, allow_remove=ALLOWED, cordoned=cordoned).is_empty


# Drained machines


def test_a_drain_moves_an_instance_and_its_sidekick() -> None:
    site = Site(4)
    site.deploy([*pairs(7777, 8888), BALANCER])

    made = drain(site, [*pairs(7777, 8888), BALANCER], "core-1")

    assert changes(made) == [
        "remove apache-discovery@7777.service core-1",
        "remove apache@7777.service core-1",
        "move apache@7777.service core-4",
        "move apache-discovery@7777.service core-4",
    ]
    assert not made.stuck


def test_a_drain_does_nothing_else() -> None:
    site = Site(4)
    site.deploy([*pairs(7777, 8888), BALANCER, AGENT])
    site.fake.machines["core-2"].active.clear()
    del site.fake.machines["core-3"].files[AGENT.name]

    made = drain(site, [*pairs(7777, 8888, 9999, body="2")], "core-1")

    assert {change.name for change in made.changes} == BOTH
    assert [change.after for change in made.changes if change.after] == [unit.text for unit in pairs(7777)]


def test_what_no_other_machine_can_take_is_told_with_each_reason_and_its_sidekick_stays_with_it() -> None:
    site = Site(3)
    site.deploy([*pairs(7777, 8888), BALANCER, PINNED])

    made = drain(site, [*pairs(7777, 8888), BALANCER, PINNED], "core-1")

    assert made.is_empty
    assert dict(made.stuck) == {
        MAIN: (
            "core-1: it is drained",
            "core-2: conflicts with apache@8888.service (Conflicts=apache@*.service)",
            "core-3: nginx_lb.service conflicts with it (Conflicts=apache@*.service)",
        ),
        PINNED.name: (
            "core-1: it is drained",
            f"core-2: its id is not {1:032x} (MachineID)",
            f"core-3: its id is not {1:032x} (MachineID)",
        ),
    }


def test_what_can_move_moves_though_something_else_can_not() -> None:
    site = Site(4)
    site.deploy(pairs(7777))
    site.deploy([PINNED, *pairs(7777)])

    made = drain(site, [PINNED, *pairs(7777)], "core-1")

    assert {change.name for change in made.changes} == BOTH
    assert list(made.stuck) == [PINNED.name]


def test_a_drain_of_an_unknown_machine_is_refused() -> None:
    with pytest.raises(Refused, match="lab has no machine core-9"):
        drain(Site(), [], "core-9")


@given(st.integers(2, 5), desires(), st.integers(1, 5))
def test_a_drain_leaves_what_is_stuck_and_nothing_else_and_a_second_one_does_nothing(
    machines: int, desired: list[DesiredUnit], number: int
) -> None:
    site = Site(machines)
    machine = f"core-{min(number, machines)}"
    try:
        site.deploy(desired, allow_remove=ALLOWED)
    except Unplaceable:
        return
    before = stands(site)

    made = drain(site, desired, machine)
    for wave in made.waves:
        for step in wave:
            site.fake.apply(change_of(step))

    left = {unit for name, unit in stands(site) if name == machine}
    stuck = with_sidekicks(made.stuck.keys(), desired)
    assert left <= {str(unit) for unit in stuck}
    assert {unit for _, unit in stands(site)} == {unit for _, unit in before}
    assert {place for place in before if place[0] != machine} <= stands(site)
    assert drain(site, desired, machine).is_empty


# Held units


def test_a_held_unit_is_neither_started_nor_replaced_nor_moved() -> None:
    site = Site(4)
    site.deploy([*pairs(7777), BALANCER])
    site.fake.machines["core-1"].active.clear()

    for options in ({}, {"cordoned": {"core-1"}}, {"drained": {"core-1"}}):
        made = site.plan([*pairs(7777, body="2"), BALANCER], held_units=BOTH, **options)

        assert made.is_empty
        assert made.placements[MAIN] == ("core-1",)


def test_under_a_scheduler_a_held_unit_is_left_as_well() -> None:
    site = Site(3)
    site.deploy(pairs(7777))
    site.fake.machines["core-1"].active.clear()
    observed = replace(site.fake.observe([]), scheduler=Scheduler("1.0.0", "core-1"))

    made = plan("web", site.cluster, pairs(7777, body="2"), observed, PlanOptions(held_units=frozenset(BOTH)))

    assert made.waves == ()


def test_a_held_unit_keeps_others_off_its_machine() -> None:
    site = Site(2)
    site.deploy(pairs(7777))
    site.fake.machines["core-1"].active.clear()

    made = site.plan(pairs(7777, 8888), held_units=BOTH)

    assert made.placements[UnitName.parse("apache@8888.service")] == ("core-2",)


def test_a_held_unit_of_a_machine_that_is_evacuated_is_started_nowhere() -> None:
    site = Site(3)
    site.deploy(pairs(7777))
    site.fake.machines["core-1"].is_down = True

    assert site.plan(pairs(7777), held_units=BOTH, evacuate={"core-1"}).is_empty


def test_a_held_unit_that_is_no_longer_configured_is_removed() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))

    made = site.plan(pairs(8888), held_units=BOTH)

    assert changes(made) == [
        "remove apache-discovery@7777.service core-1",
        "remove apache@7777.service core-1",
    ]


def test_sidekicks_are_held_with_their_units() -> None:
    assert with_sidekicks({MAIN}, pairs(7777, 8888)) == BOTH
    assert with_sidekicks({SIDEKICK}, pairs(7777)) == {SIDEKICK}


def test_held_units_are_planned_with_the_texts_that_stand() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))
    wanted = pairs(7777, 8888, body="2")

    found = left_as_found("web", wanted, site.fake.observe([]), BOTH)

    assert [unit.text for unit in found[:2]] == [main(7777).text, sidekick(7777).text]
    assert found[2:] == tuple(wanted[2:])


def test_notes_say_what_a_deploy_leaves_undone() -> None:
    site = Site()
    site.deploy(pairs(7777))
    start = "coreos-kit start apache@7777.service"

    def notes(desired: list[DesiredUnit]) -> list[str]:
        return list(still_notes(desired, BOTH, site.fake.observe([])))

    assert notes(pairs(7777)) == [
        "apache@7777.service is held, and runs on core-1 all the same; it is left as it is"
    ]
    site.fake.machines["core-1"].active.clear()
    assert notes(pairs(7777)) == []
    assert notes(pairs(7777, body="2")) == [
        f"apache@7777.service keeps the text that it was stopped with, until a deploy after {start}"
    ]
    site.fake.machines["core-1"].files.clear()
    assert notes(pairs(7777)) == [
        f"apache@7777.service stands nowhere, and is not placed while it is held; {start} ends that"
    ]
