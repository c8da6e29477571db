"""start, stop, restart, destroy, logs and ssh: one unit, or one machine."""

import json
import sys
from io import StringIO

import pytest

from coreos_kit.cli import asking
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, UnitOutcome
from tests.cli.conftest import Kit

DOWN = " will be down from then on: nothing else of it serves"


def entry(time_us: int, unit: str, message: object) -> dict[str, object]:
    return {"__REALTIME_TIMESTAMP": str(time_us), "_SYSTEMD_UNIT": unit, "MESSAGE": message}


@pytest.fixture
def talking(deployed: Kit) -> Kit:
    """The deployed example, whose units have said something."""
    journals = deployed.cluster.journals
    journals["core-1"] = [
        entry(1_000_000, "apache@7777.service", "first"),
        entry(3_500_000, "apache-discovery@7777.service", "third"),
    ]
    journals["core-2"] = [entry(2_000_000, "apache@8888.service", "second")]
    return deployed


def test_stop_says_what_became_of_the_unit(deployed: Kit) -> None:
    code, out, err = deployed("stop", "apache@7777")

    assert (code, err) == (0, "core-1: stop apache@7777.service\n")
    assert out == "UNIT                 MACHINE  STATE\napache@7777.service  core-1   inactive (dead)\n"
    assert deployed.cluster.log == ["core-1: stop apache@7777.service"]


@pytest.mark.parametrize("pattern", ["apache@8888", "apache-discovery@8888", "apache*"])
def test_who_stops_what_serves_last_is_told_before(deployed: Kit, pattern: str) -> None:
    assert DOWN not in deployed("stop", "apache@7777").err

    code, out, err = deployed("stop", pattern)

    assert code == 0
    assert err.startswith(f"apache{DOWN}\ncore-")
    assert DOWN not in out


def test_a_service_that_is_down_already_is_no_news(deployed: Kit) -> None:
    deployed("stop", "apache@*")

    assert DOWN not in deployed("stop", "apache@*").err


def test_in_json_it_is_told_on_stderr_and_of_a_balancer_as_well(deployed: Kit) -> None:
    ran = deployed("stop", "nginx_lb", "--hold", "--json")

    assert ran.json["held"] == ["nginx_lb.service"]
    assert ran.err.startswith(f"nginx_lb{DOWN}\n")


