"""What the systemd driver asks a machine, beyond what the contract suite sees of it."""

from dataclasses import replace

import pytest

from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import TimedOut
from coreos_kit.ports import Change
from coreos_kit.testing.runner import Answer, FakeRunner
from tests.unit.test_planning import cluster_of, main


@pytest.mark.parametrize(("stop_timeout_s", "drain_s"), [(600, 2), (10, 900)])
def test_a_change_has_as_long_as_its_units_may_take_to_drain_and_stop(
    stop_timeout_s: int, drain_s: int
) -> None:
    cluster = cluster_of(1)
    (service,) = cluster.services
    assert service.registration is not None
    slow = replace(
        service, stop_timeout_s=stop_timeout_s, registration=replace(service.registration, drain_s=drain_s)
    )
    machine = FakeRunner("core-1", {"bash": lambda args, stdin: Answer(hangs=True)})
    driver = SystemdDriver(replace(cluster, services=(slow,)), {"core-1": machine})

    with pytest.raises(TimedOut) as caught:
        driver.apply(Change("core-1", stop=(main(7777).name,)))

    waited_s = int(str(caught.value).split()[-2])
    assert stop_timeout_s + drain_s < waited_s < stop_timeout_s + drain_s + 600
