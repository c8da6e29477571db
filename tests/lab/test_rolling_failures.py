"""Releases that are ill, under load: the one that serves goes on, and comes back where it was touched."""

from collections.abc import Callable

import pytest

from tests.lab import editions
from tests.lab.conftest import Kit
from tests.lab.load import Aim, load

ENOUGH = 10_000


@pytest.fixture
def balancer(kit: Kit) -> str:
    editions.offer(kit)
    return kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")


def places(kit: Kit) -> set[tuple[str, str, str]]:
    """Return what runs where."""
    units = kit("status", "--json").json["units"]
    return {(unit["unit"], unit["machine"], unit["active_state"]) for unit in units}


@pytest.mark.parametrize(
    "choose_ill_one",
    [editions.choose_one_that_exits, editions.choose_one_that_answers_500],
    ids=["exits at once", "answers 500"],
)
def test_an_ill_release_is_put_back_and_the_old_one_serves_every_request(
    kit: Kit, balancer: str, choose_ill_one: Callable[[Kit], None]
) -> None:
    well = (kit.workspace / editions.CONFIG).read_text()
    before = places(kit)
    choose_ill_one(kit)

    with load(Aim(balancer)) as running:
        running.reaches(100)
        failed = kit("deploy", "--yes", "--timeout", "15", code=5)
        running.reaches(ENOUGH)
        report = running.end()

    print(f"\na release that is ill, {failed.seconds:.0f} s: {report}")
    assert report.failures == ()
    assert report.sent >= ENOUGH
    assert report.answers.keys() == {editions.PAGE}
    kit("verify", "--wait", "20")
    assert places(kit) == before
    told = kit("history", "--json").json["releases"][-1]
    assert told["outcome"] == "rolled back"
    assert "apache@" in told["error"]
    (kit.workspace / editions.CONFIG).write_text(well)
    assert kit("plan", "--json").json["changes"] == []
