"""The fleet driver on a real fleet keeps the promises of `ports.ClusterDriver`."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.ssh import open_machines
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import KitError
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Change, ClusterDriver
from tests.contracts.driver_suite import *  # noqa: F403 - the suite
from tests.contracts.driver_suite import name, text_of
from tests.lab.lab_cluster import on_a_lab

FLEET = os.environ.get("COREOS_KIT_FLEET_BIN", "")

pytestmark = [
    pytest.mark.real_fleet,
    pytest.mark.skipif(not FLEET, reason="COREOS_KIT_FLEET_BIN names no folder with fleetd and fleetctl"),
]


@pytest.fixture(scope="module")
def opened() -> Iterator[ClusterDriver]:
    with on_a_lab("contract-fleet", "coreos", "--fleet", FLEET) as (cluster, runners):
        systemd = SystemdDriver(cluster, runners)
        yield FleetDriver(systemd, Gateway(cluster.name, runners), lambda entry: None)


def test_machines_that_only_fleet_names_are_reached_through_the_one_that_is_configured(
    opened: FleetDriver,
) -> None:
    cluster = opened.machines.cluster
    known = replace(cluster, machines=cluster.machines[:1])
    with open_machines(known.machines) as machines:
        runners = {entry.name: machines.runner(entry.name) for entry in known.machines}

        def join(entry: MachineEntry) -> None:
            runners[entry.name] = machines.join(entry)

        systemd = SystemdDriver(known, runners)
        seen = FleetDriver(systemd, Gateway(cluster.name, runners), join).observe([])

        addresses = {entry.private_ip for entry in cluster.machines[1:]}
        assert set(seen.machines) == {cluster.machines[0].name, *addresses}
        assert {machine.machine_id for machine in seen.machines.values()} == {
            machine.machine_id for machine in opened.observe([]).machines.values()
        }
        assert runners[min(addresses)].run(["hostname"]).text.strip() == "core-2"


def test_as_many_units_as_fleet_takes_long_to_forget_are_waited_for(driver: FleetDriver) -> None:
    names = tuple(name(f"kitmany{number}.service") for number in range(24))
    started = driver.apply(Change("core-1", write={unit: text_of("kitmany") for unit in names}, start=names))
    began = time.monotonic()

    removed = driver.apply_all([Change("core-1", stop=names, remove=names)], timeout_s=15)["core-1"]

    print(f"{len(names)} units were gone after {time.monotonic() - began:.0f} s")
    assert {outcome.active_state for outcome in started} == {"active"}
    assert not isinstance(removed, KitError), removed
    assert {outcome.active_state for outcome in removed} == {"inactive"}
