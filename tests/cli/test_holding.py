"""cordon, uncordon, drain, stop --hold: what somebody holds still by hand stays so, and is shown."""

import json
from dataclasses import replace

import pytest

from coreos_kit.model.cluster import EtcdEntry, Observation, Scheduler
from coreos_kit.model.names import UnitName
from tests.cli.conftest import Kit

APACHE, SIDEKICK = UnitName.parse("apache@7777.service"), UnitName.parse("apache-discovery@7777.service")
CORDON, HOLD = "/coreos-kit/v1/web/cordons/core-1", "/coreos-kit/v1/web/holds/apache@7777.service"
BY = "anna on desk since 2026-09-21T14:13:20Z"


def kept(kit: Kit) -> list[str]:
    return sorted(key for key in kit.cluster.kept.keys if "/cordons/" in key or "/holds/" in key)


# Cordons


def test_a_cordon_says_who_and_why_and_is_shown_with_the_machines(deployed: Kit) -> None:
    said = deployed("cordon", "core-1", "--why", "new disk")

    assert said == (0, f"core-1 is cordoned by {BY}: new disk; nothing new is placed there\n", "")
    assert deployed("cordon", "core-1").out.startswith("core-1 is cordoned already by anna")
    assert kept(deployed) == [CORDON]
    for command in ("machines", "status"):
        out = deployed(command).out
        assert "core-1   10.132.1.11  198.51.100.1  00000000  2      cordoned\n" in out
        assert f"core-1 is cordoned by {BY}: new disk; nothing new is placed there\n" in out
        first, second, _ = deployed(command, "--json").json["machines"]
        assert first["cordoned"] == {"by": "anna on desk", "since": "2026-09-21T14:13:20Z", "why": "new disk"}
        assert "cordoned" not in second


def test_a_cordon_is_taken_away_and_taking_it_away_twice_is_no_error(deployed: Kit) -> None:
    deployed("cordon", "core-1")

    assert deployed("uncordon", "core-1") == (0, "core-1 is not cordoned any more\n", "")
    assert deployed("uncordon", "core-1") == (0, "core-1 was not cordoned\n", "")
    assert kept(deployed) == []


def test_nothing_new_is_placed_on_a_cordoned_machine_and_what_is_there_stays(spare: Kit) -> None:
    spare("cordon", "core-4")
    spare("cordon", "core-1")
    spare.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")
    spare.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "")

    assert spare("deploy", "--yes").code == 0

    assert spare.cluster.where(APACHE) == ["core-1"]
    assert spare.cluster.where(UnitName.parse("apache@9999.service")) == ["core-3"]


def test_what_only_a_cordoned_machine_could_take_is_refused_with_the_reason(spare: Kit) -> None:
    spare("cordon", "core-4")
    spare.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")

    code, _, err = spare("deploy", "--yes")

    assert code == 3
    assert "apache@9999.service on core-4: it is cordoned\n" in err


def test_an_instance_on_a_cordoned_machine_gets_its_sidekick_back(deployed: Kit) -> None:
    deployed("cordon", "core-1")
    deployed("destroy", "apache-discovery@7777", "--yes")

    assert deployed("deploy", "--yes").code == 0

    assert deployed.cluster.where(SIDEKICK) == ["core-1"]


def test_a_plan_says_what_is_cordoned(deployed: Kit) -> None:
    deployed("cordon", "core-1")

    assert f"note: core-1 is cordoned by {BY}; nothing new is placed there\n" in deployed("plan").out