def test_what_may_serve_on_a_machine_that_is_silent_is_not_called_down(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")

    err = deployed("stop", "apache@7777").err

    assert err.startswith(f"apache{DOWN}, unless on core-2, which can't be looked at\n")


def test_start_takes_globs_and_reaches_every_machine(deployed: Kit) -> None:
    deployed("stop", "apache*")

    code, out, _ = deployed("start", "apache*")

    assert code == 0
    assert out.count("active (running)") == 4
    assert deployed("verify").code == 0


def test_start_in_json_is_one_object(deployed: Kit) -> None:
    assert deployed("start", "nginx_lb", "--json").json == {
        "schema": "coreos-kit/start/v1",
        "cluster": "lab",
        "units": [
            {
                "unit": "nginx_lb.service",
                "machine": "core-3",
                "active_state": "active",
                "sub_state": "running",
                "result": "success",
            }
        ],
        "released": [],
    }


def test_a_unit_that_does_not_start_is_an_error_with_a_command_to_go_on(deployed: Kit) -> None:
    deployed.cluster.stops("apache@7777.service")
    deployed.cluster.broken = {UnitName.parse("apache@7777.service")}

    code, out, err = deployed("start", "apache@7777")

    assert (code, out) == (1, "")
    assert err.endswith(
        "error: core-1: apache@7777.service is inactive (dead) after start\n"
        "hint:  See why: coreos-kit logs apache@7777.service\n"
    )


def test_several_failures_are_told_together(deployed: Kit) -> None:
    deployed.cluster.stops("apache@7777.service", "apache@8888.service")
    deployed.cluster.broken = {UnitName.parse(f"apache@{port}.service") for port in (7777, 8888)}

    code, _, err = deployed("start", "apache@*")

    assert code == 1
    assert "error: start failed for 2 of 2 units\n" in err
    assert "       core-2: apache@8888.service is inactive (dead) after start\n" in err


def test_restart_goes_one_after_the_other_and_names_each_unit_once(deployed: Kit) -> None:
    code, out, err = deployed("restart", "apache@*")

    assert code == 0
    assert out == (
        "UNIT                 MACHINE  STATE\n"
        "apache@7777.service  core-1   active (running)\n"
        "apache@8888.service  core-2   active (running)\n"
    )
    assert err == "core-1: restart apache@7777.service\ncore-2: restart apache@8888.service\n"
    assert len(deployed("restart", "apache@*", "--json").json["units"]) == 2


def test_a_restart_that_takes_too_long_ends_in_8_with_what_was_seen_last(deployed: Kit) -> None:
    deployed.cluster.stops("nginx_lb.service")
    deployed.cluster.broken = {UnitName.parse("nginx_lb.service")}

    code, _, err = deployed("restart", "nginx_lb")

    assert code == 8
    assert err.endswith(
        "error: core-3: nginx_lb.service did not come back within 90 s: it is inactive (dead)\n"
        "hint:  See more: coreos-kit logs nginx_lb.service\n"
    )


def test_destroy_takes_the_sidekick_along(deployed: Kit) -> None:
    code, out, _ = deployed("destroy", "apache@8888", "--yes")

    assert code == 0
    assert out == (
        "UNIT                           MACHINE  STATE\n"
        "apache-discovery@8888.service  core-2   destroyed\n"
        "apache@8888.service            core-2   destroyed\n"
    )
    assert deployed.cluster.where(UnitName.parse("apache-discovery@8888.service")) == []


def test_destroy_asks_and_without_a_terminal_needs_yes(deployed: Kit) -> None:
    code, out, err = deployed("destroy", "apache@8888")

    assert (code, out) == (2, "")
    assert err.endswith("hint:  Add --yes.\n")
    assert deployed.cluster.log == []


def test_destroy_says_before_it_asks_that_a_service_will_be_down(deployed: Kit) -> None:
    deployed("stop", "apache@7777")

    code, _, err = deployed("destroy", "apache@8888")

    assert (code, err.splitlines()[0]) == (2, f"apache{DOWN}")


def test_destroy_names_what_it_would_destroy(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", StringIO("\n"))

    code, _, err = deployed("destroy", "apache@8888")

    assert code == 130
    assert err.startswith(
        "Destroy apache-discovery@8888.service on core-2, apache@8888.service on core-2? [y/N] "
    )


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs"])
def test_an_unknown_unit_suggests_the_nearest(deployed: Kit, verb: str) -> None:
    assert deployed(verb, "apahce@7777.service") == (
        1,
        "",
        "error: no unit apahce@7777.service on lab\nhint:  Did you mean apache@7777.service?\n",
    )


def test_a_name_that_is_near_nothing_gets_the_list(deployed: Kit) -> None:
    _, _, err = deployed("stop", "postgresql")

    assert err == (
        "error: no unit postgresql on lab\n"
        "hint:  Its units are apache@7777.service, apache@8888.service, apache-discovery@7777.service,"
        " apache-discovery@8888.service, nginx_lb.service.\n"
    )


def test_a_unit_on_an_empty_cluster_points_at_deploy(kit: Kit) -> None:
    assert kit("stop", "apache@7777").err == (
        "error: no unit apache@7777 on lab\nhint:  It has none: coreos-kit deploy\n"
    )


def test_a_configured_unit_that_is_out_of_sight_is_no_reason_to_guess_at_another(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-3")

    code, out, err = deployed("stop", "nginx_lb")

    assert (code, out) == (4, "")
    assert err == (
        "error: nginx_lb.service can be seen nowhere, and may stand on core-3\n"
        "       core-3 does not answer\n"
        "hint:  To run it elsewhere: coreos-kit deploy --evacuate core-3\n"
    )


def test_one_unknown_name_among_several_touches_nothing(deployed: Kit) -> None:
    assert deployed("stop", "apache@7777", "nosuch").code == 1
    assert deployed.cluster.log == []


def test_ctrl_c_in_a_stop_ends_in_130_without_a_traceback(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(change: Change) -> tuple[UnitOutcome, ...]:
        raise KeyboardInterrupt

    monkeypatch.setattr(deployed.cluster, "apply", interrupted)

    assert deployed("stop", "nginx_lb") == (
        130,
        "",
        f"nginx_lb{DOWN}\ncore-3: stop nginx_lb.service\nerror: interrupted\n",
    )


def test_logs_are_merged_by_time(talking: Kit) -> None:
    code, out, err = talking("logs")

    assert (code, err) == (0, "")
    assert out == (
        "1970-01-01 00:00:01.000Z core-1 apache@7777.service: first\n"
        "1970-01-01 00:00:02.000Z core-2 apache@8888.service: second\n"
        "1970-01-01 00:00:03.500Z core-1 apache-discovery@7777.service: third\n"
    )


def test_logs_of_one_unit_leave_the_others_out(talking: Kit) -> None:
    assert talking("logs", "apache@8888", "-n", "5").out.splitlines() == [
        "1970-01-01 00:00:02.000Z core-2 apache@8888.service: second"
    ]
    assert talking.cluster.runners["core-2"].log[-1][-2:] == ("--lines=5", "--unit=apache@8888.service")


def test_logs_in_json_are_one_object(talking: Kit) -> None:
    body = talking("logs", "--json").json

    assert (body["schema"], body["complete"]) == ("coreos-kit/logs/v1", True)
    assert [line["message"] for line in body["lines"]] == ["first", "second", "third"]


def test_logs_show_what_they_can_and_exit_4_where_a_machine_is_silent(talking: Kit) -> None:
    talking.cluster.runners["core-2"].is_down = True

    code, out, err = talking("logs")
    body = talking("logs", "--json")

    assert code == body.code == 4
    assert (out.count("\n"), body.json["complete"]) == (2, False)
    assert err == "core-2: core-2 can't be reached: connection refused\n"


def test_following_in_json_gives_a_line_an_entry(talking: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(type(talking.clock), "now", lambda self: float(next(now)))

    code, out, _ = talking("logs", "-f", "--json")

    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert sorted(line["message"] for line in lines) == ["first", "second", "third"]
    assert {line["schema"] for line in lines} == {"coreos-kit/logs/v1"}


def test_ctrl_c_ends_following_without_a_word(talking: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(talking.clock), "now", interrupt)

    code, _, err = talking("logs", "-f")

    assert (code, err) == (130, "")


@pytest.mark.parametrize("code", [0, 1, 3, 130, 200])
def test_ssh_ends_with_the_commands_own_code(deployed: Kit, code: int) -> None:
    deployed.cluster.codes["false"] = code

    assert deployed("ssh", "core-1", "--", "false") == (code, "", "")


def test_ssh_to_a_unit_means_its_machine(deployed: Kit) -> None:
    deployed("ssh", "apache@8888", "--", "hostname", "--json", "-v", "--cluster", "x")

    assert deployed.cluster.runners["core-2"].log == [("hostname", "--json", "-v", "--cluster", "x")]


def test_ssh_to_what_stands_on_several_machines_wants_one_of_them(deployed: Kit) -> None:
    assert deployed("ssh", "apache@*", "--", "true") == (
        255,
        "",
        "error: apache@* stands on core-1, core-2\nhint:  Name one of these machines.\n",
    )


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("ssh", "core-9", "--", "true"), "error: core-9 is no machine or unit of lab\n"),
        (("--cluster", "nowhere", "ssh", "core-1", "--", "true"), "error: no cluster nowhere"),
        (("--project", "/nonexistent", "ssh", "core-1", "--", "true"), "error: no coreos-kit.toml in"),
    ],
)
def test_what_the_kit_cannot_do_for_ssh_is_255(deployed: Kit, args: tuple[str, ...], error: str) -> None:
    code, out, err = deployed(*args)

    assert (code, out) == (255, "")
    assert err.startswith(error)


def test_ssh_to_a_machine_that_is_down_is_255(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-1")

    assert deployed("ssh", "core-1", "--", "true") == (
        255,
        "",
        "error: core-1 can't be reached: connection refused\n",
    )
