"""The plug is pulled at every stage of a rolling deploy, going back included: the next one makes it whole."""

import itertools
import random
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.lab import editions
from tests.lab.conftest import Kit, heal
from tests.lab.etcd import Etcd
from tests.lab.faults import (
    INSTANCE,
    SEED,
    UNITS,
    Row,
    Stage,
    cut_off,
    deploying,
    etcd_leader_killed,
    inside,
    machines,
    registry_down,
    without_power,
)

PROJECT = "/coreos-kit/v1/web/"
TIMEOUT_S = 25  # of the deploy, for each instance
LONGEST_S = 240

GOING_BACK = Stage("going back", r"^going back")
STAGES = [
    Stage("held out", r"^core-\d: apache@7777\.service: held out"),
    Stage("draining", r"^core-\d: apache@7777\.service: draining and replacing", after_s=0.7),
    Stage("starting", r"^core-\d: apache@7777\.service: draining and replacing", after_s=2.7),
    Stage("second", r"^core-\d: apache@8888\.service: held out"),
    GOING_BACK,
]
WORKSTATION = Row("workstation dies", lambda _kit, _machine: nullcontext())
ROWS = [
    WORKSTATION,
    Row("power off", without_power, INSTANCE),
    Row("cut off", cut_off, INSTANCE),
    Row("etcd leader killed", etcd_leader_killed),
    Row("registry down", registry_down),
]
DRAWN = random.Random(SEED).choice(ROWS)  # for every day; the other faults' tests pull the plug elsewhere


@pytest.fixture(scope="module")
def struck(site: Kit) -> Iterator[Kit]:
    """The deployed example for all of these tests: each leaves it whole, with another edition."""
    file = site.workspace / editions.CONFIG
    kept = file.read_bytes()
    editions.offer(site)
    yield site
    file.write_bytes(kept)
    site("deploy", "--yes")


@pytest.fixture
def edition(struck: Kit, numbers: Iterator[int] = itertools.cycle((1, 2, 3, 4))) -> int:  # noqa: B008
    """Configure another edition than the one that runs, so that a deploy replaces both instances."""
    heal(struck)
    number = next(numbers)
    editions.choose(struck, number)
    return number


def assert_whole(kit: Kit, edition: int) -> None:
    """Assert that a deploy makes it so, that everything holds, and that nothing else is left."""
    kit("deploy", "--yes", "--lock-wait", "60")  # a dead workstation has it for as long as its lease
    verdict = kit("verify", "--wait", "40", "--json").json
    assert (verdict["ok"], verdict["ghosts"], verdict["unseen"]) == (True, [], [])
    assert kit("plan", "--json").json["changes"] == []
    assert kit("lock", "show", "--json").json["holder"] is None
    left = Etcd(kit.address_of("core-1")).below(PROJECT)
    assert {key.removeprefix(PROJECT).partition("/")[0] for key in left} == {"releases", "texts"}
    for machine in machines(kit):
        assert inside(kit, machine, f"find {UNITS} -name '.coreos-kit*'") == ""
        there = set(inside(kit, machine, "docker ps --all --format '{{.Names}}'").split())
        assert there <= {"apache.7777", "apache.8888", "nginx_lb"}
    address = kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")
    assert {fetch(address) for _ in range(6)} == {editions.page(edition)}


def fetch(address: str) -> str:
    argv = ["curl", "-fsS", "--noproxy", "*", "-m", "5", f"http://{address}/"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        pytest.param(
            row,
            stage,
            id=f"{row}-{stage}",
            marks=() if row is DRAWN and stage is GOING_BACK else pytest.mark.campaign,
        )
        for row in ROWS
        for stage in STAGES
    ],
)
def test_wherever_the_plug_is_pulled_the_next_deploy_makes_it_whole(
    struck: Kit, edition: int, row: Row, stage: Stage
) -> None:
    well = (struck.workspace / editions.CONFIG).read_text()
    if stage is GOING_BACK:
        editions.choose_one_that_exits(struck)
    fault = row.strikes(struck)

    with deploying(struck, "--timeout", str(TIMEOUT_S)) as deploy:
        deploy.reaches(stage)
        with fault:
            if row is WORKSTATION:
                deploy.dies()
            else:
                ended = deploy.ends(within_s=LONGEST_S)
                assert ended.code in (0, 4, 5, 6), ended.err
                assert "Traceback" not in ended.err

    (struck.workspace / editions.CONFIG).write_text(well)
    assert_whole(struck, edition)
