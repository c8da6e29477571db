"""The fleet driver on a real fleet keeps the promises of `ports.ClusterDriver`."""

import os
from collections.abc import Iterator

import pytest

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.ports import ClusterDriver
from tests.contracts.driver_suite import *  # noqa: F403 - the suite
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
