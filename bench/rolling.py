"""A rolling deploy under constant load: what it costs the clients."""

import re
from collections.abc import Iterator

from bench.budgets import ROLLING
from bench.pool import BALANCER
from bench.processes import RUNS
from bench.row import Figure, Row, Statistic, Unit
from bench.site import Site
from tests.lab.load import Aim, load

REQUESTS_BEFORE = 500


def measure(site: Site) -> Iterator[Row]:
    """Deploy a changed unit text, again and again, while requests come in."""
    aim = Aim(site.public_address_of(site.machine_of(f"{BALANCER}.service")), new_per_s=50, kept_per_s=50)
    failed, seconds, sent = [], [], 0
    for number in range(RUNS):
        site.becomes_whole()
        _change(site, number)
        with load(aim) as sending:
            before = sending.reaches(REQUESTS_BEFORE)
            site.kit("deploy", "--yes")
            meanwhile = sending.end().since(before)
        failed.append(float(meanwhile.failed))
        seconds.append(meanwhile.seconds)
        sent += meanwhile.sent
    yield Row(
        ROLLING.what,
        ROLLING.must,
        (
            Figure("failed requests", Unit.COUNT, tuple(failed), 0, Statistic.MOST),
            Figure("the whole deploy", Unit.SECONDS, tuple(seconds)),
        ),
        guide=ROLLING.guide,
        how=f"{RUNS} deploys of both instances; {sent:,} requests at 100/s, half of them on {aim.clients} "
        "kept connections, none of them retried",
    )


def _change(site: Site, number: int) -> None:
    file = site.workspace / "coreos-kit.toml"
    text, count = re.subn(
        r"^(# )?env = .*$", f'env = {{ BENCH = "{number}" }}', file.read_text(), count=1, flags=re.MULTILINE
    )
    if count != 1:
        raise RuntimeError(f"{file} has no env to change")
    file.write_text(text)
