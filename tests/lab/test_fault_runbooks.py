"""Nights on which something breaks: what the site does meanwhile, what verify says, how it mends.

What the matrix draws one of for CI as well is left to the campaign here.
"""

import http.client
import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coreos_kit.adapters.nspawn.state import read_lab
from tests.lab.conftest import Kit
from tests.lab.faults import (
    BALANCER,
    UNITS,
    cut_off,
    etcd_leader,
    etcd_leader_killed,
    etcd_stopped,
    garbage,
    hanging_sshd,
    inside,
    machines,
    megabytes,
    rebooted,
    registry_down,
    wait_for,
    without_power,
    wrong_clock,
)
from tests.lab.load import Aim, load

pytestmark = pytest.mark.fault

UNIT = "apache@7777.service"
RENEW_S, TTL_S = 10, 30
LOOK_S = 0.6  # what one look at the pool costs
SETTLED_S = 13  # what leaves at once is a stampede: one test's losses are not to be another's
ASK_FOR_POOL = (
    "curl --silent --fail http://localhost/pool"
    " --unix-socket /proc/$(pgrep -f '^/usr/bin/python3 -m balancer')/root/run/coreos-kit/pool.sock"
)


@pytest.fixture
def machine(kit: Kit) -> str:
    return kit.machine_of(UNIT)


@pytest.fixture
def balancer(kit: Kit) -> str:
    return kit.machine_of(BALANCER)


@pytest.fixture
def server(kit: Kit, machine: str) -> str:
    return f"{kit.address_of(machine)}:7777"


@pytest.fixture
def site_address(kit: Kit, balancer: str) -> str:
    return kit.address_of(balancer, "public_ip")


def pool(kit: Kit, balancer: str) -> set[str]:
    """Return what Nginx itself has, by the balancer's own door."""
    return set(inside(kit, balancer, ASK_FOR_POOL).split())


def wait_until_dropped(kit: Kit, balancer: str, server: str, *, within_s: int) -> None:
    """Wait on the balancer's machine until Nginx is without a server, which may be back soon.

    A look from here takes its time, and what comes and goes between two of them is not seen.
    """
    looks = f'until pool=$({ASK_FOR_POOL}) && ! grep -qxF {server} <<< "$pool"; do sleep 0.1; done'
    inside(kit, balancer, f"timeout {within_s} bash -c {shlex.quote(looks)}", timeout_s=within_s + 30)


def registered(kit: Kit, machine: str, key: str) -> bool:
    return inside(kit, machine, f"ETCDCTL_API=3 etcdctl get --print-value-only {key}").strip() != ""


@contextmanager
def no_failed_get(address: str) -> Iterator[None]:
    """Send requests all the while; none fails."""
    with load(Aim(address, new_per_s=20, kept_per_s=20, clients=4)) as running:
        yield
        report = running.end()
    assert report.failures == (), str(report)
    assert report.sent > 20


