"""How soon what starts is registered and served, and how soon a backend stops."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.budgets import FIRST_REGISTRATION, FIRST_REQUEST, STOP
from bench.etcd import Etcd
from bench.pool import BALANCER, wait_for_answer
from bench.processes import RUNS
from bench.row import Figure, Row, Statistic, Unit
from bench.site import Site

INSTANCES = ("7777", "8888")
REGISTRATIONS = 20
SERVED_LIMIT_S = 1
WINDOW_S = 13  # what leaves at once is taken for a stampede, and stays in the pool while it takes connections
PATIENCE_S = 60
_STOP = 'started=$(date +%s.%N); docker stop "$1" > /dev/null; date +%s.%N; echo "$started"'


def measure(site: Site) -> Iterator[Row]:
    """Register by hand into an empty pool; then stop and start a backend as an operator would."""
    yield _first_request(site)
    stops, registrations = [], []
    for _ in range(RUNS):
        site.becomes_whole()
        machine = site.machine_of("apache@7777.service")
        stops.append(_seconds_to_stop(site, machine, "apache.7777"))
        registrations.append(_seconds_to_registration(site, machine))
    site.becomes_whole()
    yield Row(
        FIRST_REGISTRATION.what,
        FIRST_REGISTRATION.must,
        (Figure("systemctl start → the key is in etcd", Unit.SECONDS, tuple(registrations)),),
        guide=FIRST_REGISTRATION.guide,
        how="the container's start is in it",
    )
    yield Row(
        STOP.what,
        STOP.must,
        (Figure("docker stop", Unit.SECONDS, tuple(stops)),),
        guide=STOP.guide,
        how="the same command line as the guide's, behind the image's entry point",
    )


def _first_request(site: Site) -> Row:
    address = site.public_address_of(site.machine_of(f"{BALANCER}.service"))
    backend = site.address_of(site.machine_of("apache@7777.service"))
    etcd, key = Etcd(backend), "/services/apache/by-hand"
    took = []
    with _held_out(site):
        wait_for_answer(address, 503, PATIENCE_S)
        time.sleep(WINDOW_S)
        for _ in range(REGISTRATIONS):
            etcd.put(key, f"{backend}:7777")
            took.append(wait_for_answer(address, 200, PATIENCE_S))
            etcd.delete(key)
            wait_for_answer(address, 503, PATIENCE_S)
    return Row(
        FIRST_REQUEST.what,
        FIRST_REQUEST.must,
        (
            Figure(
                "the key is put → 200", Unit.MILLISECONDS, tuple(s * 1000 for s in took),
                SERVED_LIMIT_S * 1000, Statistic.P95,
            ),
        ),
        guide=FIRST_REQUEST.guide,
        how=f"{REGISTRATIONS} times into an empty pool, asked every 5 ms",
    )  # fmt: skip


@contextmanager
def _held_out(site: Site) -> Iterator[None]:
    """Let the sidekicks deregister and hold out, one after the other, so that the pool is empty."""
    where = {
        f"apache-discovery@{n}.service": site.machine_of(f"apache-discovery@{n}.service") for n in INSTANCES
    }
    for number, (unit, machine) in enumerate(where.items()):
        time.sleep(WINDOW_S if number else 0)
        _signal(site, machine, unit, "USR1")
    try:
        yield
    finally:
        for unit, machine in where.items():
            _signal(site, machine, unit, "USR2")


def _signal(site: Site, machine: str, unit: str, signal: str) -> None:
    site.script(machine, 'systemctl kill --kill-whom=main --signal="$2" "$1"', unit, signal)


def _seconds_to_stop(site: Site, machine: str, container: str) -> float:
    ended, started = site.script(machine, _STOP, container).split()
    return float(ended) - float(started)


def _seconds_to_registration(site: Site, machine: str) -> float:
    """Stop the unit, which systemd may just be starting again, and start it as for the first time."""
    site.script(machine, "systemctl stop apache@7777.service apache-discovery@7777.service")
    address = site.address_of(machine)
    etcd, key = Etcd(address), f"/services/apache/{address}"
    if etcd.has(key):
        raise RuntimeError(f"{key} is there though its unit was stopped")
    started = time.monotonic()
    site.script(machine, "systemctl start apache@7777.service")
    while not etcd.has(key):
        if time.monotonic() - started > PATIENCE_S:
            raise RuntimeError(f"{key} did not come within {PATIENCE_S} s")
        time.sleep(0.01)
    return time.monotonic() - started
