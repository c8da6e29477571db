from collections import Counter

import pytest

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.units.x_fleet import UnitRequirements

A = Machine("a" * 32, metadata={"region": "fra"})
B = Machine("b" * 32, metadata={"region": "ams"})
C = Machine("c" * 32)


def unit(text: str, *lines: str) -> PlacementUnit:
    name = UnitName.parse(text)
    return PlacementUnit(name, UnitRequirements.of(name, "\n".join(["[X-Fleet]", *lines, ""])))


def on(**machine_of: str) -> Placements:
    """Say where units are: ``on(web="a")`` puts web.service on machine A."""
    return Placements({UnitName.parse(f"{name}.service"): id_ * 32 for name, id_ in machine_of.items()})


def where(placements: Placements) -> dict[str, str]:
    return {str(name): id_[0] for name, id_ in placements.machine_of.items()}


def reasons(placements: Placements, text: str) -> dict[str, str]:
    return {id_[0]: reason for id_, reason in placements.unplaceable[UnitName.parse(text)].items()}


def test_units_are_spread_in_the_order_of_their_names_over_machines_in_the_order_of_their_ids() -> None:
    units = [unit("web@10.service"), unit("web@9.service"), unit("db.service"), unit("web@11.service")]

    assert where(place(units, [C, A, B])) == {
        "db.service": "a", "web@9.service": "b", "web@10.service": "c", "web@11.service": "a",
    }  # fmt: skip


def test_a_unit_stays_where_it_is_though_another_machine_is_emptier() -> None:
    units = [unit("web.service"), unit("log.service")]

    assert where(place(units, [A, B], current=on(web="b", log="b"))) == {
        "log.service": "b",
        "web.service": "b",
    }


def test_a_unit_whose_machine_is_gone_moves_and_its_sidekick_with_it() -> None:
    units = [unit("log.service", "MachineOf=web.service"), unit("web.service"), unit("other.service")]

    after = place(units, [A, B], current=on(log="c", web="c", other="a"))

    assert where(after) == {"log.service": "b", "other.service": "a", "web.service": "b"}


def test_a_unit_whose_machine_no_longer_suits_moves() -> None:
    units = [unit("web.service", "MachineMetadata=region=fra")]

    assert where(place(units, [A, B], current=on(web="b"))) == {"web.service": "a"}


def test_of_two_that_have_come_to_conflict_the_first_by_name_stays() -> None:
    units = [unit("web.service"), unit("lb.service", "Conflicts=web.service")]

    assert where(place(units, [A, B], current=on(lb="a", web="a"))) == {"lb.service": "a", "web.service": "b"}


def test_a_follower_is_dropped_with_the_leader_that_had_to_leave_and_placed_beside_it() -> None:
    units = [unit("web.service", "MachineID=" + B.id), unit("log.service", "MachineOf=web.service")]

    assert where(place(units, [A, B], current=on(web="a", log="a"))) == {
        "log.service": "b",
        "web.service": "b",
    }


def test_leaders_are_placed_before_followers_whatever_their_names() -> None:
    units = [
        unit("a.service", "MachineOf=b.service"),
        unit("b.service", "MachineOf=c.service"),
        unit("c.service"),
    ]

    assert where(place(units, [B, C])) == {"a.service": "b", "b.service": "b", "c.service": "b"}


def test_units_that_wait_for_each_other_are_not_placed_but_stay_where_they_are() -> None:
    circle = [unit("a.service", "MachineOf=b.service"), unit("b.service", "MachineOf=a.service")]

    assert reasons(place(circle, [A]), "a.service") == {"a": "b.service is not placed here (MachineOf)"}
    assert where(place(circle, [A], current=on(a="a", b="a"))) == {"a.service": "a", "b.service": "a"}
    assert where(place(circle, [A, B], current=on(a="a", b="b"))) == {}


def test_each_machine_says_why_it_cannot_take_a_unit() -> None:
    machines = [A, B, C, Machine("d" * 32, metadata={"region": "fra"}), Machine("e" * 32)]
    units = [
        unit(
            "lb.service",
            "MachineMetadata=region=fra",
            "MachineMetadata=region=lon",
            "Conflicts=web@*.service",
        ),
        unit("web@1.service"),
        unit("db.service", "Conflicts=lb.service"),
    ]

    after = place(
        units, machines, closed={"e" * 32: "is down and skipped"}, current=on(**{"web@1": "a", "db": "d"})
    )

    assert reasons(after, "lb.service") == {
        "a": "conflicts with web@1.service (Conflicts=web@*.service)",
        "b": "no metadata region=fra or region=lon (has region=ams)",
        "c": "no metadata region=fra or region=lon (has no region)",
        "d": "db.service conflicts with it (Conflicts=lb.service)",
        "e": "is down and skipped",
    }


def test_a_machine_id_nobody_has_and_a_missing_peer_are_told_to_each_machine() -> None:
    units = [unit("a.service", "MachineID=ffffffff"), unit("b.service", "MachineOf=nosuch.service")]

    after = place(units, [A])

    assert reasons(after, "a.service") == {"a": "its id is not ffffffff (MachineID)"}
    assert reasons(after, "b.service") == {"a": "nosuch.service is not placed here (MachineOf)"}


