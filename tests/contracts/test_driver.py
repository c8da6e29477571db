"""The driver in memory keeps the promises of `ports.ClusterDriver`; tests/lab has the real ones."""

import pytest

from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.ports import ClusterDriver
from coreos_kit.testing.cluster import FakeCluster
from tests.contracts.driver_suite import *  # noqa: F403 - the suite


@pytest.fixture
def opened() -> ClusterDriver:
    entries = tuple(MachineEntry(f"core-{n}", f"core-{n}") for n in (1, 2, 3))
    return FakeCluster(Cluster("contract", PROFILES["coreos"], DriverKind.FLEET, entries, (), ()))
