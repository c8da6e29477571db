"""status, verify, machines, registrations, balancer preview, image list: looking changes nothing."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from coreos_kit.model.cluster import EtcdEntry
from tests.cli.conftest import Kit

STATUS = """\
MACHINE  PRIVATE      PUBLIC        ID        UNITS
core-1   10.132.1.11  198.51.100.1  00000000  2
core-2   10.132.1.12  198.51.100.2  00000000  2
core-3   10.132.1.13  198.51.100.3  00000000  1

UNIT                           MACHINE  STATE
apache@7777.service            core-1   active (running)
apache@8888.service            core-2   active (running)
apache-discovery@7777.service  core-1   active (running)
apache-discovery@8888.service  core-2   active (running)
nginx_lb.service               core-3   active (running)

REGISTRATION                  VALUE             LEFT
/services/apache/10.132.1.11  10.132.1.11:7777  30 s
/services/apache/10.132.1.12  10.132.1.12:8888  30 s

pool of nginx_lb on core-3: 10.132.1.11:7777, 10.132.1.12:8888
"""


def test_status_is_one_screen(deployed: Kit) -> None:
    assert deployed("status") == (0, STATUS, "")


def test_status_in_json_holds_the_same(deployed: Kit) -> None:
    seen = deployed("status", "--json").json

    assert seen["schema"] == "coreos-kit/status/v1"
    assert [machine["state"] for machine in seen["machines"]] == ["ok"] * 3
    assert [unit["active_state"] for unit in seen["units"]] == ["active"] * 5
    assert [entry["value"] for entry in seen["registrations"]] == ["10.132.1.11:7777", "10.132.1.12:8888"]
    assert seen["pools"][0]["servers"] == ["10.132.1.11:7777", "10.132.1.12:8888"]
    assert (seen["missing"], seen["etcd_error"]) == ([], "")


def test_status_shows_a_machine_that_is_down_and_exits_4(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")

    code, out, _ = deployed("status")
    body = deployed("status", "--json")

    assert code == body.code == 4
    assert re.search(r"^core-2 +unreachable$", out, re.MULTILINE)
    assert "core-2 is unreachable: core-2 does not answer\n" in out
    assert "apache@8888.service            -        unknown\n" in out
    assert body.json["machines"][2] == {
        "name": "core-2",
        "state": "unreachable",
        "error": "core-2 does not answer",
    }
    assert body.json["missing"] == ["apache@8888.service", "apache-discovery@8888.service"]


def test_status_says_that_etcd_does_not_answer_and_shows_the_rest(deployed: Kit) -> None:
    deployed.cluster.etcd_is_down = True

    code, out, _ = deployed("status")

    assert code == 4
    assert "registrations unknown: etcd does not answer on any machine\n" in out
    assert "apache@7777.service            core-1   active (running)\n" in out


def test_status_of_an_empty_cluster_shows_what_is_missing(kit: Kit) -> None:
    code, out, _ = kit("status")

    assert code == 0
    assert "nginx_lb.service               -        missing\n" in out


def test_verify_shows_every_link_and_that_all_hold(deployed: Kit) -> None:
    code, out, err = deployed("verify")

    assert (code, err) == (0, "")
    assert out == (
        "UNIT                 MACHINE  UNIT  CONTAINER  KEY  VALUE  TTL  BACKEND  POOL  REQUEST\n"
        "apache@7777.service  core-1   ok    ok         ok   ok     ok   ok       ok    ok\n"
        "apache@8888.service  core-2   ok    ok         ok   ok     ok   ok       ok    ok\n"
        "nginx_lb.service     core-3   ok    ok\n"
        "\n"
        "verified: all 18 links hold\n"
    )


def test_verify_in_json_has_eight_links_an_instance(deployed: Kit) -> None:
    found = deployed("verify", "--json").json

    assert found["schema"] == "coreos-kit/verify/v1"
    assert found["ok"] is True
    assert [link["link"] for link in found["chains"][0]["links"]] == [
        "unit", "container", "key", "value", "ttl", "backend", "pool", "request",
    ]  # fmt: skip


def test_verify_names_what_is_broken_with_a_remedy_and_exits_1(deployed: Kit) -> None:
    deployed.cluster.stops("apache-discovery@7777.service")

    code, out, _ = deployed("verify")

    assert code == 1
    assert (
        "BROKEN: key of apache@7777.service on core-1\n"
        "  expected: /services/apache/10.132.1.11\n"
        "  seen:     there is no such key; follows from unit\n"
    ) in out
    assert out.count("  remedy:   coreos-kit start apache@7777.service\n") == 1
    assert out.count("  remedy: ") == 1
    assert out.endswith("broken, 2 unknown\n")


def test_what_systemd_is_restarting_is_waited_for(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.cluster.stops("apache@7777.service", "apache-discovery@7777.service")
    observe = deployed.cluster.observe

    def restarting(names: object) -> object:
        seen = observe([])
        machine = seen.machines["core-1"]
        units = tuple(
            replace(unit, active_state="activating", sub_state="auto-restart")
            if unit.name.prefix == "apache"
            else unit
            for unit in machine.units
        )
        return replace(seen, machines={**seen.machines, "core-1": replace(machine, units=units)})

    monkeypatch.setattr(deployed.cluster, "observe", restarting)

    out = deployed("verify").out

    assert (
        "apache@7777.service is activating (auto-restart); apache-discovery@7777.service is inactive" in out
    )
    assert "  remedy:   coreos-kit verify --wait 30\n" in out
    assert "coreos-kit start" not in out


def test_verify_of_a_machine_that_is_down_is_unknown_never_ok(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")

    code, out, _ = deployed("verify")
    chains = deployed("verify", "--json").json["chains"]

    assert code == 4
    assert "unreachable: core-2: core-2 does not answer\n" in out
    states = {chain["unit"]: {link["state"] for link in chain["links"]} for chain in chains}
    assert states["apache@8888.service"] == {"unknown"}
    assert states["apache@7777.service"] == {"ok"}


def test_verify_without_etcd_is_unknown_and_exits_4(deployed: Kit) -> None:
    deployed.cluster.etcd_is_down = True

    found = deployed("verify", "--json")

    assert found.code == 4
    assert (found.json["broken"], found.json["unknown"]) == (0, 6)


def test_verify_of_an_empty_cluster_is_broken(kit: Kit) -> None:
    code, out, _ = kit("verify")

    assert code == 1
    assert "  seen:     it stands on no machine\n  remedy:   coreos-kit deploy\n" in out


def test_verify_waits_only_as_long_as_it_is_told(deployed: Kit) -> None:
    deployed.cluster.stops("nginx_lb.service")
    started = deployed.clock.now()

    assert deployed("verify", "--wait", "7").code == 1
    assert 7 <= deployed.clock.now() - started < 8


def test_machines_lists_addresses_and_how_many_units_stand_there(deployed: Kit) -> None:
    code, out, err = deployed("machines")

    assert (code, out, err) == (0, STATUS.split("\n\n")[0] + "\n", "")
    assert deployed("machines", "--json").json["machines"][2]["units"] == 1


def test_machines_exits_4_where_one_is_silent(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-1")

    assert deployed("machines").code == 4


def test_registrations_lists_keys_with_the_time_that_they_have_left(deployed: Kit) -> None:
    code, out, _ = deployed("registrations")

    assert (code, out) == (0, STATUS.split("\n\n")[2] + "\n")
    assert deployed("registrations", "--json").json["registrations"][0] == {
        "prefix": "/services/apache",
        "key": "/services/apache/10.132.1.11",
        "value": "10.132.1.11:7777",
        "ttl_left_s": 30,
        "ttl_granted_s": 30,
    }


def test_a_registration_without_ttl_is_left_for_ever(kit: Kit) -> None:
    kit("plan")
    kit.cluster.planted = [EtcdEntry("/services/apache/10.132.1.99", "10.132.1.99:7777")]

    assert kit("registrations").out.endswith("/services/apache/10.132.1.99  10.132.1.99:7777  for ever\n")


def test_registrations_without_etcd_exit_4(kit: Kit) -> None:
    kit("plan")
    kit.cluster.etcd_is_down = True

    assert kit("registrations") == (4, "", "error: etcd does not answer on any machine\n")


def test_preview_shows_the_pool_that_runs_as_it_would_be(deployed: Kit) -> None:
    code, out, _ = deployed("balancer", "preview")

    assert code == 0
    assert out == ("nginx_lb: 2 servers from the registrations\n  10.132.1.11:7777\n  10.132.1.12:8888\n")


def test_preview_refuses_what_must_not_come_near_nginx(deployed: Kit) -> None:
    deployed.cluster.planted = [EtcdEntry("/services/apache/169.254.169.254", "169.254.169.254:80", 30, 30)]

    code, out, _ = deployed("balancer", "preview")
    body = deployed("balancer", "preview", "--json").json

    assert code == 0
    assert "nginx_lb: 2 servers from the registrations\n" in out
    assert "refused: /services/apache/169.254.169.254" in out
    assert body["schema"] == "coreos-kit/balancer-preview/v1"
    assert body["balancers"][0]["servers"] == ["10.132.1.11:7777", "10.132.1.12:8888"]


def test_preview_of_a_balancer_that_runs_nowhere_says_so(kit: Kit) -> None:
    assert kit("balancer", "preview").out == ("nginx_lb: 0 servers from the registrations\nit runs nowhere\n")


@pytest.mark.parametrize("command", ["status", "registrations"])
def test_watching_in_json_gives_a_line_a_change_until_ctrl_c(
    deployed: Kit, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([30, 30, 29])

    def sleep(seconds: float) -> None:
        left = next(moments, None)
        if left is None:
            raise KeyboardInterrupt
        deployed.cluster.planted = [EtcdEntry("/services/apache/10.132.1.99", "10.132.1.99:1", left, 30)]

    monkeypatch.setattr(type(deployed.clock), "sleep", lambda self, seconds: sleep(seconds))
    code, out, err = deployed(command, "--watch", "--json")

    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (130, "")
    assert [line["schema"] for line in lines] == [f"coreos-kit/{command}/v1"] * 3
    assert [len(line["registrations"]) for line in lines] == [2, 3, 3]


def test_a_watch_without_a_terminal_does_not_clear_the_screen(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(deployed.clock), "sleep", interrupt)

    assert deployed("status", "--watch") == (130, STATUS, "")


def test_an_unknown_cluster_is_refused_with_those_that_there_are(kit: Kit) -> None:
    assert kit("--cluster", "nowhere", "status") == (
        2,
        "",
        "error: no cluster nowhere in coreos-kit.toml\nhint:  Its clusters are lab, production.\n",
    )


@pytest.fixture
def tagged(deployed: Kit) -> Iterator[Kit]:
    deployed.cluster.machines["core-1"].metadata = {"region": "fra", "disk": "ssd"}
    return deployed


def test_metadata_has_a_column_as_soon_as_a_machine_has_any(tagged: Kit) -> None:
    first, second, *_ = tagged("machines").out.splitlines()

    assert "METADATA" in first
    assert "disk=ssd,region=fra" in second


def test_since_and_restarts_are_shown_where_there_are_any(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = deployed.cluster.observe

    def dated(names: object) -> object:
        seen = observe([])
        machine = seen.machines["core-3"]
        units = tuple(replace(u, restarts=4, since="Mon 2026-11-23 17:13:11 UTC") for u in machine.units)
        return replace(seen, machines={**seen.machines, "core-3": replace(machine, units=units)})

    monkeypatch.setattr(deployed.cluster, "observe", dated)

    assert (
        "nginx_lb.service               core-3   active (running)  4         2026-11-23 17:13:11Z\n"
        in deployed("status").out
    )
