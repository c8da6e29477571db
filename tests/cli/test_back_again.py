"""A machine that was evacuated comes back with what it ran: that goes, and what was deployed since stays."""

import pytest

from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.keys import releases_folder
from coreos_kit.model.names import UnitName
from tests.cli.conftest import Kit

OLD, NEW = "FOREGROUND", "BACKGROUND"
APACHE, SIDEKICK = "apache@7777.service", "apache-discovery@7777.service"
UNIT = UnitName.parse(APACHE)


def goes(kit: Kit, machine: str) -> None:
    kit.cluster.goes_down(machine)


def comes_back(kit: Kit, machine: str) -> None:
    kit.cluster.machines[machine].is_down = kit.cluster.runners[machine].is_down = False


def evacuated_and_back(kit: Kit, *, changed: bool) -> None:
    """Lose core-1, move its units to core-4, with another text or the same, and let core-1 come back."""
    goes(kit, "core-1")
    if changed:
        kit.edit("coreos-kit.toml", OLD, NEW)
    ran = kit("deploy", "--yes", "--evacuate", "core-1", "--allow-downtime")
    assert ran.code == 0, ran.err
    assert kit.cluster.where(UNIT) == ["core-1", "core-4"]
    comes_back(kit, "core-1")
    kit.cluster.log.clear()


def forget_releases(kit: Kit) -> None:
    keys = kit.cluster.kept.keys
    for key in [key for key in keys if key.startswith(releases_folder("web"))]:
        del keys[key]


def changes(kit: Kit, *args: str) -> list[tuple[str, str, str]]:
    made = kit("plan", "--json", *args).json["changes"]
    return [(change["verb"], change["unit"], change["machine"]) for change in made]


def twice(kit: Kit) -> list[tuple[str, str, str]]:
    ghosts = kit("verify", "--json").json["ghosts"]
    return [(ghost["machine"], ghost["subject"], ghost["expected"]) for ghost in ghosts
            if ghost["kind"] == "unit-twice"]  # fmt: skip


