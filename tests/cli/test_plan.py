"""plan: what it tells beside the changes themselves."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.cli import show_plan
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_plan import plan_lines
from coreos_kit.model.cluster import Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Plan, Step, UnitChange, Verb
from coreos_kit.ops.plan import Prepared
from coreos_kit.planning import plan
from coreos_kit.planning.losses import losses_of
from tests.cli.conftest import Kit
from tests.cli.test_deploy import LOSSES
from tests.unit.test_planning import Site, pairs

TEXT = Settings(Path(), None, json=False, verbose=False)


def test_what_goes_one_by_one_is_numbered_in_its_order(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    out = deployed("plan").out

    assert (
        "in this order, each when the one before it is done (draining and pauses take 4 s of it):\n"
        "  1. core-1: replace apache@7777.service, with apache-discovery@7777.service\n"
        "  2. core-2: replace apache@8888.service, with apache-discovery@8888.service\n"
    ) in out


def test_a_diff_that_several_instances_have_is_shown_once(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    out = deployed("plan").out

    assert out.count("BACKGROUND\n") == 1
    assert (
        "~ replace apache@8888.service on core-2: its text changed\n"
        "    the same diff as apache@7777.service\n"
    ) in out
    assert "Sha256=" not in out  # it follows from the rest


def test_a_plan_with_nothing_to_do_still_says_what_a_lost_machine_would_mean(deployed: Kit) -> None:
    ran = deployed("plan")

    assert ran == (0, f"nothing to do: every unit is as the configuration says\n{LOSSES}", "")


def test_an_instance_that_has_a_machine_to_go_to_is_said_to_go_there(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777]  ")

    out = kit("plan").out

    assert "\n  core-1: apache@7777.service to core-3; apache is down until then\n" in out
    assert "\n  core-3: nothing that would have to move\n" in out


def test_a_plan_in_json_holds_its_order_and_every_machines_loss(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    made = deployed("plan", "--json").json

    assert made["waves"][0] == {
        "steps": [{"machine": "core-1", "units": ["apache@7777.service", "apache-discovery@7777.service"]}]
    }
    assert [loss["machine"] for loss in made["losses"]] == ["core-1", "core-2", "core-3"]
    assert made["losses"][2]["stays_down"] == ["nginx_lb"]
    assert made["losses"][0]["stranded"][0] == {
        "unit": "apache@7777.service",
        "why": [
            "core-2: conflicts with a unit there (Conflicts=apache@*.service)",
            "core-3: a unit there conflicts with it (Conflicts=apache@*.service)",
        ],
    }
    assert (made["moved_by"], made["unreachable"]) == ("deploy --evacuate", [])


def test_a_plan_in_json_names_the_machines_that_were_not_reached(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")

    made = deployed("plan", "--skip", "core-2", "--json").json

    assert [item["machine"] for item in made["unreachable"]] == ["core-2"]
    assert [loss["machine"] for loss in made["losses"]] == ["core-1", "core-3"]


def test_under_fleet_units_are_said_to_move_by_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(2)
    observed = replace(site.fake.observe([]), scheduler=Scheduler("1.0.0", "core-1"))
    made = plan("web", site.cluster, pairs(7777), observed)
    prepared = Prepared(made, tuple(pairs(7777)), observed)
    losses = losses_of("web", pairs(7777), observed, made)

    show_plan.plan(TEXT, site.cluster, prepared, losses)
    said = capsys.readouterr().out
    show_plan.plan(replace(TEXT, json=True), site.cluster, prepared, losses)

    assert "if a machine were lost (fleet moves its units):\n  core-1: apache@7777.service to core-2" in said
    assert json.loads(capsys.readouterr().out)["moved_by"] == "fleet"


def test_of_many_machines_those_are_named_whose_loss_would_hurt(capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(40)
    observed = site.fake.observe([])
    desired = pairs(*range(1, 15))
    made = plan("web", site.cluster, desired, observed)
    hurt = replace(losses_of("web", desired, observed, made)[0], down=("apache",))
    losses = (hurt, *losses_of("web", desired, observed, made)[1:])

    show_plan.plan(TEXT, site.cluster, Prepared(made, tuple(desired), observed), losses)

    assert capsys.readouterr().out.endswith(
        "if a machine were lost (its units move with deploy --evacuate):\n"
        "  core-1: apache@1.service to core-15; apache is down until then\n"
        "  of 39 other machines everything would find a place\n"
    )


def test_what_will_be_down_is_said_with_how_long_at_most(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", 'bind = "public"', 'bind = "any"')

    made, out = deployed("plan", "--json").json, deployed("plan").out

    assert made["downtimes"] == [
        {
            "service": "nginx_lb",
            "units": [{"unit": "nginx_lb.service", "machine": "core-3"}],
            "allowed": True,
            "stops_within_s": 10,
        }
    ]
    assert (
        "note: nginx_lb will be down while nginx_lb.service on core-3 changes: nothing else of it serves,"
        " for up to 10 s and as long as it takes to start\n"
    ) in out
    assert "--allow-downtime" not in out  # a balancer's is allowed


def test_a_downtime_that_deploy_refuses_is_noted_with_the_way_to_allow_it(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777]  ")
    assert kit("deploy", "--yes").code == 0
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    words = "deploy refuses that without --allow-downtime"

    planned, deployed = kit("plan").out, kit("deploy", "--allow-downtime").out

    assert "note: apache will be down while apache@7777.service on core-1 changes: " in planned
    assert f"; {words}\n" in planned
    assert "note: apache will be down while " in deployed
    assert words not in deployed


def test_a_very_long_order_is_cut_short() -> None:
    waves = tuple(
        (Step("core-1", (UnitChange(UnitName.parse(f"a@{n}.service"), Verb.RESTART, "core-1", "x"),)),)
        for n in range(100)
    )

    lines = list(plan_lines(Plan(waves, {})))

    assert lines[-2:] == ["  20. core-1: restart a@19.service", "  … and 80 more"]
    assert show_plan.plan_body(Plan(waves, {}))["empty"] is False
