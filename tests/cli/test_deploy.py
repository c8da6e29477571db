"""plan and deploy: what they show, what they ask, and how they end."""

import sys
from collections.abc import Collection
from io import StringIO

import pytest

from coreos_kit.adapters.engine import MachineEngine
from coreos_kit.cli import asking
from coreos_kit.errors import CommandFailed, KitError, TimedOut, Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, UnitOutcome
from coreos_kit.testing.engine import FakeEngine
from coreos_kit.testing.runner import Answer, FakeRunner
from tests.cli.conftest import APACHE, NGINX, Kit

FRESH = f"""\
~ environment file on core-1
~ environment file on core-2
~ environment file on core-3
+ create apache@7777.service on core-1: is not there
+ create apache-discovery@7777.service on core-1: is not there
+ create apache@8888.service on core-2: is not there
+ create apache-discovery@8888.service on core-2: is not there
+ create nginx_lb.service on core-3: is not there
image user_name/apache is {APACHE}
image user_name/nginx_lb is {NGINX}
"""
LOSSES = """\
if a machine were lost (its units move with deploy --evacuate):
  core-1: no machine for apache@7777.service
    apache@7777.service: core-2: conflicts with a unit there (Conflicts=apache@*.service)
    apache@7777.service: core-3: a unit there conflicts with it (Conflicts=apache@*.service)
  core-2: no machine for apache@8888.service
    apache@8888.service: core-1: conflicts with a unit there (Conflicts=apache@*.service)
    apache@8888.service: core-3: a unit there conflicts with it (Conflicts=apache@*.service)
  core-3: no machine for nginx_lb.service; nginx_lb stays down
    nginx_lb.service: core-1, core-2: conflicts with a unit there (Conflicts=apache@*.service)
"""


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", StringIO(text))


def test_a_plan_for_an_empty_cluster_creates_everything_and_changes_nothing(kit: Kit) -> None:
    code, out, err = kit("plan")

    assert (code, out, err) == (0, FRESH + LOSSES, "")
    assert kit.cluster.names() == []
    assert kit.cluster.log == []


