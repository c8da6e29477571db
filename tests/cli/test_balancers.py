"""Several balancers: instances of one, or one on every machine; each is deployed, shown and proven."""

import pytest

from coreos_kit.model.names import UnitName
from coreos_kit.ports import Probe, ProbeOrder
from tests.cli.conftest import Kit

ONE_APACHE = ("instances = [7777, 8888]", "instances = [7777]")
CONFLICTS = 'conflicts = ["nginx.service", "apache@*.service"]'
EAST, WEST = (UnitName.parse(f"nginx_lb@{word}.service") for word in ("east", "west"))


def make_several(kit: Kit) -> None:
    several = 'instances = ["east", "west"]\nconflicts = ["nginx_lb@*.service", "apache@*.service"]'
    kit.edit("coreos-kit.toml", *ONE_APACHE)
    kit.edit("coreos-kit.toml", CONFLICTS, several)


@pytest.fixture
def several(kit: Kit) -> Kit:
    """One Apache on core-1, balancers on core-2 and core-3."""
    make_several(kit)
    assert kit("deploy", "--yes").code == 0
    kit.cluster.log.clear()
    return kit


@pytest.fixture
def everywhere(kit: Kit) -> Kit:
    """One Apache beside a balancer on every machine."""
    kit.edit("coreos-kit.toml", *ONE_APACHE)
    kit.edit("coreos-kit.toml", CONFLICTS, "global = true")
    assert kit("deploy", "--yes").code == 0
    kit.cluster.log.clear()
    return kit


def test_each_instance_of_a_balancer_stands_on_a_machine_of_its_own(several: Kit) -> None:
    assert several.cluster.where(EAST) == ["core-2"]
    assert several.cluster.where(WEST) == ["core-3"]
    assert "\nnothing to do: every unit is as the configuration says\n" in several("deploy", "--yes").out


def test_rendering_and_linking_know_a_balancers_instances(kit: Kit) -> None:
    make_several(kit)

    rendered, linked = kit("render"), kit("link")

    assert "create templates/nginx_lb@.service\nremove static/nginx_lb.service\n" in rendered.out
    assert "create instances/nginx_lb@east.service\ncreate instances/nginx_lb@west.service\n" in linked.out
    assert (kit("render", "--check").code, kit("link", "--check").code, kit("lint").code) == (0, 0, 0)


def test_changed_balancers_are_replaced_one_after_the_other(several: Kit) -> None:
    several.edit("unit_templates/load_balancer.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")

    assert several("deploy", "--yes").code == 0

    assert [line for line in several.cluster.log if "pull" not in line] == [
        f"{machine}: {verb} {unit}"
        for machine, unit in (("core-2", EAST), ("core-3", WEST))
        for verb in ("stop", "write", "start")
    ]


def test_a_global_balancer_is_replaced_on_one_machine_after_the_other(everywhere: Kit) -> None:
    everywhere.edit("unit_templates/load_balancer.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")

    assert everywhere("deploy", "--yes").code == 0

    assert [line for line in everywhere.cluster.log if "pull" not in line] == [
        f"core-{n}: {verb} nginx_lb.service" for n in (1, 2, 3) for verb in ("stop", "write", "start")
    ]


