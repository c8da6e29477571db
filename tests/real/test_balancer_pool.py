"""The pool follows etcd: quickly, without losing a request, and never beyond what etcd may say."""

from __future__ import annotations

import contextlib
import http.client
import socket
import statistics
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Backend, RealBalancer, RealEtcd

pytestmark = pytest.mark.real
KEY = "/services/apache/127.0.0.1"
DOWN_S = 5  # of pool.lua


def test_a_first_registration_is_served_within_a_second(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend]
) -> None:
    backend = backends()

    took = []
    for _ in range(20):
        real_etcd.put(api, KEY, backend.address)
        start = time.monotonic()
        while balancer.get()[0] != 200:
            time.sleep(0.002)
        took.append(time.monotonic() - start)
        real_etcd.delete(api, KEY)
        while balancer.get()[0] != 503:
            time.sleep(0.002)

    assert statistics.quantiles(took, n=20)[-1] <= 1.0


def test_twenty_keep_alive_clients_lose_no_request_over_twenty_changes(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    stays, comes_and_goes = backends(), backends()
    real_etcd.put(api, KEY, stays.address)
    eventually(lambda: balancer.servers() == [stays.address])
    stop, lost, done = threading.Event(), [], []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10)
        connection.auto_open = 0  # it would open another one by itself, and hide a loss
        with contextlib.closing(connection):
            connection.connect()
            while not stop.is_set():
                try:
                    connection.request("GET", "/")
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException) as error:
                    lost.append(repr(error))
                    return
                done.append(answer.status)
                time.sleep(0.01)

    clients = [threading.Thread(target=client) for _ in range(20)]
    for thread in clients:
        thread.start()
    for change in range(20):
        if change % 2:
            real_etcd.delete(api, f"{KEY}1")
        else:
            real_etcd.put(api, f"{KEY}1", comes_and_goes.address)
        both = 1 if change % 2 else 2
        eventually(lambda both=both: len(balancer.servers()) == both)  # two that come at once are one change
        time.sleep(0.1)
    stop.set()
    for thread in clients:
        thread.join()

    assert lost == []
    assert set(done) == {200}
    assert len(done) > 500
    assert comes_and_goes.requests
    assert len([line for line in balancer.said() if "pool: " in line]) == 22


