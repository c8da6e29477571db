"""Etcd, Nginx and the watcher go away and come back; what serves goes on serving."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Backend, RealBalancer, RealEtcd

pytestmark = pytest.mark.real
KEY = "/services/apache/127.0.0.1"


def test_the_pool_outlives_etcd_and_what_is_gone_leaves_after_one_renewal(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    stays, goes = backends(), backends()
    real_etcd.put(api, f"{KEY}1", stays.address)
    real_etcd.put(api, f"{KEY}2", goes.address)
    eventually(lambda: len(balancer.servers()) == 2)
    real_etcd.stop()
    eventually(lambda: str(balancer.show()["etcd"]).startswith("unreachable since "), within_s=10)
    assert len(balancer.servers()) == 2
    time.sleep(1.2)  # longer than RENEW_S: a shorter outage costs nobody his key, and is not waited for

    real_etcd.start()
    real_etcd.delete(api, f"{KEY}2")
    eventually(lambda: balancer.state()["held"] == [goes.address])
    back = time.monotonic()

    assert len(balancer.servers()) == 2
    eventually(lambda: balancer.servers() == [stays.address])
    assert 1.5 <= time.monotonic() - back <= 4.5  # RENEW_S + 2 s, seen with some delay

    real_etcd.delete(api, f"{KEY}1")
    eventually(lambda: balancer.get()[0] == 503, within_s=1)


def test_a_pool_that_nginx_forgot_is_given_again_within_a_second(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.get()[0] == 200)

    balancer.tell_nginx([])

    eventually(lambda: balancer.get() == (200, backend.address), within_s=1)


def test_a_disk_that_can_not_be_written_is_said_and_the_pool_goes_on_changing(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    (balancer.root / "var/lib/coreos-kit/pool.new").mkdir()  # where the file would be staged

    real_etcd.put(api, KEY, backend.address)

    eventually(lambda: balancer.get() == (200, backend.address))
    (balancer.hand_written / "conf.d/by-hand.conf").write_text("")  # the loop turns fast while that is tested
    eventually(lambda: balancer.show()["generation"] == "2", within_s=8)
    assert len([line for line in balancer.said() if "pool is not written: Is a directory" in line]) == 1


def test_a_disk_that_can_be_written_again_gets_what_it_has_missed(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    pool, staged = balancer.root / "var/lib/coreos-kit/pool", balancer.root / "var/lib/coreos-kit/pool.new"
    staged.mkdir()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.get() == (200, backend.address))
    assert pool.read_text() == ""

    staged.rmdir()

    eventually(lambda: pool.read_text() == f"{backend.address}\n", within_s=2)


def test_what_the_watcher_can_not_write_down_is_not_told_as_it_was(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, eventually
) -> None:
    eventually(lambda: balancer.show()["etcd"] == "connected")
    staged = balancer.root / "run/coreos-kit/state.json.new"
    staged.mkdir()
    real_etcd.stop()
    eventually(lambda: any("etcd can't be read" in line for line in balancer.said()))

    eventually(lambda: balancer.try_show().returncode == 1)
    assert "nothing is known of the watcher: " in balancer.try_show().stderr

    staged.rmdir()
    eventually(lambda: str(balancer.show()["etcd"]).startswith("unreachable since "), within_s=2)


def test_the_reason_why_etcd_can_not_be_read_is_the_one_of_now(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, eventually
) -> None:
    real_etcd.stop()
    eventually(lambda: "Connection refused" in str(balancer.show()["etcd_problem"]))
    since = balancer.show()["etcd"]

    with socket.create_server((real_etcd.host, real_etcd.port)):  # takes connections, and says nothing
        eventually(lambda: balancer.show()["etcd_problem"] == "timed out", within_s=10)

    assert balancer.show()["etcd"] == since
    assert len([line for line in balancer.said() if "etcd can't be read" in line]) == 1


def test_a_nginx_that_dies_ends_the_container(balancer: RealBalancer, api: str) -> None:
    os.kill(balancer.nginx_pid(), signal.SIGKILL)

    assert balancer.process.wait(10) == 1


def test_sigterm_ends_nginx_and_the_watcher_within_two_seconds(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    nginx = balancer.nginx_pid()

    start = time.monotonic()
    code = balancer.stop()

    assert (code, time.monotonic() - start < 2.0) == (0, True)
    with pytest.raises(ProcessLookupError):
        os.kill(nginx, 0)


def test_after_a_restart_the_last_pool_serves_before_etcd_answers(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.servers() == [backend.address])
    balancer.stop()
    real_etcd.stop()

    balancer.start()

    assert balancer.get() == (200, backend.address)
    assert balancer.servers() == [backend.address]


def test_a_killed_container_starts_again(balancer: RealBalancer, api: str, eventually) -> None:
    os.kill(balancer.nginx_pid(), signal.SIGKILL)  # leaves its socket behind
    balancer.process.wait(10)

    balancer.start()

    assert balancer.servers() == []


def test_a_broken_file_put_there_by_hand_is_said_and_changes_nothing_until_it_is_mended(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    by_hand = balancer.hand_written / "conf.d/by-hand.conf"

    by_hand.write_text("add_header X-By-Hand yes")
    eventually(lambda: "by-hand.conf" in balancer.show()["configuration_problem"], within_s=8)
    assert balancer.get()[0] == 503
    assert balancer.show()["generation"] == "1"

    by_hand.write_text("add_header X-By-Hand yes always;")
    eventually(lambda: balancer.show()["generation"] != "1", within_s=8)
    assert balancer.show()["configuration_problem"] == ""
    assert "X-By-Hand" in balancer.headers()


def test_a_healthy_balancer_runs_what_its_files_say(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend]
) -> None:
    assert (balancer.show()["configuration_problem"], balancer.show()["configuration_differs"]) == ("", [])


def test_a_file_that_is_not_as_nginx_runs_it_is_named(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    live = balancer.root / "var/lib/coreos-kit/generations/1/nginx.conf"
    by_hand = balancer.hand_written / "conf.d/by-hand.conf"

    live.write_text(f"# edited\n{live.read_text()}")
    by_hand.write_text("add_header X-By-Hand yes always;")

    assert balancer.show()["configuration_differs"] == ["generation 1/nginx.conf", "conf.d/by-hand.conf"]
    eventually(lambda: balancer.show()["configuration_differs"] == [], within_s=8)
    assert balancer.show()["generation"] == "2"


def test_what_passes_the_test_and_fails_the_reload_is_taken_back(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    taken = backends().address  # nginx -t does not mind a port that is in use
    (balancer.hand_written / "conf.d/by-hand.conf").write_text(f"server {{ listen {taken}; }}")

    balancer.process.send_signal(signal.SIGHUP)

    eventually(lambda: "did not take it" in balancer.show()["configuration_problem"], within_s=10)
    assert balancer.show()["generation"] == "1"
    assert (balancer.root / "var/lib/coreos-kit/generations/live").readlink().name == "1"
    assert balancer.get()[0] == 503


def test_a_container_starts_without_what_is_broken_by_hand(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    balancer.stop()
    balancer.forget_everything()
    (balancer.hand_written / "sites-enabled/by-hand").write_text("server { listen nonsense")

    balancer.start()

    eventually(lambda: balancer.get() == (200, backend.address))
    assert "sites-enabled/by-hand" in balancer.show()["configuration_problem"]


def test_sighup_takes_what_was_written_by_hand_and_keeps_the_pool(
    balancer: RealBalancer, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put(api, KEY, backend.address)
    eventually(lambda: balancer.get()[0] == 200)
    (balancer.hand_written / "conf.d/by-hand.conf").write_text("add_header X-By-Hand yes always;")

    balancer.process.send_signal(signal.SIGHUP)

    eventually(lambda: "X-By-Hand" in balancer.headers(), within_s=4)
    assert balancer.get() == (200, backend.address)


def test_an_unusable_environment_is_refused_with_everything_that_is_wrong(
    balancer: RealBalancer, api: str
) -> None:
    balancer.stop()
    balancer.environment.update(HOST_IP="etcd_1", POOL_NETWORK="", RENEW_S="10; reboot")
    before = len(balancer.said())

    code = balancer.run_to_its_end()

    assert code == 2
    assert [line.partition("not started: ")[2] for line in balancer.said()[before:]] == [
        'HOST_IP is "etcd_1"; it must be the address or the name that etcd answers on',
        "POOL_NETWORK is not set; it must be IPv4 networks like 192.0.2.0/24, comma separated",
        'RENEW_S is "10; reboot"; it must be whole seconds from 1 to 3600',
    ]
