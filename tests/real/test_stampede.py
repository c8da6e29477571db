"""All registrations vanish at once; what still takes connections goes on being served."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Backend, RealBalancer, RealEtcd

pytestmark = pytest.mark.real


def _key(backend: Backend) -> str:
    return f"/services/apache/{backend.address.partition(':')[0]}"


class Cluster:
    """Backends on machines of their own (addresses of loopback), registered in etcd."""

    def __init__(self, etcd: RealEtcd, api: str, backends: list[Backend]) -> None:
        self._etcd, self._api, self.backends = etcd, api, backends
        self.addresses = sorted(backend.address for backend in backends)

    def register(self, backend: Backend) -> None:
        self._etcd.put(self._api, _key(backend), backend.address)

    def deregister(self, backend: Backend) -> None:
        self._etcd.delete(self._api, _key(backend))


@pytest.fixture
def cluster(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[..., Backend], eventually
) -> Cluster:
    """Give three backends that are in the balancer's pool."""
    three = Cluster(real_etcd, api, [backends(f"127.0.0.{number}") for number in (11, 12, 13)])
    for backend in three.backends:
        three.register(backend)
    eventually(lambda: balancer.servers() == three.addresses)
    return three


class Load:
    """One client that asks all the time."""

    def __init__(self, balancer: RealBalancer) -> None:
        self.codes: list[int] = []
        self._balancer = balancer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            self.codes.append(self._balancer.get()[0])


def test_overload_that_fails_every_check_at_once_fails_no_request(
    balancer: RealBalancer, cluster: Cluster, eventually
) -> None:
    with Load(balancer) as load:
        first, second, third = cluster.backends
        cluster.deregister(first)  # what their sidekicks do
        eventually(lambda: balancer.servers() == cluster.addresses[1:])
        cluster.deregister(second)
        eventually(lambda: balancer.state()["held"] == cluster.addresses[:2])
        cluster.deregister(third)
        eventually(lambda: balancer.state()["held"] == cluster.addresses)
        time.sleep(4)  # longer than a renewal and its hold: they are kept because they take connections

        assert balancer.servers() == cluster.addresses
        assert balancer.show()["stampede"] is True

        for backend in cluster.backends:
            cluster.register(backend)
        eventually(lambda: balancer.show()["held"] == [])

    assert set(load.codes) == {200}
    assert balancer.servers() == cluster.addresses
    said = [line for line in balancer.said() if "stampede" in line]
    assert [line.partition("] ")[2] for line in said] == [
        "a stampede: 2 servers left etcd and 1 stayed; those that take connections are kept",
        "the stampede is over",
    ]


def test_every_backend_gone_is_503_within_a_second_and_the_first_one_back_is_served_as_soon(
    balancer: RealBalancer, cluster: Cluster, eventually
) -> None:
    for backend in cluster.backends:
        backend.kill()
        cluster.deregister(backend)

    eventually(lambda: balancer.get()[0] == 503, within_s=1)
    eventually(lambda: balancer.servers() == [], within_s=1)

    first = cluster.backends[0]
    first.revive()
    cluster.register(first)
    eventually(lambda: balancer.get() == (200, first.address), within_s=1)


def test_backends_that_are_drained_and_stopped_one_after_the_other_leave_at_once(
    balancer: RealBalancer, cluster: Cluster, eventually
) -> None:
    left = list(cluster.addresses)
    for backend in cluster.backends:
        cluster.deregister(backend)
        left.remove(backend.address)
        eventually(lambda: balancer.servers() == left, within_s=1)
        backend.kill()
        time.sleep(2.2)  # until it is seen to be down, which is looked at every second; its window is three

    assert balancer.get()[0] == 503
    assert not [line for line in balancer.said() if "stampede" in line]


def test_a_rolling_deploy_of_two_never_holds_the_one_that_is_drained(
    balancer: RealBalancer, cluster: Cluster, eventually
) -> None:
    cluster.deregister(cluster.backends[2])
    cluster.backends[2].kill()
    two = cluster.backends[:2]
    eventually(lambda: len(balancer.servers()) == 2)

    with Load(balancer) as load:
        for backend in two:
            cluster.deregister(backend)
            eventually(lambda: backend.address not in balancer.servers(), within_s=1)  # noqa: B023
            time.sleep(0.1)
            backend.kill()
            backend.revive()
            cluster.register(backend)
            eventually(lambda: len(balancer.servers()) == 2, within_s=1)

    assert set(load.codes) == {200}
    assert not [line for line in balancer.said() if "stampede" in line]


def test_an_etcd_that_comes_back_empty_fails_no_request(
    balancer: RealBalancer, real_etcd: RealEtcd, cluster: Cluster, eventually
) -> None:
    with Load(balancer) as load:
        real_etcd.stop()
        shutil.rmtree(real_etcd.data / "etcd")
        real_etcd.start()
        eventually(lambda: balancer.show()["etcd"] == "connected", within_s=10)
        time.sleep(5)  # longer than etcd's return is waited for

        assert balancer.servers() == cluster.addresses

    assert set(load.codes) == {200}