def test_a_killed_backend_fails_no_request(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    lives, dies = backends(), backends()
    real_etcd.put(api, f"{KEY}1", lives.address)
    real_etcd.put(api, f"{KEY}2", dies.address)
    eventually(lambda: len(balancer.servers()) == 2)

    dies.kill()
    started = time.monotonic()
    answers = [balancer.get() for _ in range(50)]
    took_s = time.monotonic() - started

    assert set(answers) == {(200, lives.address)}
    # The one that refused is asked once in a while, not every second time.
    asked_in_vain = [line for line in balancer.log() if f"{dies.address}, {lives.address}" in line]
    assert 1 <= len(asked_in_vain) <= 1 + took_s / DOWN_S


def test_a_backend_that_failed_and_registers_anew_gets_its_turn_at_once(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    stays, returns = backends(), backends()
    real_etcd.put(api, f"{KEY}1", stays.address)
    real_etcd.put(api, f"{KEY}2", returns.address)
    eventually(lambda: len(balancer.servers()) == 2)
    returns.kill()
    assert {balancer.get()[1] for _ in range(4)} == {stays.address}

    real_etcd.delete(api, f"{KEY}2")
    eventually(lambda: len(balancer.servers()) == 1)
    returns.revive()
    real_etcd.put(api, f"{KEY}2", returns.address)
    eventually(lambda: len(balancer.servers()) == 2)

    assert {balancer.get()[1] for _ in range(2)} == {stays.address, returns.address}


def test_a_machine_that_does_not_even_refuse_costs_one_request_two_seconds(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    lives = backends()
    with contextlib.ExitStack() as sockets:
        silent = sockets.enter_context(socket.socket())
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(4):  # its queue is full, so the kernel drops what else comes
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        real_etcd.put(api, f"{KEY}1", lives.address)
        waited_for = f"127.0.0.1:{silent.getsockname()[1]}"
        real_etcd.put(api, f"{KEY}2", waited_for)
        eventually(lambda: len(balancer.servers()) == 2)

        started = time.monotonic()
        for _ in range(10):
            assert balancer.get() == (200, lives.address)
        took_s = time.monotonic() - started
        eventually(lambda: len(balancer.log()) >= 10)  # a request is logged when it has been answered

    # By Nginx's own clock, and told from a machine that is busy.
    times = [
        float(line.partition("Upstream Response Time: ")[2].partition(",")[0])
        for line in balancer.log()
        if f"passed to: {waited_for}, {lives.address}: " in line
    ]
    assert 1 <= len(times) <= 1 + took_s / (2 + DOWN_S)
    assert all(1.9 <= seconds <= 3.0 for seconds in times)


def test_servers_take_turns(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    three = [backends() for _ in range(3)]
    for number, backend in enumerate(three):
        real_etcd.put(api, f"{KEY}{number}", backend.address)
    eventually(lambda: len(balancer.servers()) == 3)

    answers = [balancer.get()[1] for _ in range(30)]

    assert sorted(answers) == sorted([backend.address for backend in three] * 10)


def test_without_backends_a_living_nginx_answers_503(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.get()[0] == 200)

    real_etcd.delete(api, KEY)
    eventually(lambda: balancer.get()[0] == 503)
    real_etcd.put(api, KEY, backend.address)

    eventually(lambda: balancer.get() == (200, backend.address))


def test_the_log_names_the_backend_in_the_guides_format(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.servers() == [backend.address])

    balancer.get("/page?nonce=1")

    said = f"127.0.0.1 passed to: {backend.address}: GET /page?nonce=1 HTTP/1.1 Upstream Response Time: 0."
    eventually(lambda: any(said in line and "Request time: 0." in line for line in balancer.log()))


@pytest.mark.parametrize(
    "hostile",
    [
        "1.2.3.4:80; } include /etc/passwd;",
        "127.0.0.1:80\n127.0.0.2:80",
        "127.0.0.1:80\r\nX-Generation: 7",
        "169.254.169.254:80",
        "198.51.100.1:80",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:080",
        "localhost:80",
        "\x1b[2J",
        "9" * 1_000_000,
    ],
)
def test_a_hostile_value_is_refused_and_the_others_serve(
    balancer: RealBalancer,
    real_etcd: RealEtcd,
    api: str,
    backends: Callable[[], Backend],
    eventually,
    hostile: str,
) -> None:
    backend = backends()

    real_etcd.put(api, f"{KEY}-hostile", hostile)
    real_etcd.put(api, KEY, backend.address)

    eventually(lambda: balancer.servers() == [backend.address])
    assert [refusal["key"] for refusal in balancer.show()["refused"]] == [f"{KEY}-hostile"]
    assert balancer.get() == (200, backend.address)
    assert all(line.isprintable() and len(line) < 1000 for line in balancer.said())


def test_nothing_is_said_while_nothing_changes(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: any(f"pool: +{backend.address} " in line for line in balancer.said()))
    said = balancer.said()

    for _ in range(10):  # renewals of a v2 sidekick
        real_etcd.put(api, KEY, backend.address)
        time.sleep(0.1)

    assert balancer.said() == said


@pytest.mark.parametrize("api", ["v3"])
def test_too_many_registrations_leave_the_pool_as_it_was(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.servers() == [backend.address])

    real_etcd.put_many("/services/apache/flood-", 4200)

    eventually(lambda: "registrations" in balancer.show()["etcd_problem"], within_s=10)
    assert balancer.servers() == [backend.address]
    assert balancer.get() == (200, backend.address)
