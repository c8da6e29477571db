"""How long a driver waits for what it asks, beyond what the contract suite sees of it."""

from dataclasses import replace

import pytest

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import TimedOut, Unreachable
from coreos_kit.model.project import Cluster
from coreos_kit.ports import Change
from coreos_kit.testing.runner import Answer, FakeRunner
from tests.unit.test_planning import cluster_of, main

CHANGE = Change("core-1", stop=(main(7777).name,))


def slow(stop_timeout_s: int, drain_s: int) -> Cluster:
    """Return a cluster whose service takes that long to go."""
    cluster = cluster_of(1)
    (service,) = cluster.services
    assert service.registration is not None
    registration = replace(service.registration, drain_s=drain_s)
    return replace(
        cluster, services=(replace(service, stop_timeout_s=stop_timeout_s, registration=registration),)
    )


def silent() -> FakeRunner:
    return FakeRunner("core-1", {"bash": lambda args, stdin: Answer(hangs=True)})


@pytest.mark.parametrize(("stop_timeout_s", "drain_s"), [(600, 2), (10, 900)])
def test_a_change_has_as_long_as_its_units_may_take_to_drain_and_stop(
    stop_timeout_s: int, drain_s: int
) -> None:
    driver = SystemdDriver(slow(stop_timeout_s, drain_s), {"core-1": silent()})

    with pytest.raises(TimedOut) as caught:
        driver.apply(CHANGE)

    waited_s = int(str(caught.value).split()[-2])
    assert stop_timeout_s + drain_s < waited_s < stop_timeout_s + drain_s + 600


@pytest.mark.parametrize(("stop_timeout_s", "timeout_s", "waits_s"), [(600, 90, 602), (10, 90, 90)])
def test_fleet_is_given_as_long_for_a_unit_to_stop_as_it_may_take(
    stop_timeout_s: int, timeout_s: int, waits_s: int
) -> None:
    runners = {"core-1": silent()}
    machines = SystemdDriver(slow(stop_timeout_s, drain_s=2), runners)
    driver = FleetDriver(machines, Gateway("lab", runners), lambda entry: None)

    with pytest.raises(Unreachable) as caught:
        driver.apply_all([CHANGE], timeout_s=timeout_s)

    assert f"within {4 * waits_s + 300} s" in caught.value.details[0]
    assert runners["core-1"].log[-1][4:] == (str(waits_s), "start")
