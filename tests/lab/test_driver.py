"""The systemd driver on real machines keeps the promises of `ports.ClusterDriver`."""

from collections.abc import Iterator

import pytest

from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.ports import ClusterDriver
from tests.contracts.driver_suite import *  # noqa: F403 - the suite
from tests.lab.lab_cluster import on_a_lab


@pytest.fixture(scope="module")
def opened() -> Iterator[ClusterDriver]:
    with on_a_lab("contract", "debian") as (cluster, runners):
        yield SystemdDriver(cluster, runners)