def test_a_balancer_that_is_restarted_serves_before_the_next_one_stops(
    several: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = type(several.cluster).probe

    def noted(self: object, order: ProbeOrder) -> Probe:
        several.cluster.log.append(f"{order.machine}: {order.requests} requests")
        return probe(several.cluster, order)

    monkeypatch.setattr(type(several.cluster), "probe", noted)

    assert several("restart", "nginx_lb@*").code == 0

    assert several.cluster.log == [
        f"core-2: stop {EAST}", f"core-2: start {EAST}", "core-2: 1 requests",
        f"core-3: stop {WEST}", f"core-3: start {WEST}",
    ]  # fmt: skip


def test_what_is_done_on_every_machine_is_told_of_every_machine(everywhere: Kit) -> None:
    everywhere.edit("unit_templates/load_balancer.service.j2", "TimeoutStartSec=0", "TimeoutStartSec=60")

    done = everywhere("deploy", "--yes", "--json").json

    assert [change["machine"] for change in done["changes"]] == ["core-1", "core-2", "core-3"]
    assert done["placements"]["nginx_lb.service"] == ["core-1", "core-2", "core-3"]


def test_from_one_balancer_to_several_the_plain_unit_goes_first(deployed: Kit) -> None:
    make_several(deployed)

    out = deployed("plan").out

    changes = [line.partition(":")[0] for line in out.splitlines() if line[:2] in ("+ ", "- ")]
    assert changes == [
        "- remove apache-discovery@8888.service on core-2",
        "- remove apache@8888.service on core-2",
        "- remove nginx_lb.service on core-3",
        "+ create nginx_lb@east.service on core-2",
        "+ create nginx_lb@west.service on core-3",
    ]


def test_verify_and_status_tell_the_balancers_apart(several: Kit) -> None:
    verified, seen = several("verify"), several("status")

    assert verified.code == 0
    assert "nginx_lb@east.service  core-2" in verified.out
    assert "nginx_lb@west.service  core-3" in verified.out
    assert "pool of nginx_lb@east on core-2: 10.132.1.11:7777\n" in seen.out
    assert "pool of nginx_lb@west on core-3: 10.132.1.11:7777\n" in seen.out
    assert [
        (pool["balancer"], pool["unit"], pool["machine"])
        for pool in several("status", "--json").json["pools"]
    ] == [
        ("nginx_lb", "nginx_lb@east.service", "core-2"),
        ("nginx_lb", "nginx_lb@west.service", "core-3"),
    ]


def test_one_balancer_that_does_not_follow_breaks_the_chain_and_is_named(
    several: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(several, monkeypatch)

    code, out, _ = several("verify")

    assert code == 1
    assert "BROKEN: pool of apache@7777.service on core-1\n" in out
    assert "  seen:     nginx_lb@west on core-3 has an empty pool\n" in out
    assert "  remedy:   coreos-kit restart nginx_lb@west.service\n" in out


def test_preview_says_which_balancers_a_server_is_missing_from(
    several: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(several, monkeypatch)

    assert several("balancer", "preview").out == (
        "nginx_lb: 1 server from the registrations\n+ 10.132.1.11:7777 (already in nginx_lb@east on core-2)\n"
    )


def test_preview_says_which_balancers_still_have_a_server(
    several: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(several, monkeypatch, frozenset({"10.132.1.11:7777", "10.132.1.12:8888"}))

    assert several("balancer", "preview").out == (
        "nginx_lb: 1 server from the registrations\n"
        "  10.132.1.11:7777\n"
        "- 10.132.1.12:8888 (in nginx_lb@west on core-3)\n"
    )


def test_a_server_that_one_of_several_balancers_has_without_a_key_is_that_ones_ghost(
    several: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(several, monkeypatch, frozenset({"10.132.1.11:7777", "10.132.1.12:8888"}))

    (ghost,) = several("verify", "--json").json["ghosts"]

    assert (ghost["subject"], ghost["machine"]) == ("nginx_lb@west 10.132.1.12:8888", "core-3")
    assert ghost["remedy"] == "coreos-kit restart nginx_lb@west.service"


def test_a_balancer_that_is_stopped_by_hand_is_broken_and_the_instances_are_not(several: Kit) -> None:
    several("stop", "nginx_lb@west")

    found = several("verify", "--json").json

    broken = {
        chain["unit"] for chain in found["chains"] for link in chain["links"] if link["state"] == "broken"
    }
    assert broken == {"nginx_lb@west.service"}


def deaf(kit: Kit, monkeypatch: pytest.MonkeyPatch, pool: frozenset[str] = frozenset()) -> None:
    """Let the balancer on core-3 have another pool than etcd."""
    honest = type(kit.cluster).probe

    def probe(self: object, order: ProbeOrder) -> Probe:
        seen: Probe = honest(kit.cluster, order)
        if order.container != "nginx_lb.west":
            return seen
        return Probe(seen.backends, pool, "", seen.codes, dict.fromkeys(pool, 1))

    monkeypatch.setattr(type(kit.cluster), "probe", probe)
