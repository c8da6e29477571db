"""The balancer under load, on real machines: how soon it follows etcd, and what its changes cost."""

import base64
import http.client
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import Kit
from tests.lab.load import KEPT, Aim, load

CLIENTS = 20
CHANGES = 20
WINDOW_S = 13  # what leaves at once is taken for a stampede, and stays in the pool while it takes connections


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Etcd:
    """etcd's keys through its JSON gateway, as somebody without the kit would change them."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:2379/v3/kv"

    def put(self, key: str, value: str) -> None:
        self._post("put", {"key": encoded(key), "value": encoded(value)})

    def delete(self, key: str) -> None:
        self._post("deleterange", {"key": encoded(key)})

    def _post(self, verb: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(f"{self.url}/{verb}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()


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


def test_pool_changes_cost_keep_alive_clients_that_never_retry_nothing(kit: Kit, balancer: str) -> None:
    machine = kit.machine_of("apache@7777.service")
    backend = kit.address_of(machine)
    etcd = Etcd(backend)
    key = "/services/apache/by-hand"
    aim = Aim(balancer, new_per_s=200, kept_per_s=600, clients=CLIENTS, longest_s=60)
    with held_out(kit, 7777), load(aim) as running:
        for change in range(CHANGES):
            if change % 2:
                etcd.delete(key)
            else:
                etcd.put(key, f"{backend}:7777")
            time.sleep(0.3)
        report = running.end()
        etcd.delete(key)
    print(f"over {CHANGES} changes: {report}")

    assert report.failures == ()
    assert report.served[KEPT] > 1000