def status_of(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_backend_whose_container_is_killed_leaves_the_pool_and_comes_back_by_itself(
    kit: Kit, machine: str, balancer: str, server: str, site_address: str
) -> None:
    with no_failed_get(site_address):
        inside(kit, machine, "docker kill apache.7777")
        wait_until_dropped(kit, balancer, server, within_s=RENEW_S + 1)
        wait_for(lambda: server in pool(kit, balancer), within_s=40)

    assert kit("verify", "--wait", "20")


@pytest.fixture
def _on_a_member(kit: Kit) -> None:
    """Have the instance on a machine whose etcd may lead: of a lab's machines three are its members."""
    machine = kit.machine_of(UNIT)
    if machine not in read_lab(kit.lab).etcd_members:
        kit("drain", machine, "--yes")
        kit("uncordon", machine)


@pytest.mark.usefixtures("_on_a_member")
@pytest.mark.parametrize(
    ("leads", "within_s"),
    [
        pytest.param(False, TTL_S + 1, id="a follower of etcd"),
        pytest.param(True, TTL_S + 5, id="etcd's leader", marks=pytest.mark.campaign),
    ],
)
def test_a_machine_that_is_cut_off_leaves_the_pool_within_its_ttl_and_comes_back_by_itself(
    kit: Kit, machine: str, balancer: str, server: str, site_address: str, leads: bool, within_s: float
) -> None:
    give_the_lead(kit, machine if leads else next(name for name in machines(kit) if name != machine))

    with cut_off(kit, machine):
        wait_for(lambda: server not in pool(kit, balancer), within_s=within_s + LOOK_S)
        with no_failed_get(site_address):
            verdict = kit("verify", "--json", code=4).json

    links = next(chain["links"] for chain in verdict["chains"] if chain["unit"] == UNIT)
    assert {link["state"] for link in links} == {"unknown"}
    assert links[0]["seen"] == f"it stands on no machine that can be seen; {machine} can't be"
    wait_for(lambda: server in pool(kit, balancer), within_s=20)
    kit("verify", "--wait", "20")


def give_the_lead(kit: Kit, machine: str) -> None:
    """Move etcd's lead to a machine that is a member."""
    asked = "ETCDCTL_API=3 etcdctl endpoint status --write-out=json"
    if etcd_leader(kit) == machine:
        return
    member = json.loads(inside(kit, machine, asked))[0]["Status"]["header"]["member_id"]
    inside(kit, etcd_leader(kit), f"ETCDCTL_API=3 etcdctl move-leader {member:x}")
    wait_for(lambda: etcd_leader(kit) == machine, within_s=10)
    time.sleep(RENEW_S + 2)  # a new leader gives every lease its whole time again


def test_the_site_does_not_notice_that_etcds_leader_is_killed(
    kit: Kit, balancer: str, site_address: str
) -> None:
    before = pool(kit, balancer)

    with no_failed_get(site_address):
        with etcd_leader_killed(kit):
            time.sleep(3)
        for _ in range(5):
            assert pool(kit, balancer) == before
            time.sleep(1)

    kit("verify", "--wait", "20")


def test_the_site_serves_on_while_etcd_is_stopped_everywhere_and_loses_nothing_when_it_is_back(
    kit: Kit, balancer: str, site_address: str
) -> None:
    before = pool(kit, balancer)

    with no_failed_get(site_address):
        with etcd_stopped(kit):
            began = time.monotonic()
            verdict = kit("verify", "--json", code=4).json
            time.sleep(max(0.0, 20 - (time.monotonic() - began)))
        for _ in range(RENEW_S + 5):
            assert pool(kit, balancer) == before
            time.sleep(1)

    states = {link["state"] for chain in verdict["chains"] for link in chain["links"]}
    assert states == {"ok", "unknown"}
    assert verdict["ok"] is False
    kit("verify", "--wait", "20")


def test_without_any_backend_a_living_nginx_answers_503_and_the_first_one_back_is_served_within_a_second(
    kit: Kit, machine: str, site_address: str
) -> None:
    other = kit.machine_of("apache@8888.service")
    inside(kit, other, "systemctl stop apache@8888.service")
    time.sleep(SETTLED_S)
    inside(kit, machine, f"systemctl stop {UNIT}")
    try:
        wait_for(lambda: status_of(site_address) == 503, within_s=20)
        assert [status_of(site_address) for _ in range(20)] == [503] * 20

        inside(kit, machine, f"systemctl start --no-block {UNIT} apache-discovery@7777.service")
        key = f"/services/apache/{kit.address_of(machine)}"
        inside(
            kit,
            machine,
            f"until ETCDCTL_API=3 etcdctl get {key} | grep -q .; do sleep 0.05; done",
            timeout_s=40,
        )
        wait_for(lambda: status_of(site_address) == 200, within_s=1, step_s=0.02)
    finally:
        inside(kit, other, "systemctl start apache@8888.service apache-discovery@8888.service")
        inside(kit, machine, f"systemctl start {UNIT} apache-discovery@7777.service")

    kit("verify", "--wait", "30")


def test_a_broken_include_put_in_by_hand_changes_nothing_is_said_and_is_over_when_it_is_taken_away(
    kit: Kit, machine: str, balancer: str, server: str, site_address: str
) -> None:
    by_hand = "/etc/nginx/conf.d/by-hand.conf"

    with no_failed_get(site_address):
        inside(kit, balancer, f"docker exec nginx_lb sh -c 'echo \"server {{ listen\" > {by_hand}'")
        try:
            wait_for(lambda: kit("verify", "--json", code=None).json["ghosts"], within_s=30)
            verdict = kit("verify", "--json", code=1).json
            inside(kit, machine, "docker kill apache.7777")  # the pool goes on changing
            wait_until_dropped(kit, balancer, server, within_s=RENEW_S + 1)
            wait_for(lambda: server in pool(kit, balancer), within_s=40)
        finally:
            inside(kit, balancer, f"docker exec nginx_lb rm {by_hand}")

    assert [ghost["kind"] for ghost in verdict["ghosts"]] == ["balancer-configuration"]
    assert "by-hand.conf" in verdict["ghosts"][0]["seen"]
    assert all(link["state"] == "ok" for chain in verdict["chains"] for link in chain["links"])
    kit("verify", "--wait", "30")


def test_a_registry_that_is_down_keeps_nothing_from_running_starting_or_being_deployed(
    kit: Kit, machine: str, site_address: str
) -> None:
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")

    with registry_down(kit), no_failed_get(site_address):
        kit("verify")
        planned = kit("plan")
        kit("deploy", "--yes")
        inside(kit, machine, f"systemctl restart {UNIT}")
        kit("verify", "--wait", "30")

    assert "can't be resolved" in planned.err + planned.out


@pytest.mark.parametrize("where", ["a backend's", pytest.param("the balancer's", marks=pytest.mark.campaign)])
def test_a_machine_that_reboots_by_itself_is_back_by_itself(kit: Kit, where: str) -> None:
    with rebooted(kit, kit.machine_of(UNIT if where == "a backend's" else BALANCER)):
        verdict = kit("verify", "--wait", "60", "--json").json

    assert verdict["ghosts"] == []
    assert kit("plan", "--json").json["changes"] == []


@pytest.mark.campaign
def test_a_machine_that_shuts_down_in_order_costs_no_request(
    kit: Kit, machine: str, site_address: str
) -> None:
    with no_failed_get(site_address), rebooted(kit, machine):
        kit("verify", "--wait", "60")


@pytest.mark.campaign
def test_an_sshd_that_hangs_makes_its_machine_unknown_and_holds_up_no_other(kit: Kit, machine: str) -> None:
    with hanging_sshd(kit, machine):
        shown = kit("machines", "--json", code=4)
        verdict = kit("verify", "--json", code=4).json
        refused = kit("deploy", "--yes", code=4)

    assert [entry["name"] for entry in shown.json["machines"] if entry["state"] != "ok"] == [machine]
    assert shown.seconds < 25
    states = {
        chain["unit"]: {link["link"]: link["state"] for link in chain["links"]} for chain in verdict["chains"]
    }
    assert states[UNIT]["unit"] == "unknown"
    assert states["apache@8888.service"]["unit"] == "ok"
    assert f"{machine} can't be looked at, so nothing was touched" in refused.err
    kit("verify")


@pytest.mark.campaign
@pytest.mark.parametrize("fault", [garbage, megabytes])
def test_a_machine_whose_systemctl_talks_nonsense_is_unknown_and_named(kit: Kit, machine: str, fault) -> None:
    with fault(kit, machine):
        verdict = kit("verify", "--json", code=4).json
        refused = kit("deploy", "--yes", code=4)

    assert "ok" not in {
        link["state"]
        for chain in verdict["chains"]
        for link in chain["links"]
        if chain["unit"] == UNIT and link["link"] in ("unit", "container")
    }
    assert machine in refused.err
    assert "Traceback" not in refused.err
    kit("verify")


@pytest.mark.campaign
def test_a_clock_that_is_an_hour_off_changes_nothing(kit: Kit, machine: str) -> None:
    with wrong_clock(kit, machine):
        inside(kit, machine, "systemctl restart apache-discovery@7777.service")
        verdict = kit("verify", "--wait", "20", "--json").json
        assert kit("plan", "--json").json["changes"] == []
        time.sleep(RENEW_S + 2)
        kit("verify")

    assert verdict["ghosts"] == []


@pytest.mark.campaign
def test_a_machine_that_is_down_is_refused_skipped_evacuated_and_cleared_when_it_is_back(
    kit: Kit, machine: str
) -> None:
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")
    other, spare = kit.machine_of("apache@8888.service"), spare_of(kit)
    stood = text_of(kit, other, "apache@8888.service")

    with without_power(kit, machine):
        refused = kit("deploy", "--yes", code=4)
        assert f"{machine} can't be looked at, so nothing was touched" in refused.err
        assert text_of(kit, other, "apache@8888.service") == stood

        skipped = kit("deploy", "--yes", "--skip", machine, "--allow-downtime", "--json")
        assert "EDITED=yes" in text_of(kit, other, "apache@8888.service")
        assert UNIT not in {change["unit"] for change in skipped.json["changes"]}
        assert machine in skipped.err

        kit("deploy", "--yes", "--evacuate", machine)
        assert kit.machine_of(UNIT) == spare

    assert "unit-twice" in {ghost["kind"] for ghost in kit("verify", "--json", code=1).json["ghosts"]}
    removed = kit("deploy", "--yes", "--json").json["changes"]
    assert {(change["verb"], change["machine"]) for change in removed} == {("remove", machine)}
    assert inside(kit, machine, f"ls {UNITS}/*apache* 2> /dev/null; docker ps --all --quiet") == ""
    kit("verify", "--wait", "40")


def spare_of(kit: Kit) -> str:
    listed = kit("machines", "--json").json["machines"]
    return next(str(entry["name"]) for entry in listed if entry["units"] == 0)


def text_of(kit: Kit, machine: str, unit: str) -> str:
    return inside(kit, machine, f"cat {UNITS}/{unit}")
