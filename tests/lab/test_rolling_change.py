"""Changing a running site under load: what the kit's way costs its clients, and what other ways do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import editions
from tests.lab.conftest import Kit
from tests.lab.load import Aim, Load, Report, load

ENOUGH = 10_000
APACHES = ("apache@7777.service", "apache@8888.service")


@pytest.fixture
def balancer(kit: Kit) -> str:
    editions.offer(kit)
    return kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")


def by_hand(kit: Kit, unit: str) -> None:
    """Stop and start a unit and its sidekick, as somebody who is logged in would."""
    sidekick = unit.replace("@", "-discovery@")
    kit.machine(kit.machine_of(unit), f"systemctl stop {unit}; systemctl start {unit} {sidekick}")


def after(running: Load, before: Report, requests: int = ENOUGH) -> Report:
    """Wait until so many requests have come since a mark, and tell of them."""
    return running.reaches(before.sent + requests).since(before)


def test_a_rolling_change_of_both_apaches_loses_none_of_ten_thousand_requests(
    kit: Kit, balancer: str
) -> None:
    editions.choose(kit, 1)
    with load(Aim(balancer)) as running:
        start = running.reaches(100)
        deployed = kit("deploy", "--yes")
        rolled = after(running, start)

        begun = running.report()
        for unit in APACHES:
            by_hand(kit, unit)
        in_turn = after(running, begun, 4000)
        kit("verify", "--wait", "40")

        begun = running.report()
        with ThreadPoolExecutor() as hands:
            list(hands.map(lambda unit: by_hand(kit, unit), APACHES))
        at_once = after(running, begun, 4000)

    print(f"\nthe kit's deploy, {deployed.seconds:.0f} s: {rolled}")
    print(f"units stopped and started by hand, one after the other: {in_turn}")
    print(f"by hand, on both machines at once: {at_once}")
    assert rolled.failures == ()
    assert rolled.sent >= ENOUGH
    assert rolled.answers.keys() == {editions.PAGE, editions.page(1)}
    assert at_once.failed > 0  # else this load sees nothing, and the zero above says nothing


def test_scaling_up_and_down_again_loses_none_of_ten_thousand_requests_each(kit: Kit, balancer: str) -> None:
    others = {unit: kit.machine_of(unit) for unit in APACHES}
    with load(Aim(balancer)) as running:
        start = running.reaches(100)
        kit("scale", "apache", "3")
        added = kit("deploy", "--yes", "--json").json["changes"]
        up = after(running, start)

        begun = running.report()
        kit("scale", "apache", "2")
        removed = kit("deploy", "--yes", "--json").json["changes"]
        down = after(running, begun)

    print(f"\nscaled from two to three: {up}\nscaled from three to two: {down}")
    new = ["apache@8889.service", "apache-discovery@8889.service"]
    assert sorted(change["unit"] for change in added) == sorted(new)
    assert {change["verb"] for change in added} == {"create"}
    assert sorted(change["unit"] for change in removed) == sorted(new)
    assert {unit: kit.machine_of(unit) for unit in APACHES} == others
    assert up.failures == ()
    assert down.failures == ()
