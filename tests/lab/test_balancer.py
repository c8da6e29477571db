"""The balancer under load, on real machines: how soon it follows etcd, and what its changes cost."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import Kit
from tests.lab.etcd import Etcd
from tests.lab.load import KEPT, Aim, load

CLIENTS = 20
CHANGES = 40
WINDOW_S = 13  # what leaves at once is taken for a stampede, and stays in the pool while it takes connections


def status_of(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def wait_for(address: str, status: int, deadline_s: float) -> float:
    """Ask until that status comes; return the seconds that it took."""
    started = time.monotonic()
    while time.monotonic() - started < deadline_s:
        if status_of(address) == status:
            return time.monotonic() - started
        time.sleep(0.005)
    raise AssertionError(f"{address} did not answer {status} within {deadline_s} s")


@pytest.fixture
def balancer(kit: Kit) -> str:
    return kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")


@contextmanager
def held_out(kit: Kit, *instances: int) -> Iterator[None]:
    """Let sidekicks deregister and hold out, so that the keys are ours to play with."""
    where = {
        f"apache-discovery@{n}.service": kit.machine_of(f"apache-discovery@{n}.service") for n in instances
    }
    for number, (unit, machine) in enumerate(where.items()):
        if number:
            time.sleep(WINDOW_S)
        kit.machine(machine, f"systemctl kill --kill-whom=main --signal=USR1 {unit}")
    try:
        yield
    finally:
        for unit, machine in where.items():
            kit.machine(machine, f"systemctl kill --kill-whom=main --signal=USR2 {unit}")


def test_a_first_registration_is_served_within_a_second(kit: Kit, balancer: str) -> None:
    backend = kit.address_of(kit.machine_of("apache@7777.service"))
    etcd = Etcd(backend)
    key = "/services/apache/by-hand"
    with held_out(kit, 7777, 8888):
        wait_for(balancer, 503, deadline_s=30)
        time.sleep(WINDOW_S)
        took = []
        for _ in range(20):
            etcd.put(key, f"{backend}:7777")
            took.append(wait_for(balancer, 200, deadline_s=10))
            etcd.delete(key)
            wait_for(balancer, 503, deadline_s=10)
    print(
        f"registration to served, ms: {sorted(took)[10] * 1000:.0f} median, {sorted(took)[18] * 1000:.0f} p95"
    )

    assert sorted(took)[18] <= 1.0


def test_forty_changes_of_the_upstream_list_lose_none_of_ten_thousand_requests(
    kit: Kit, balancer: str
) -> None:
    machine = kit.machine_of("nginx_lb.service")
    backend = kit.address_of(kit.machine_of("apache@7777.service"))
    etcd = Etcd(backend)
    key = "/services/apache/by-hand"
    aim = Aim(balancer, new_per_s=200, kept_per_s=600, clients=CLIENTS, longest_s=90)
    with held_out(kit, 7777), load(aim) as running:
        for change in range(CHANGES):
            if change % 2:
                etcd.delete(key)
            else:
                etcd.put(key, f"{backend}:7777")
            time.sleep(0.3)
        etcd.delete(key)
        changed = running.reaches(10_000)
        while changed.served[KEPT] <= 5000:  # which kind gets ahead, a busy workstation decides
            changed = running.reaches(changed.sent + 100)
        for _ in range(10):
            kit.machine(machine, "docker kill --signal HUP nginx_lb")
            time.sleep(0.3)
        reloaded = running.end().since(changed)
    print(f"\n{CHANGES} changes of the pool: {changed}")
    print(f"10 reloads of Nginx by hand: {reloaded}")

    assert changed.failures == ()