def leftovers_of(machine: str, keeper: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """What a plan does and what verify finds where a machine's units are leftovers, and belong elsewhere."""
    return (
        [("remove", SIDEKICK, machine), ("remove", APACHE, machine)],
        [(machine, unit, f"{unit} on {keeper} only") for unit in (APACHE, SIDEKICK)],
    )


@pytest.mark.parametrize(("changed", "released"), [(True, True), (False, True), (True, False)])
def test_what_an_evacuating_deploy_brought_elsewhere_stays_and_the_leftovers_go(
    spare: Kit, *, changed: bool, released: bool
) -> None:
    evacuated_and_back(spare, changed=changed)
    if not released:
        forget_releases(spare)
    removed, found = leftovers_of("core-1", "core-4")

    assert changes(spare) == removed
    assert twice(spare) == found

    assert spare("deploy", "--yes").code == 0
    assert spare.cluster.where(UNIT) == ["core-4"]
    assert not any(line.startswith("core-4") for line in spare.cluster.log)
    assert spare("verify").code == 0


def fails(kit: Kit, *args: str) -> str:
    """Deploy a balancer that doesn't come up, and return as what the history has it."""
    kit.cluster.broken_text = "TimeoutStartSec=60"
    kit.edit("unit_templates/load_balancer.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")
    assert kit("deploy", "--yes", "--allow-downtime", *args).code in (5, 6)
    outcome: str = kit("history", "--json").json["releases"][-1]["outcome"]
    return outcome


def test_an_evacuating_deploy_that_failed_has_put_its_units_where_they_are(spare: Kit) -> None:
    goes(spare, "core-1")

    assert fails(spare, "--evacuate", "core-1", "--no-rollback") == "failed"
    comes_back(spare, "core-1")

    assert spare.cluster.where(UNIT) == ["core-1", "core-4"]
    assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_a_deploy_that_was_put_back_has_put_nothing_anywhere(spare: Kit) -> None:
    evacuated_and_back(spare, changed=False)

    assert fails(spare, "--evacuate", "core-4") == "rolled back"

    assert spare.cluster.where(UNIT) == ["core-1", "core-4"]
    assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_the_deployed_copy_stays_though_it_has_stopped(spare: Kit) -> None:
    evacuated_and_back(spare, changed=True)
    spare.cluster.stops(APACHE)
    spare.cluster.machines["core-1"].active.add(UNIT)

    assert [change for change in changes(spare) if change[2] == "core-4"] == [("restart", APACHE, "core-4")]
    assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_with_nothing_recorded_and_one_text_it_stays_where_it_is_active(spare: Kit) -> None:
    evacuated_and_back(spare, changed=False)
    forget_releases(spare)
    spare.cluster.machines["core-1"].active.clear()

    assert changes(spare) == leftovers_of("core-1", "core-4")[0]
    assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_with_nothing_to_tell_them_apart_plan_and_verify_choose_the_same(spare: Kit) -> None:
    evacuated_and_back(spare, changed=False)
    forget_releases(spare)

    assert changes(spare) == leftovers_of("core-4", "core-1")[0]
    assert twice(spare) == leftovers_of("core-4", "core-1")[1]


@pytest.mark.parametrize("says", ["plan", "verify"])
def test_a_new_image_is_no_other_text_to_plan_than_to_verify(spare: Kit, says: str) -> None:
    spare.cluster.images["user_name/apache"] = f"sha256:{'c' * 64}"
    evacuated_and_back(spare, changed=True)
    forget_releases(spare)
    spare.cluster.images["user_name/apache"] = f"sha256:{'d' * 64}"

    if says == "plan":
        assert {change for change in changes(spare) if change[2] == "core-1"} == set(
            leftovers_of("core-1", "core-4")[0]
        )
    else:
        assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_going_back_replaces_what_was_deployed_where_it_stands(spare: Kit) -> None:
    evacuated_and_back(spare, changed=True)

    ran = spare("rollback", "1", "--yes", "--allow-downtime", "--json")

    made = {(change["verb"], change["unit"], change["machine"]) for change in ran.json["changes"]}
    assert ran.code == 0
    assert made >= {("remove", APACHE, "core-1"), ("replace", APACHE, "core-4")}
    assert spare.cluster.where(UNIT) == ["core-4"]
    assert OLD in spare.cluster.machines["core-4"].files[UNIT]


def test_a_drain_of_the_machine_that_came_back_takes_its_leftovers_and_leaves_the_rest(spare: Kit) -> None:
    evacuated_and_back(spare, changed=True)
    stood = spare.cluster.machines["core-4"].files[UNIT]

    assert spare("drain", "core-1", "--yes").code == 0

    assert spare.cluster.where(UNIT) == ["core-4"]
    assert spare.cluster.machines["core-4"].files[UNIT] == stood
    assert not any(line.startswith("core-4") for line in spare.cluster.log)


def test_what_leaves_the_machine_that_keeps_it_goes_where_it_stood_before_with_the_text_deployed(
    spare: Kit,
) -> None:
    evacuated_and_back(spare, changed=True)
    stood = spare.cluster.machines["core-4"].files[UNIT]

    assert spare("drain", "core-4", "--yes", "--allow-downtime").code == 0

    assert spare.cluster.where(UNIT) == ["core-1"]
    assert spare.cluster.machines["core-1"].files[UNIT] == stood


def test_a_cordon_of_the_machine_that_came_back_keeps_no_leftovers(spare: Kit) -> None:
    evacuated_and_back(spare, changed=True)
    spare("cordon", "core-1")

    assert changes(spare) == leftovers_of("core-1", "core-4")[0]
    assert twice(spare) == leftovers_of("core-1", "core-4")[1]


def test_what_would_move_is_told_of_the_place_that_stays(spare: Kit) -> None:
    evacuated_and_back(spare, changed=True)

    losses = {loss["machine"]: loss for loss in spare("plan", "--json").json["losses"]}

    assert losses["core-1"]["moves"] == {}
    assert APACHE in losses["core-4"]["moves"]


def test_a_kept_plan_that_would_be_made_otherwise_once_the_release_is_gone_is_refused(spare: Kit) -> None:
    evacuated_and_back(spare, changed=False)
    assert spare("plan", "--out", "kept.json").code == 0
    forget_releases(spare)

    code, _, err = spare("deploy", "--yes", "--plan", "kept.json")

    assert code == 3
    assert "other things would be done, or in another order" in err
    assert spare.cluster.log == []


def test_a_verify_that_finds_nothing_twice_does_not_read_the_history(
    spare: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    entries = spare.cluster.entries

    def watched(folder: str) -> tuple[EtcdEntry, ...]:
        read.append(folder)
        return entries(folder)

    monkeypatch.setattr(spare.cluster, "entries", watched)
    assert spare("verify").code == 0
    assert read
    assert releases_folder("web") not in read

    evacuated_and_back(spare, changed=True)
    read.clear()
    assert spare("verify").code == 1
    assert read.count(releases_folder("web")) == 1
