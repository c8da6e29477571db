"""Planning by the thousand: how the work grows, in calls of functions and not in seconds."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.planning import PlanOptions, change_of, plan
from coreos_kit.testing.cluster import FakeCluster

Scenario = Callable[[int], Callable[[], object]]


def desired(count: int, body: str = "1") -> list[DesiredUnit]:
    marks = "[X-CoreosKit]\nProject=web\nService=web\n"
    text = f"[Service]\nExecStart=/bin/sleep {body}\n{marks}"
    return [DesiredUnit(UnitName.parse(f"web@{n}.service"), text, "web", UnitKind.MAIN) for n in range(count)]


def cluster_of(machines: int) -> Cluster:
    entries = tuple(MachineEntry(f"core-{n}", f"core@192.0.2.{n}") for n in range(machines))
    return Cluster("lab", PROFILES["debian"], DriverKind.SYSTEMD, entries, (), ())


def deployed(count: int) -> tuple[Cluster, FakeCluster]:
    cluster = cluster_of(count // 4)
    fake = FakeCluster(cluster)
    made = plan("web", cluster, desired(count), fake.observe([]))
    for name, text in made.environments.items():
        fake.machines[name].environment = text
    for step in (step for wave in made.waves for step in wave):
        fake.apply(change_of(step))
    return cluster, fake


def fresh(count: int) -> Callable[[], object]:
    cluster = cluster_of(count // 4)
    observed = FakeCluster(cluster).observe([])
    return lambda: plan("web", cluster, desired(count), observed)


def all_changed(count: int) -> Callable[[], object]:
    cluster, fake = deployed(count)
    observed = fake.observe([])
    return lambda: plan("web", cluster, desired(count, body="2"), observed)


def half_removed(count: int) -> Callable[[], object]:
    cluster, fake = deployed(count)
    observed = fake.observe([])
    return lambda: plan("web", cluster, desired(count // 2), observed)


def half_evacuated(count: int) -> Callable[[], object]:
    cluster, fake = deployed(count)
    observed = fake.observe([])
    leaving = frozenset(list(observed.machines)[: count // 8])
    return lambda: plan("web", cluster, desired(count), observed, PlanOptions(evacuate=leaving))


def calls(action: Callable[[], object]) -> int:
    """Count the calls of functions written in Python."""
    counted = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize("scenario", [fresh, all_changed, half_removed, half_evacuated])
def test_four_times_the_units_are_about_four_times_the_work(scenario: Scenario) -> None:
    few, many = calls(scenario(200)), calls(scenario(800))

    assert many < 6 * few