def test_a_machine_that_is_down_can_be_cordoned(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-1")

    assert deployed("cordon", "core-1").code == 0
    assert "cordoned  unreachable" in deployed("machines").out


@pytest.mark.parametrize("verb", ["cordon", "uncordon", "drain"])
def test_an_unknown_machine_is_an_error_with_those_that_there_are(deployed: Kit, verb: str) -> None:
    code, _, err = deployed(verb, "core-9")

    assert code == 1
    assert err == "error: lab has no machine core-9\nhint:  Its machines are core-1, core-2, core-3.\n"


@pytest.mark.parametrize("verb", ["cordon", "drain"])
def test_under_fleet_no_machine_can_be_closed(
    deployed: Kit, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_fleet(deployed, monkeypatch)

    code, _, err = deployed(verb, "core-1")

    assert code == 3
    assert err == (
        "error: fleet can't be told to keep units off core-1, so nothing was touched\n"
        "hint:  Stop fleet there, and they move: coreos-kit ssh core-1 -- sudo systemctl stop fleet\n"
    )


def test_a_cordon_that_fleet_knows_nothing_of_is_said(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed("cordon", "core-1")
    as_fleet(deployed, monkeypatch)

    assert (
        "note: core-1 is cordoned, but fleet can't be told, and may put new units there\n"
        in deployed("plan").out
    )


def as_fleet(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    observe = type(kit.cluster).observe

    def seen(self: object, names: object) -> Observation:
        return replace(observe(kit.cluster, []), scheduler=Scheduler("1.0.0", "core-1"))

    monkeypatch.setattr(type(kit.cluster), "observe", seen)


@pytest.mark.parametrize(("args", "code"), [(("cordon", "core-1"), 4), (("uncordon", "core-1"), 4)])
def test_without_etcd_no_machine_is_cordoned(deployed: Kit, args: tuple[str, ...], code: int) -> None:
    deployed.cluster.etcd_is_down = True

    assert deployed(*args).code == code
    assert "which machines are cordoned is not known: etcd does not answer" in deployed("machines").out


# Drains


def test_a_drain_moves_an_instance_with_its_sidekick_and_cordons_the_machine(spare: Kit) -> None:
    code, out, _ = spare("drain", "core-1", "--yes", "--why", "new disk")

    assert code == 0
    assert "drained: 2 units moved off core-1, which is cordoned\n" in out
    assert "verified: all 18 links hold\n" in out
    assert spare.cluster.where(APACHE) == spare.cluster.where(SIDEKICK) == ["core-4"]
    assert kept(spare) == [CORDON]


def test_draining_again_has_nothing_to_do(spare: Kit) -> None:
    spare("drain", "core-1", "--yes")
    spare.cluster.log.clear()

    assert spare("drain", "core-1", "--yes").code == 0
    assert spare.cluster.log == []


def test_a_drained_machine_gets_nothing_back_until_it_is_uncordoned(spare: Kit) -> None:
    spare("drain", "core-1", "--yes")

    assert spare("plan", "--exit-code").code == 0
    spare("uncordon", "core-1")
    assert spare("plan", "--exit-code").code == 0
    assert spare.cluster.where(APACHE) == ["core-4"]


def test_what_no_other_machine_can_take_stays_and_is_named_with_each_machines_reason(deployed: Kit) -> None:
    code, out, _ = deployed("drain", "core-1", "--yes")
    body = deployed("drain", "core-1", "--yes", "--json")

    assert code == body.code == 1
    assert out == (
        "core-1 can't be emptied: no other machine can take apache@7777.service\n"
        "= apache@7777.service stays on core-1: no other machine can take it\n"
        "    core-2: conflicts with apache@8888.service (Conflicts=apache@*.service)\n"
        "    core-3: nginx_lb.service conflicts with it (Conflicts=apache@*.service)\n"
        "nothing to do: nothing else on core-1 can or has to be moved\n"
        "not drained: core-1 is cordoned, but still has apache@7777.service\n"
        "verified: all 18 links hold\n"
    )
    assert [stuck["unit"] for stuck in body.json["stuck"]] == ["apache@7777.service"]
    assert deployed.cluster.where(APACHE) == deployed.cluster.where(SIDEKICK) == ["core-1"]
    assert deployed.cluster.log == []
    assert kept(deployed) == [CORDON]


def test_a_drain_that_moves_a_part_says_first_and_last_what_stays(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "")
    deployed("deploy", "--yes")
    deployed("cordon", "core-2")
    assert deployed("drain", "core-3", "--yes").code == 0  # the balancer stands on core-1 now
    deployed("uncordon", "core-2")

    code, out, _ = deployed("drain", "core-1", "--yes")

    assert code == 1
    assert out.startswith("core-1 can't be emptied: no other machine can take apache@7777.service\n")
    assert "> move nginx_lb.service on core-2: comes from core-1\n" in out
    assert (
        "not drained: 1 unit moved off core-1, which is cordoned, but still has apache@7777.service\n" in out
    )


def test_a_drain_moves_what_runs_and_not_what_the_configuration_has_become(spare: Kit) -> None:
    before = spare.cluster.machines["core-1"].files[APACHE]
    spare.edit("unit_templates/service@.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")
    spare.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")
    spare.cluster.images["user_name/apache"] = f"sha256:{'c' * 64}"

    code, out, _ = spare("drain", "core-1", "--yes")

    assert code == 0
    assert "not verified: " in out  # the instance that is configured and not there
    assert spare.cluster.machines["core-4"].files[APACHE] == before
    assert spare.cluster.where(UnitName.parse("apache@9999.service")) == []


def test_a_balancer_can_be_drained_where_a_machine_can_take_it(spare: Kit) -> None:
    assert spare("drain", "core-3", "--yes").code == 0

    assert spare.cluster.where(UnitName.parse("nginx_lb.service")) == ["core-4"]


def test_what_is_on_every_machine_stays_on_a_drained_one(spare: Kit) -> None:
    spare.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "global = true")
    assert spare("deploy", "--yes").code == 0

    code, out, _ = spare("drain", "core-1", "--yes")

    assert code == 0
    assert "note: what runs on every machine stays on core-1: nginx_lb.service\n" in out
    assert spare.cluster.where(UnitName.parse("nginx_lb.service")) == ["core-1", "core-2", "core-3", "core-4"]
    assert spare.cluster.where(APACHE) != ["core-1"]


def test_a_drain_of_what_stays_anyway_says_so_and_why(spare: Kit) -> None:
    spare.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "global = true")
    assert spare("deploy", "--yes").code == 0
    spare("stop", "--hold", "apache@7777")
    spare.cluster.log.clear()

    code, out, _ = spare("drain", "core-1", "--yes")

    assert code == 0
    assert (
        "note: what runs on every machine stays on core-1: nginx_lb.service\n"
        "note: what is held stays on core-1: apache@7777.service, apache-discovery@7777.service\n"
        "nothing to do: nothing on core-1 can or has to be moved\n"
    ) in out
    assert "as the configuration says" not in out
    assert spare.cluster.log == []


def test_a_drain_of_an_empty_machine_says_that_nothing_has_to_move(spare: Kit) -> None:
    code, out, _ = spare("drain", "core-4", "--yes")

    assert code == 0
    assert out.startswith(
        "nothing to do: nothing on core-4 can or has to be moved\n"
        "drained: 0 units moved off core-4, which is cordoned\n"
    )


def test_a_machine_that_is_down_is_not_drained(spare: Kit) -> None:
    spare.cluster.goes_down("core-1")

    code, _, err = spare("drain", "core-1", "--yes")

    assert code == 4
    assert "core-1 can't be looked at, so nothing was touched" in err
    assert "hint:  Move its units without it: coreos-kit deploy --evacuate core-1\n" in err


def test_a_drain_asks_and_with_a_no_nothing_is_cordoned(spare: Kit) -> None:
    code, out, err = spare("drain", "core-1")

    assert (code, kept(spare)) == (2, [])
    assert "> move apache@7777.service on core-4: comes from core-1\n" in out
    assert "there is no terminal to ask on" in err


# Holds


def test_a_held_unit_stays_stopped_through_a_deploy(deployed: Kit) -> None:
    code, out, _ = deployed("stop", "--hold", "apache@7777", "--why", "looking into it")
    deployed.cluster.log.clear()

    said = deployed("deploy", "--yes")

    assert code == 0
    assert "apache@7777.service            core-1   inactive (dead)\n" in out
    assert "held until coreos-kit start: apache@7777.service\n" in out
    assert f"note: apache@7777.service is held by {BY}: looking into it; it stays stopped\n" in said.out
    assert "nothing to do: every unit is as the configuration says\n" in said.out
    assert said.code == 0
    assert deployed.cluster.log == []


def test_a_held_unit_is_not_started_by_a_boot(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")

    assert "core-1: disable apache-discovery@7777.service apache@7777.service" in deployed.cluster.log


def test_status_shows_what_is_held(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777", "--why", "odd")

    out, body = deployed("status").out, deployed("status", "--json").json

    assert "apache@7777.service            core-1   inactive (dead)   held\n" in out
    assert "apache-discovery@7777.service  core-1   inactive (dead)   held\n" in out
    assert out.count(f" is held by {BY}: odd; it stays stopped\n") == 1
    assert body["held"] == [{
        "unit": "apache@7777.service", "by": "anna on desk", "since": "2026-09-21T14:13:20Z", "why": "odd",
    }]  # fmt: skip
    assert {unit["unit"] for unit in body["units"] if unit["held"]} == {
        "apache@7777.service", "apache-discovery@7777.service",
    }  # fmt: skip


def test_verify_neither_calls_it_broken_nor_ok(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")

    code, out, _ = deployed("verify")
    body = deployed("verify", "--json").json

    assert code == 0
    assert "apache@7777.service  core-1   held\n" in out
    assert f"  seen:     held by {BY}\n  remedy:   coreos-kit start apache@7777.service\n" in out
    assert out.endswith("\n\nverified: all 10 links hold; 1 unit held\n")
    assert (body["ok"], body["held"]) == (True, 1)


def test_verify_says_where_all_of_a_service_is_held(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777", "apache@8888")

    code, out, _ = deployed("verify")

    assert code == 0
    assert out.endswith(
        "\n\nnothing of apache serves: all of it is held\nverified: all 2 links hold; 2 units held\n"
    )


def test_start_ends_a_hold(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")

    deployed.cluster.log.clear()

    code, out, _ = deployed("start", "apache@7777")

    assert code == 0
    assert deployed.cluster.log == ["core-1: start apache-discovery@7777.service apache@7777.service"]
    assert out.endswith("not held any more: apache@7777.service\n")
    assert kept(deployed) == []
    assert deployed("verify").out.endswith("verified: all 18 links hold\n")


def test_without_etcd_nothing_is_held_and_nothing_stopped(deployed: Kit) -> None:
    deployed.cluster.etcd_is_down = True

    assert deployed("stop", "--hold", "apache@7777").code == 4
    assert deployed.cluster.log == []


def test_without_etcd_a_unit_starts_and_it_is_said_that_a_hold_would_stay(deployed: Kit) -> None:
    deployed("stop", "apache@7777")
    deployed.cluster.etcd_is_down = True

    code, _, err = deployed("start", "apache@7777")

    assert code == 0
    assert "whether one of them is held is not known, and a hold would stay: etcd does not answer" in err


def test_a_sidekick_alone_is_not_held(deployed: Kit) -> None:
    code, _, err = deployed("stop", "--hold", "apache-discovery@7777")

    assert code == 2
    assert err == (
        "error: apache-discovery@7777.service is the sidekick of apache@7777.service,"
        " which would start it again\n"
        "hint:  Hold both: coreos-kit stop --hold apache@7777.service\n"
    )
    assert kept(deployed) == []


def test_a_held_unit_is_not_restarted(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.cluster.log.clear()

    code, _, err = deployed("restart", "apache@*")

    assert code == 1
    assert err.startswith(f"error: apache@7777.service is held by {BY}\n")
    assert deployed.cluster.log == []


def test_the_sidekick_of_a_held_unit_is_not_restarted_since_it_would_start_its_unit(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.cluster.log.clear()

    code, _, err = deployed("restart", "apache-discovery@7777")

    assert code == 1
    assert err.startswith(f"error: apache-discovery@7777.service is held with apache@7777.service by {BY}\n")
    assert err.endswith("hint:  Start it, and it is held no more: coreos-kit start apache@7777.service\n")
    assert deployed.cluster.log == []


def test_starting_the_sidekick_of_a_held_unit_ends_the_hold_since_it_starts_its_unit(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.cluster.log.clear()

    code, out, _ = deployed("start", "apache-discovery@7777")

    assert code == 0
    assert out.endswith("not held any more: apache@7777.service\n")
    assert kept(deployed) == []


def test_of_an_instance_that_is_no_longer_configured_the_unit_is_held_and_not_its_sidekick(
    deployed: Kit,
) -> None:
    deployed("scale", "apache", "1")

    held = deployed("stop", "--hold", "apache*8888", "--json").json["held"]
    alone = deployed("stop", "--hold", "apache-discovery@8888")

    assert held == ["apache@8888.service"]
    assert alone.code == 2
    assert "apache-discovery@8888.service is the sidekick of apache@8888.service, which would" in alone.err


def test_a_changed_text_waits_until_the_unit_is_started(deployed: Kit) -> None:
    before = deployed.cluster.machines["core-1"].files[APACHE]
    deployed("stop", "--hold", "apache@7777")
    deployed.edit("unit_templates/service@.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")

    said = deployed("deploy", "--yes", "--allow-downtime")

    assert said.code == 0
    assert (
        "note: apache@7777.service keeps the text that it was stopped with,"
        " until a deploy after coreos-kit start apache@7777.service\n"
    ) in said.out
    assert deployed.cluster.machines["core-1"].files[APACHE] == before
    assert deployed("start", "apache@7777").code == 0
    assert deployed("deploy", "--yes").code == 0
    assert deployed.cluster.machines["core-1"].files[APACHE] != before


def test_a_held_unit_whose_text_is_not_utf_8_is_refused_and_named_since_it_can_not_be_recorded(
    deployed: Kit,
) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.cluster.machines["core-1"].files[APACHE] += "# f\udcfcr Bob\n"
    deployed.edit("unit_templates/load_balancer.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")
    deployed.cluster.log.clear()

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    assert "error: a unit's text is not UTF-8, so it can't be recorded; nothing was touched\n" in err
    assert "       apache@7777.service\n" in err
    assert deployed.cluster.log == []


def test_a_held_unit_is_placed_nowhere_else(spare: Kit) -> None:
    spare("stop", "--hold", "apache@7777")

    evacuated = spare("deploy", "--yes", "--evacuate", "core-1")

    assert evacuated.code == 0
    assert spare.cluster.where(APACHE) in ([], ["core-1"])
    assert APACHE not in spare.cluster.machines["core-4"].files


def test_a_held_unit_that_stands_nowhere_is_said_and_comes_with_the_deploy_after_start(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed("destroy", "apache@7777", "--yes")

    plan = deployed("plan")
    started = deployed("start", "apache@7777")

    assert (
        "note: apache@7777.service stands nowhere, and is not placed while it is held;"
        " coreos-kit start apache@7777.service ends that\n"
    ) in plan.out
    assert "create" not in plan.out
    assert started.code == 1
    assert "apache@7777.service is not held any more; no unit apache@7777 on lab" in started.err
    assert deployed("deploy", "--yes").code == 0
    assert deployed.cluster.where(APACHE) == ["core-1"]


def test_a_unit_that_is_held_and_runs_is_judged_as_what_runs(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.cluster.machines["core-1"].active |= {APACHE, SIDEKICK}

    assert deployed("verify").out.endswith("verified: all 18 links hold\n")
    assert (
        "note: apache@7777.service is held, and runs on core-1 all the same; it is left as it is\n"
        in deployed("plan").out
    )


def test_a_held_service_that_is_no_longer_configured_goes(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [8888]")

    assert deployed("deploy", "--yes").code == 0
    assert deployed.cluster.where(APACHE) == []


# Whoever can write etcd


def test_keys_that_name_nothing_are_ignored_and_said(deployed: Kit) -> None:
    for key in ("cordons/core-9", "holds/../../etc", "holds/\x1b[2J.service"):
        deployed.cluster.kept.keys[f"/coreos-kit/v1/web/{key}"] = EtcdEntry(f"/coreos-kit/v1/web/{key}", "x")

    code, out, _ = deployed("plan", "--exit-code")

    assert code == 0
    assert "note: etcd has keys that name no machine or unit of this cluster, and are ignored: " in out
    assert "\x1b" not in out


def test_a_hold_of_a_unit_that_is_not_the_projects_is_ignored_and_said(deployed: Kit) -> None:
    key = "/coreos-kit/v1/web/holds/sshd.service"
    deployed.cluster.kept.keys[key] = EtcdEntry(key, json.dumps({"by": "x"}))

    planned = deployed("plan", "--exit-code")

    assert planned.code == 0
    assert f"cluster, and are ignored: {key}\n" in planned.out
    assert "sshd.service is held" not in planned.out
    assert deployed("verify").code == 0
    assert deployed("status", "--json").json["held"] == []


def test_a_hold_of_an_instance_that_is_not_configured_any_more_can_be_ended(deployed: Kit) -> None:
    deployed("stop", "--hold", "apache@7777")
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [8888]")
    deployed("deploy", "--yes")

    assert "apache@7777.service is held by" in deployed("plan").out
    assert "apache@7777.service is not held any more" in deployed("start", "apache@7777").err
    assert kept(deployed) == []