def test_a_plan_in_json_holds_every_change_with_its_diff(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    made = deployed("plan", "--json").json

    assert made["schema"] == "coreos-kit/plan/v1"
    assert made["empty"] is False
    assert [(change["verb"], change["unit"]) for change in made["changes"]] == [
        ("replace", "apache@7777.service"),
        ("replace", "apache@8888.service"),
    ]
    assert any(line.endswith("BACKGROUND") for line in made["changes"][0]["diff"])
    assert made["digests"] == {"user_name/apache": APACHE, "user_name/nginx_lb": NGINX}


def test_plan_exit_code_tells_whether_there_is_anything_to_do(kit: Kit) -> None:
    before = kit("plan", "--exit-code").code
    kit("deploy", "--yes")

    assert before == 1
    assert kit("plan", "--exit-code").code == 0


def test_a_first_deploy_says_what_it_did_and_that_it_holds(kit: Kit) -> None:
    code, out, err = kit("deploy", "--yes")

    assert code == 0
    assert out.startswith(f"{FRESH}deployed: 5 changes on 3 machines\n")
    assert out.endswith("verified: all 18 links hold\nrecorded as release 1\n")
    assert err.startswith(
        "pulling images on core-1, core-2, core-3\n"
        "writing /etc/coreos-kit/host.env on core-1, core-2, core-3\n"
        "core-1: create apache@7777.service apache-discovery@7777.service\n"
        "core-2: create apache@8888.service apache-discovery@8888.service\n"
        "core-3: create nginx_lb.service\n"
        "core-1: apache@7777.service: starting\n"
    )


def test_deploying_again_does_nothing_and_says_so(deployed: Kit) -> None:
    code, out, err = deployed("deploy")

    assert (code, err) == (0, "")
    assert out == "nothing to do: every unit is as the configuration says\nverified: all 18 links hold\n"
    assert deployed.cluster.log == []


def test_deploy_in_json_is_one_object(kit: Kit) -> None:
    first, again = kit("deploy", "--yes", "--json").json, kit("deploy", "--json").json

    assert first["schema"] == again["schema"] == "coreos-kit/deploy/v1"
    assert (first["changed"], len(first["changes"]), first["verified"]["ok"]) == (True, 5, True)
    assert (again["changed"], again["changes"], again["verified"]["ok"]) == (False, [], True)


def test_deploy_in_json_still_says_on_stderr_what_it_is_about_to_do(kit: Kit) -> None:
    assert kit("deploy", "--yes", "--json").err.startswith(FRESH)


def test_deploy_in_json_without_yes_is_an_error_object(kit: Kit) -> None:
    ran = kit("deploy", "--json")

    assert (ran.code, ran.json["error"], ran.json["exit_code"]) == (2, "UsageError", 2)


def test_a_changed_unit_is_replaced_one_instance_after_the_other(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    code, out, err = deployed("deploy", "--yes")

    assert code == 0
    assert "~ replace apache@7777.service on core-1: its text changed\n" in out
    assert out.endswith(
        "deployed: 2 changes on 2 machines\nverified: all 18 links hold\nrecorded as release 2\n"
    )
    assert err.index("core-1: replace apache@7777") < err.index("core-2: replace apache@8888")


def test_an_instance_that_stopped_is_started_again(deployed: Kit) -> None:
    deployed.cluster.stops("apache@8888.service", "apache-discovery@8888.service")

    code, out, _ = deployed("deploy", "--yes")

    assert code == 0
    assert "! restart apache@8888.service on core-2: it is inactive (dead)\n" in out


def test_without_a_terminal_and_yes_nothing_is_done(kit: Kit) -> None:
    code, out, err = kit("deploy")

    assert (code, out) == (2, FRESH)
    assert err == ("error: this has to be confirmed, and there is no terminal to ask on\nhint:  Add --yes.\n")
    assert kit.cluster.names() == []


def test_a_question_answered_with_no_ends_in_130_and_changes_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "n\n")

    code, _, err = kit("deploy")

    assert (code, err) == (130, "Do this? [y/N] error: declined; nothing was done\n")
    assert kit.cluster.names() == []


def test_a_question_answered_with_yes_deploys(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "y\n")

    assert kit("deploy").code == 0
    assert len(kit.cluster.names()) == 5


def test_a_unit_that_does_not_come_up_ends_in_5_with_everything_as_before(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    deployed.cluster.broken_text = "BACKGROUND"

    code, _, err = deployed("deploy", "--yes")

    assert code == 5
    assert err.endswith(
        "error: the deploy stopped and was rolled back: core-1: apache@7777.service did not come up:"
        " it is inactive (dead), result success\n"
        "       put back: replace apache@7777.service on core-1\n"
        "       not begun: replace apache@8888.service on core-2\n"
        "hint:  See more: coreos-kit logs apache@7777.service\n"
    )
    deployed.edit("coreos-kit.toml", "BACKGROUND", "FOREGROUND")
    assert deployed("plan", "--exit-code").code == 0


def test_without_rollback_a_unit_that_does_not_come_up_ends_in_6_with_what_stands_where(
    deployed: Kit,
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    deployed.cluster.broken = {UnitName.parse("apache@7777.service")}

    code, _, err = deployed("deploy", "--yes", "--no-rollback")

    assert code == 6
    assert err.endswith(
        "error: the deploy stopped: core-1: apache@7777.service did not come up: it is inactive (dead),"
        " result success\n"
        "       as planned, inactive: replace apache@7777.service on core-1\n"
        "       not begun: replace apache@8888.service on core-2\n"
        "hint:  See more: coreos-kit logs apache@7777.service\n"
    )


def test_a_registration_that_never_comes_is_named_and_left_standing_where_that_is_asked_for(kit: Kit) -> None:
    kit("plan")
    kit.cluster.mute = {"apache-discovery@8888.service"}

    code, _, err = kit("deploy", "--yes", "--timeout", "5", "--no-rollback")

    assert code == 6
    assert (
        "core-2: apache-discovery@8888.service did not register /services/apache/10.132.1.12 within 5 s;"
        " there is no such key\n"
    ) in err
    assert "       done: create apache@7777.service on core-1\n" in err
    assert "       as planned, active: create apache@8888.service on core-2\n" in err


def test_a_first_deploy_that_fails_leaves_nothing_behind(kit: Kit) -> None:
    kit("plan")
    kit.cluster.mute = {"apache-discovery@8888.service"}

    code, _, err = kit("deploy", "--yes", "--timeout", "5")

    assert code == 5
    assert "       put back: create apache@7777.service on core-1\n" in err
    assert kit.cluster.names() == []


def test_a_deploy_whose_chain_does_not_hold_ends_in_6(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(deployed.cluster), "_answers", lambda self, address: "7777" not in address)

    code, _, err = deployed("deploy", "--yes", "--json")

    body = deployed("deploy", "--json").json
    assert (code, err) == (6, "")
    assert body["schema"] == "coreos-kit/error/v1"
    assert body["error"] == "DeployFailed"
    assert any("backend of apache@7777.service on core-1" in line for line in body["details"])


def test_a_tag_that_cannot_be_resolved_keeps_the_deployed_digest_and_says_so(deployed: Kit) -> None:
    del deployed.cluster.images["user_name/apache"]

    code, out, _ = deployed("deploy", "--yes")

    assert code == 0
    assert f"note: user_name/apache can't be resolved, so it stays at {APACHE}: core-1: can't pull" in out
    assert "nothing to do" in out


def test_a_tag_that_cannot_be_resolved_is_refused_where_none_is_deployed(kit: Kit) -> None:
    kit("plan")
    kit.cluster.images.clear()

    code, out, err = kit("deploy", "--yes")

    assert (code, out) == (3, "")
    assert err.startswith("error: user_name/apache can't be resolved to a digest")
    assert err.endswith(
        "hint:  Build and push it first: coreos-kit image build && coreos-kit image push,"
        " both with --on MACHINE where this workstation has no docker.\n"
    )
    assert kit.cluster.names() == []


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [
        (
            'Get "https://registry-1.docker.io/v2/": dial tcp 127.0.0.1:443: connect: connection refused',
            "Docker Hub can't be reached, and no mirror of it helped",
            "If the image was never pushed to the mirror: coreos-kit image build && coreos-kit image push, ",
        ),
        (
            "pull access denied for user_name/apache",
            "the registry does not have it",
            "Build and push it first: coreos-kit image build && coreos-kit image push, both with --on core-1",
        ),
        ("no space left on device", "its disk is full", "Make room on core-1: docker system prune"),
    ],
)
def test_why_a_tag_cannot_be_resolved_decides_what_is_advised(
    kit: Kit, said: str, reason: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = FakeRunner("core-1", {"bash": lambda args, stdin: Answer(b"", said.encode(), 1)})
    engine = MachineEngine(runner, "docker")
    monkeypatch.setattr(FakeEngine, "pull", lambda self, reference: engine.pull(reference))

    code, _, err = kit("plan")

    assert code == 3
    assert f"       pulling user_name/apache on core-1 failed: {reason}\n" in err
    assert f"hint:  {hint}" in err


@pytest.mark.parametrize("option", ["--skip", "--evacuate"])
def test_a_tag_that_cannot_be_resolved_is_refused_though_a_machine_is_away(kit: Kit, option: str) -> None:
    kit("plan")
    kit.cluster.images.clear()
    kit.cluster.goes_down("core-3")
    kit.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "")

    code, _, err = kit("deploy", "--yes", option, "core-3")

    assert code == 3
    assert err.startswith("error: user_name/apache can't be resolved to a digest")
    assert kit.cluster.names() == []


def test_a_new_image_is_a_changed_unit(deployed: Kit) -> None:
    newer = f"sha256:{'c' * 64}"
    deployed.cluster.images["user_name/apache"] = newer

    changes = deployed("deploy", "--yes", "--json").json["changes"]

    assert {(change["verb"], change["reason"]) for change in changes} == {("replace", "its text changed")}
    assert f"user_name/apache@{newer}" in "\n".join(changes[0]["diff"])


def test_a_silent_machine_stops_the_deploy_before_anything_is_touched(kit: Kit) -> None:
    kit("plan")
    kit.cluster.goes_down("core-3")

    code, out, err = kit("deploy", "--yes")

    assert (code, out) == (4, "")
    assert err == (
        "error: core-3 can't be looked at, so nothing was touched\n"
        "       core-3: core-3 does not answer\n"
        "hint:  Leave it as it is with --skip core-3, or move its units with --evacuate core-3.\n"
    )


@pytest.mark.parametrize(
    "error",
    [TimedOut("bash did not come to its end on core-2"), CommandFailed("core-2: the answer is garbled")],
)
def test_a_machine_whose_secret_files_can_not_be_looked_at_ends_a_deploy_in_4(
    deployed: Kit, error: KitError, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = type(deployed.cluster.files).look
    monkeypatch.setattr(type(deployed.cluster.files), "look", lambda self: {**look(self), "core-2": error})

    code, _, err = deployed("deploy", "--yes")

    assert code == 4
    assert err.startswith(
        "error: core-2: what root keeps there of the project can't be looked at, so nothing was touched\n"
        f"       {error}\n"
    )


def test_a_skipped_machine_is_left_as_it_is_and_reported(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")

    code, out, _ = deployed("deploy", "--skip", "core-2")

    assert code == 0
    assert "note: core-2 is skipped and stays as it is: core-2 does not answer\n" in out
    assert "all 10 links that can be seen hold; not verified: 8 links unknown, core-2 can't be seen\n" in out
    assert deployed("verify").code == 4


def test_an_evacuated_machine_is_all_that_keeps_the_rest_from_being_verified(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", 'conflicts = ["nginx.service", "apache@*.service"]', "")
    assert deployed("deploy", "--yes", "--allow-downtime").code == 0
    deployed.cluster.goes_down("core-1")

    evacuated, looked = deployed("deploy", "--yes", "--evacuate", "core-1"), deployed("verify")

    last = "all 18 links that can be seen hold; not verified: core-1 can't be seen\n"
    assert (evacuated.code, looked.code) == (0, 4)
    assert last in evacuated.out
    assert looked.out.endswith(last)


def test_a_sidekick_of_what_no_machine_can_take_is_not_told_of_again(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777, 8888, 9991]  ")

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    new = "       apache@9991.service on"
    assert err == (
        "error: no machine can take apache@9991.service; nothing was touched\n"
        f"{new} core-1: conflicts with apache@7777.service (Conflicts=apache@*.service)\n"
        f"{new} core-2: conflicts with apache@8888.service (Conflicts=apache@*.service)\n"
        f"{new} core-3: nginx_lb.service conflicts with it (Conflicts=apache@*.service)\n"
        "hint:  Add a machine, or loosen the service's conflicts or machine_metadata.\n"
    )


def test_a_machine_that_dies_beside_one_that_is_skipped_is_held_against_the_deploy(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.cluster.goes_down("core-3")
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    apply = deployed.cluster.apply

    def applied(change: Change) -> tuple[UnitOutcome, ...]:
        if change.machine == "core-2":
            deployed.cluster.goes_down("core-1")
        return apply(change)

    monkeypatch.setattr(deployed.cluster, "apply", applied)

    code, _, err = deployed("deploy", "--yes", "--skip", "core-3")

    assert code == 6
    assert "error: what was deployed does not hold together\n" in err
    assert "       unknown: unit of apache@7777.service on " in err


def test_an_unplaceable_instance_is_refused_with_each_machines_reason(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777, 8888, 9991, 9992]  ")

    code, out, err = deployed("deploy", "--yes")

    assert (code, out) == (3, "")
    assert err.startswith("error: no machine can take apache@999")
    assert "conflicts with" in err
    assert deployed.cluster.log == []


def test_a_machine_that_the_cluster_does_not_have_cannot_be_skipped(kit: Kit) -> None:
    code, _, err = kit("deploy", "--skip", "core-9")

    assert code == 3
    assert err == ("error: lab has no machine core-9\nhint:  Its machines are core-1, core-2, core-3.\n")


def test_ctrl_c_in_a_deploy_says_what_stands_and_that_running_it_again_finishes(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    apply = deployed.cluster.apply

    def interrupted(change: Change) -> tuple[UnitOutcome, ...]:
        if change.machine == "core-2":
            raise KeyboardInterrupt
        return apply(change)

    monkeypatch.setattr(deployed.cluster, "apply", interrupted)
    code, _, err = deployed("deploy", "--yes")
    monkeypatch.setattr(deployed.cluster, "apply", apply)
    again = deployed("deploy", "--yes", "--json").json

    assert code == 130
    assert err.endswith(
        "error: the deploy was interrupted\n"
        "       done: replace apache@7777.service on core-1\n"
        "       unclear: replace apache@8888.service on core-2\n"
        "hint:  Run deploy again: it goes on from what stands.\n"
    )
    assert [change["unit"] for change in again["changes"]] == ["apache@8888.service"]


def test_a_machine_that_dies_in_a_deploy_is_exit_6_not_4(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    def gone(change: Change) -> tuple[UnitOutcome, ...]:
        deployed.cluster.goes_down(change.machine)
        raise Unreachable(f"{change.machine} does not answer any more", machine=change.machine)

    monkeypatch.setattr(deployed.cluster, "apply", gone)
    code, _, err = deployed("deploy", "--yes")

    assert code == 6
    assert (
        "error: the deploy stopped: core-1 does not answer any more;"
        " going back stopped as well: core-1 does not answer\n" in err
    )
    assert "       unclear: replace apache@7777.service on core-1\n" in err


def test_a_cluster_that_can_not_be_looked_at_after_a_deploy_is_exit_6_not_4_and_in_the_history(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under fleet, where a look fails as a whole when fleet answers on no machine."""
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    observe = deployed.cluster.observe

    def gone(names: Collection[UnitName]) -> Observation:
        if any("core-2: start" in line for line in deployed.cluster.log):
            raise Unreachable("fleet answers on no machine")
        return observe(names)

    monkeypatch.setattr(deployed.cluster, "observe", gone)
    code, _, err = deployed("deploy", "--yes")
    monkeypatch.setattr(deployed.cluster, "observe", observe)

    assert code == 6
    assert "error: what was deployed can't be verified: fleet answers on no machine\n" in err
    assert deployed("history", "--json").json["releases"][-1]["outcome"] == "failed"


def test_a_failed_command_shows_its_last_lines_once(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    def refuses(change: Change) -> tuple[UnitOutcome, ...]:
        raise CommandFailed(f"{change.machine}: systemctl ended with 1", output="disk full\n")

    monkeypatch.setattr(deployed.cluster, "apply", refuses)
    _, _, err = deployed("deploy", "--yes")

    assert err.count("disk full") == 1


def test_removing_a_whole_service_has_to_be_allowed(deployed: Kit) -> None:
    config = (deployed.workspace / "coreos-kit.toml").read_text()
    head, _, tail = config.partition("# A balancer is")
    (deployed.workspace / "coreos-kit.toml").write_text(
        head + "# A cluster is" + tail.partition("# A cluster is")[2]
    )

    refused = deployed("deploy", "--yes")
    allowed = deployed("deploy", "--yes", "--allow-remove", "nginx_lb")

    assert refused.code == 3
    assert "with --allow-remove nginx_lb" in refused.err
    assert allowed.code == 0
    assert "- remove nginx_lb.service on core-3: no longer configured\n" in allowed.out


def test_deploy_says_which_rendered_files_are_behind_or_edited(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777]  ")
    deployed.edit("static/nginx_lb.service", "[Unit]", "# mine\n[Unit]")

    notes = deployed("plan", "--json").json["notes"]

    assert notes == [
        (
            "static/nginx_lb.service is behind the configuration, or edited by hand;"
            " deploy doesn't read such files (coreos-kit render --check --diff)"
        ),
        (
            "instances/apache-discovery@8888.service, instances/apache@8888.service"
            " are behind the configuration (coreos-kit link --check)"
        ),
    ]


def test_a_workspace_without_rendered_files_is_not_called_behind(kit: Kit) -> None:
    for folder in ("templates", "static", "instances"):
        for file in (kit.workspace / folder).iterdir():
            file.unlink()
        (kit.workspace / folder).rmdir()

    assert kit("plan", "--json").json["notes"] == []


def test_what_cannot_be_compared_does_not_stop_a_deploy(deployed: Kit) -> None:
    (deployed.workspace / "static/nginx_lb.service").write_text("[Unit]\nDescription=somebody else's\n")

    code, out, _ = deployed("deploy")

    assert code == 0
    assert "note: templates/ and static/ can't be compared with the configuration: 1 of the files" in out
