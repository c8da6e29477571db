"""Changing a running site under load: what the kit's way costs its clients, and what other ways do."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import editions
from tests.lab.conftest import Kit
from tests.lab.load import Aim, Report, load

ENOUGH = 10_000
REGISTRATION = "[services.apache.registration]"
APACHES = ("apache@7777.service", "apache@8888.service")


@pytest.fixture
def balancer(kit: Kit) -> str:
    editions.offer(kit)
    return kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")


def under_load(balancer: str, action: Callable[[], object], requests: int = ENOUGH) -> Report:
    """Do something while requests come; return how they went, so many of them at least."""
    with load(Aim(balancer)) as running:
        running.reaches(100)
        action()
        running.reaches(requests)
        return running.end()


def by_hand(kit: Kit, unit: str) -> None:
    """Stop and start a unit and its sidekick, as somebody who is logged in would."""
    sidekick = unit.replace("@", "-discovery@")
    kit.machine(kit.machine_of(unit), f"systemctl stop {unit}; systemctl start {unit} {sidekick}")


def one_after_the_other(kit: Kit) -> None:
    for unit in APACHES:
        by_hand(kit, unit)


def both_at_once(kit: Kit) -> None:
    """Stop both, and then start both: each on its machine, and nobody looks at the other."""
    machines = {unit: kit.machine_of(unit) for unit in APACHES}
    with ThreadPoolExecutor() as hands:
        for verb in ("stop", "start"):
            words = {unit: f"systemctl {verb} {unit} {unit.replace('@', '-discovery@')}" for unit in APACHES}
            list(hands.map(lambda unit: kit.machine(machines[unit], words[unit]), APACHES))  # noqa: B023


def test_a_rolling_change_and_its_rollback_lose_none_of_ten_thousand_requests_each(
    kit: Kit, balancer: str
) -> None:
    editions.choose(kit, 1)

    deployed = under_load(balancer, lambda: kit("deploy", "--yes"))
    went_back = under_load(balancer, lambda: kit("rollback", "--yes"))
    in_turn = under_load(balancer, lambda: one_after_the_other(kit), 4000)
    kit("verify", "--wait", "40")
    at_once = under_load(balancer, lambda: both_at_once(kit), 4000)

    print(f"\nthe kit's deploy: {deployed}")
    print(f"the kit's rollback: {went_back}")
    print(f"units stopped and started by hand, one after the other: {in_turn}")
    print(f"by hand, on both machines at once: {at_once}")
    for report in (deployed, went_back):
        assert report.failures == ()
        assert report.sent >= ENOUGH
        assert report.answers.keys() == {editions.PAGE, editions.page(1)}
    assert at_once.answers.keys() == {editions.PAGE}
    assert at_once.failed > 0  # else this load sees nothing, and the zeros above say nothing


def test_scaling_up_and_down_again_loses_none_of_ten_thousand_requests_each(kit: Kit, balancer: str) -> None:
    others = {unit: kit.machine_of(unit) for unit in APACHES}
    added, removed = list[dict[str, str]](), list[dict[str, str]]()

    def scale(count: int, changes: list[dict[str, str]]) -> None:
        kit("scale", "apache", str(count))
        changes += kit("deploy", "--yes", "--json").json["changes"]

    up = under_load(balancer, lambda: scale(3, added))
    down = under_load(balancer, lambda: scale(2, removed))

    print(f"\nscaled from two to three: {up}\nscaled from three to two: {down}")
    new = ["apache-discovery@8889.service", "apache@8889.service"]
    assert sorted(change["unit"] for change in added) == new
    assert {change["verb"] for change in added} == {"create"}
    assert sorted(change["unit"] for change in removed) == new
    assert {unit: kit.machine_of(unit) for unit in APACHES} == others
    for report in (up, down):
        assert report.failures == ()
        assert report.sent >= ENOUGH


def test_three_instances_changed_two_at_a_time_lose_none_of_ten_thousand_requests(
    kit: Kit, balancer: str
) -> None:
    kit("scale", "apache", "3")
    kit.edit(
        editions.CONFIG, REGISTRATION, f"[services.apache.rollout]\nmax_unavailable = 2\n\n{REGISTRATION}"
    )
    kit("deploy", "--yes")
    editions.choose(kit, 1)
    told = list[str]()

    report = under_load(balancer, lambda: told.append(kit("deploy", "--yes").err))

    print(f"\nthree instances, two at a time: {report}")
    out = re.findall(r"apache@(\d+)\.service: (held out|in the pool)", told[0])
    assert [stage for _, stage in out] == [
        "held out",
        "held out",
        "in the pool",
        "in the pool",
        "held out",
        "in the pool",
    ]
    assert report.failures == ()
    assert report.sent >= ENOUGH
    assert report.answers.keys() == {editions.PAGE, editions.page(1)}


def test_draining_a_machine_loses_none_of_ten_thousand_requests(kit: Kit, balancer: str) -> None:
    machine = kit.machine_of(APACHES[0])

    report = under_load(balancer, lambda: kit("drain", machine, "--yes"))

    print(f"\na machine drained: {report}")
    assert kit.machine_of(APACHES[0]) != machine
    assert kit.machine(machine, "docker ps --all --quiet") == ""
    assert report.failures == ()
    assert report.sent >= ENOUGH
    kit("uncordon", machine)
    kit("verify", "--wait", "20")