def test_without_machines_nothing_can_be_placed_and_nobody_says_why() -> None:
    assert place([unit("a.service")], []).unplaceable == {UnitName("a"): {}}


@pytest.mark.parametrize("wanted", ["b" * 32, "b" * 8])
def test_a_machine_is_named_by_its_whole_id_or_the_short_one(wanted: str) -> None:
    assert where(place([unit("a.service", f"MachineID={wanted}")], [A, B])) == {"a.service": "b"}


def test_units_that_are_not_ours_count_for_load_conflicts_and_peers() -> None:
    standing = {
        A.id: [unit("x.service"), unit("y.service", "Conflicts=web.service")],
        B.id: [unit("z.service")],
    }
    units = [unit("a.service"), unit("log.service", "MachineOf=x.service"), unit("web.service")]

    after = place(units, [A, B], standing=standing)

    assert where(after) == {"a.service": "b", "log.service": "a", "web.service": "b"}


def test_a_closed_machine_takes_nothing_new_and_keeps_what_it_has() -> None:
    units = [
        unit("web.service", "MachineMetadata=region=lon"),
        unit("new.service"),
        unit("g.service", "Global=true"),
    ]

    after = place(units, [A, B], current=on(web="a"), closed={A.id: "is down and skipped"})

    assert where(after) == {"new.service": "b", "web.service": "a"}
    assert after.globals == {UnitName("g"): {B.id}}


def test_a_global_unit_stays_on_a_closed_machine() -> None:
    current = Placements(globals={UnitName("g"): frozenset({A.id})})

    after = place([unit("g.service", "Global=true")], [A, B], current=current, closed={A.id: "is down"})

    assert after.globals == {UnitName("g"): {A.id, B.id}}


def test_a_global_unit_runs_wherever_metadata_and_conflicts_let_it() -> None:
    units = [unit("g.service", "Global=true", "Conflicts=web.service"), unit("web.service")]

    after = place(units, [A, B, C], current=on(web="a"))

    assert where(after) == {"web.service": "a"}
    assert after.globals == {UnitName("g"): {B.id, C.id}}


def test_a_global_unit_that_is_there_first_keeps_conflicting_units_out() -> None:
    units = [
        unit("g.service", "Global=true", "MachineMetadata=region=fra"),
        unit("w.service", "Conflicts=g.service"),
    ]

    assert where(place(units, [A, B])) == {"w.service": "b"}


def test_a_unit_can_follow_a_global_one_but_not_where_that_is_kept_out() -> None:
    units = [
        unit("g.service", "Global=true"),
        unit("log.service", "MachineOf=g.service"),
        unit("web.service", "Conflicts=g.service"),
    ]

    after = place(units, [A, B], current=on(web="a", log="a"))

    assert after.globals == {UnitName("g"): {B.id}}
    assert where(after) == {"log.service": "b", "web.service": "a"}


def test_a_unit_moves_away_from_the_one_that_replaces_it_and_takes_its_follower_along() -> None:
    units = [
        unit("old.service"),
        unit("old-log.service", "MachineOf=old.service"),
        unit("new.service", "Replaces=old.service", "MachineMetadata=region=fra"),
    ]

    after = place(units, [A, B], current=on(**{"old": "a", "old-log": "a"}))

    assert where(after) == {"new.service": "a", "old.service": "b", "old-log.service": "b"}


def test_a_replaced_unit_that_no_other_machine_is_able_to_run_stays() -> None:
    units = [unit("old.service"), unit("new.service", "Replaces=old.service")]

    assert where(place(units, [A], current=on(old="a"))) == {"new.service": "a", "old.service": "a"}


def test_units_that_replace_each_other_are_left_together() -> None:
    units = [unit("a.service", "Replaces=b.service"), unit("b.service", "Replaces=a.service")]

    assert where(place(units, [A, B], current=on(a="a", b="a"))) == {"a.service": "a", "b.service": "a"}


def test_three_units_that_replace_each_other_in_a_circle_come_to_rest() -> None:
    units = [
        unit("a.service", "Replaces=b.service"),
        unit("b.service", "Replaces=c.service"),
        unit("c.service", "Replaces=a.service"),
    ]

    assert len(where(place(units, [A, B]))) == 3


def test_units_that_are_no_longer_wanted_do_not_count() -> None:
    units = [unit("web.service", "Conflicts=gone.service")]

    assert where(place(units, [A, B], current=on(gone="a"))) == {"web.service": "a"}


def test_ten_thousand_units_find_their_places_on_a_thousand_machines() -> None:
    machines = [Machine(f"{i:032x}") for i in range(1000)]
    units = [
        unit(f"{text}@{i}.service", line)
        for service in range(10)
        for text, line in [
            (f"web{service}", f"Conflicts=web{service}@*.service"),
            (f"web{service}-discovery", f"MachineOf=web{service}@%i.service"),
        ]
        for i in range(500)
    ]

    placements = place(units, machines)

    load = Counter(placements.machine_of.values())
    assert placements.unplaceable == {}
    assert set(load.values()) == {10}
    assert place(units, machines, current=placements) == placements
