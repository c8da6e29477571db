"""Which machine fleet is asked on, and how long while its etcd has no leader."""

from base64 import b64encode
from collections.abc import Callable

import pytest

from coreos_kit.adapters.fleet.gateway import ELECTION_S, Gateway
from coreos_kit.errors import Unreachable
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.runner import Answer, FakeRunner

WITHOUT_ETCD = """\
Error retrieving list of active machines from fleet API (googleapi: Error 503: fleet server unable to ...)
Possible issues:
  etcd is unhealthy and/or lost quorum
  connection cannot be established to any etcd servers
"""  # what a fleetctl 1.0.0 said on the lab
WITHOUT_DAEMON = (
    'Error retrieving list (Get "http://domain-sock/": dial unix /var/run/fleet.sock: connect: refused)\n'
)
ANSWER = b"fleetctl 1.0.0\nend\n"


def failed(said: str) -> bytes:
    return f"fleetctl 1.0.0\nfailed machines {b64encode(said.encode()).decode()}\nend\n".encode()


def gateway(clock: FakeClock, says: Callable[[str], bytes]) -> Gateway:
    runners = {
        name: FakeRunner(name, {"bash": lambda _args, _stdin, name=name: Answer(stdout=says(name))})  # type: ignore[misc]
        for name in ("core-1", "core-2")
    }
    return Gateway("lab", runners, clock.now, clock.sleep)


def test_the_machine_that_answered_is_asked_first_the_next_time() -> None:
    asked: list[str] = []

    def says(name: str) -> bytes:
        asked.append(name)
        return ANSWER if name == "core-2" else failed(WITHOUT_DAEMON)

    door = gateway(FakeClock(), says)

    assert [door.ask("", (), b"", 1)[0] for _ in range(2)] == ["core-2", "core-2"]
    assert asked == ["core-1", "core-2", "core-2"]


def test_an_election_of_etcd_is_waited_for() -> None:
    clock = FakeClock()
    door = gateway(clock, lambda _name: ANSWER if clock.now() >= 3 else failed(WITHOUT_ETCD))

    assert door.ask("", (), b"", 1)[0] == "core-1"
    assert clock.now() == 3


def test_an_etcd_that_stays_away_is_given_up_and_named() -> None:
    clock = FakeClock()
    door = gateway(clock, lambda _name: failed(WITHOUT_ETCD))

    with pytest.raises(Unreachable) as raised:
        door.ask("", (), b"", 1)

    assert clock.now() == ELECTION_S
    assert raised.value.details == tuple(
        f"{name}: {WITHOUT_ETCD.splitlines()[0]}" for name in ("core-1", "core-2")
    )
    assert "etcdctl cluster-health" in raised.value.hint


def test_a_daemon_that_is_down_is_not_waited_for() -> None:
    clock = FakeClock()
    door = gateway(clock, lambda _name: failed(WITHOUT_DAEMON))

    with pytest.raises(Unreachable) as raised:
        door.ask("", (), b"", 1)

    assert clock.now() == 0
    assert "systemctl status fleet" in raised.value.hint
