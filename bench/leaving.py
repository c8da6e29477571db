"""How soon what is dead has left the pool, and what that costs those who send requests meanwhile."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.budgets import GONE, GONE_LEADER, KILLED, Budget
from bench.etcd import Etcd, make_leader
from bench.pool import BALANCER, PoolWatch, watched_pool
from bench.processes import RUNS
from bench.row import Figure, Row, Statistic, Unit
from bench.site import Site
from coreos_kit.adapters.nspawn.lab import NspawnLab
from tests.lab.load import Aim, load

TTL_S = 30  # of the example, as is RENEW_S
RENEW_S = 10
PATIENCE_S = 120
INSTANCES = ("7777", "8888")
_KILL = 'date +%s.%N; docker kill "$1" > /dev/null'


def measure(site: Site) -> Iterator[Row]:
    """Kill a container under load; then cut machines off, one that leads etcd among them."""
    with watched_pool(site) as watch:
        yield _killed(site, watch)
        yield _gone(site, watch, GONE, TTL_S + 1, _another)
        yield _gone(site, watch, GONE_LEADER, TTL_S + 5, _itself)


def _killed(site: Site, watch: PoolWatch) -> Row:
    aim = Aim(
        site.public_address_of(site.machine_of(f"{BALANCER}.service")),
        new_per_s=50,
        kept_per_s=50,
        clients=10,
    )
    left, failed, sent = [], [], 0
    machine = site.machine_of("apache@7777.service")
    server = f"{site.address_of(machine)}:7777"
    for _ in range(RUNS):
        site.becomes_whole()
        with load(aim) as sending:
            sending.reaches(100)
            killed = float(site.script(machine, _KILL, "apache.7777"))
            left.append(watch.wait_without(server, killed, PATIENCE_S))
            watch.wait_with(server, killed + left[-1], PATIENCE_S)
            report = sending.end()
        failed.append(float(report.failed))
        sent += report.sent
    return Row(
        KILLED.what,
        KILLED.must,
        (
            Figure("docker kill → out of the pool", Unit.SECONDS, tuple(left), RENEW_S + 1),
            Figure("failed GETs until it was in again", Unit.COUNT, tuple(failed), 0, Statistic.MOST),
        ),
        guide=KILLED.guide,
        how=f"{sent:,} requests at 100/s, half of them on 10 kept connections; no client retries",
    )


Leader = Callable[[str, Iterable[str]], str]
"""Who of etcd's members is to lead when a machine goes."""


def _itself(machine: str, members: Iterable[str]) -> str:
    del members
    return machine


def _another(machine: str, members: Iterable[str]) -> str:
    return next(name for name in members if name != machine)


def _gone(site: Site, watch: PoolWatch, budget: Budget, limit_s: float, leader: Leader) -> Row:
    left, cables = [], NspawnLab()
    for _ in range(RUNS):
        site.becomes_whole()
        machine, server = _victim(site)
        members = {name: Etcd(site.address_of(name)) for name in site.lab.etcd_members}
        make_leader(list(members.values()), members[leader(machine, members)])
        cut = time.time()  # in this process, or a command's start-up would be in the figure
        cables.cut(machine, site.lab.name)
        try:
            left.append(watch.wait_without(server, cut, PATIENCE_S))
        finally:
            cables.heal(machine, site.lab.name)
    site.becomes_whole()
    return Row(
        budget.what,
        budget.must,
        (Figure("cut off → out of the pool", Unit.SECONDS, tuple(left), limit_s),),
        how="its network is unplugged, from the moment before",
    )


def _victim(site: Site) -> tuple[str, str]:
    """Return a machine that has a backend and a member of etcd, and the backend's address."""
    places: Sequence[tuple[str, str]] = [(site.machine_of(f"apache@{n}.service"), n) for n in INSTANCES]
    machine, instance = next(place for place in places if place[0] in site.lab.etcd_members)
    return machine, f"{site.address_of(machine)}:{instance}"
