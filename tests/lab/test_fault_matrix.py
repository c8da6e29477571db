"""Every fault at every stage of a deploy: it ends, it says what stands where, and run again it is whole."""

import itertools
import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.lab.conftest import Kit, heal
from tests.lab.faults import FAULTS, UNITS, Row, Stage, deploying, inside, machines, matrix

pytestmark = pytest.mark.fault

TEMPLATE = "unit_templates/service@.service.j2"
TIMEOUT_S = 25  # of the deploy, for each instance
LONGEST_S = 240

STAGES = [
    Stage("looking", r": sudo -n -- bash -c … coreos-kit \S+/docker etcd\.service "),
    Stage("pulling", r"^pulling images on"),
    Stage("stopping", r"^core-\d: replace apache@7777\.service", after_s=0.7),
    Stage("starting", r"^core-\d: replace apache@7777\.service", after_s=2.7),
    Stage("verifying", r"coreos-kit \S+/docker nginx_lb "),
]
WORKSTATION = [Row("workstation dies", lambda _kit, _machine: nullcontext())]


@pytest.fixture(scope="module")
def struck(site: Kit) -> Iterator[Kit]:
    """The deployed example for all of these tests: each leaves it whole, with another text of its units."""
    kept = (site.workspace / TEMPLATE).read_bytes()
    yield site
    (site.workspace / TEMPLATE).write_bytes(kept)
    site("deploy", "--yes")


@pytest.fixture
def text(struck: Kit, numbers: Iterator[int] = itertools.count()) -> str:  # noqa: B008 - counts through all tests
    """Edit the template, so that a deploy replaces both instances; return what is new in it."""
    heal(struck)
    line = f"Environment=EDITED={next(numbers)}."
    file = struck.workspace / TEMPLATE
    file.write_text(
        re.sub(r"\[Service\]\n(Environment=EDITED=.*\n)?", f"[Service]\n{line}\n", file.read_text())
    )
    return line.removeprefix("Environment=")


def assert_whole(kit: Kit, text: str) -> None:
    """Assert that a deploy makes it so, that everything holds, and that nothing else is left."""
    kit("deploy", "--yes", "--lock-wait", "60")  # a dead workstation has it for as long as its lease
    verdict = kit("verify", "--wait", "40", "--json").json
    assert (verdict["ok"], verdict["ghosts"], verdict["unseen"]) == (True, [], [])
    assert kit("plan", "--json").json["changes"] == []
    for machine in machines(kit):
        assert inside(kit, machine, f"find {UNITS} -name '.coreos-kit*'") == ""
        there = set(inside(kit, machine, "docker ps --all --format '{{.Names}}'").split())
        assert there <= {"apache.7777", "apache.8888", "nginx_lb"}
    for unit in ("apache@7777.service", "apache@8888.service"):  # and it is the new text that runs
        environment = f"/proc/$(systemctl show --property=MainPID --value {unit})/environ"
        assert text in inside(kit, kit.machine_of(unit), f"tr '\\0' ' ' < {environment}")


@pytest.mark.parametrize(("row", "stage"), matrix(FAULTS, STAGES))
def test_a_deploy_that_a_fault_strikes_ends_and_the_next_one_makes_it_whole(
    struck: Kit, text: str, row: Row, stage: Stage
) -> None:
    fault = row.strikes(struck)

    with deploying(struck, "--timeout", str(TIMEOUT_S)) as deploy:
        deploy.reaches(stage)
        with fault:
            ended = deploy.ends(within_s=LONGEST_S)

    assert ended.code in (0, 4, 5, 6), ended.err
    assert "Traceback" not in ended.err
    assert_whole(struck, text)


@pytest.mark.parametrize(("row", "stage"), matrix(WORKSTATION, STAGES))
def test_a_deploy_whose_workstation_dies_is_finished_by_the_next_one(
    struck: Kit, text: str, row: Row, stage: Stage
) -> None:
    with deploying(struck) as deploy:
        deploy.reaches(stage)
        deploy.dies()

    assert_whole(struck, text)
