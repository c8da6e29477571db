"""A fleet whose lists lie: what comes out is a sight of the cluster or a `CommandFailed`."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.adapters.answers import read_answer
from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.fleet.sight import Sight, names_of, read_sight
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import CommandFailed, KitError
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.ports import Change, Completed
from coreos_kit.testing.runner import Answer, FakeRunner

CELLS = st.one_of(
    st.sampled_from(
        ["apache@7777.service", "global", "-", "launched", "a" * 40, "id/10.132.0.11", "x=y,z", "\x1b[2J"]
    ),
    st.text(max_size=10),
)
LISTS = st.lists(st.lists(CELLS, max_size=7).map("\t".join), max_size=5).map("\n".join)
WORDS = st.one_of(LISTS.map(lambda text: base64.b64encode(text.encode("utf-8", "replace")).decode()), CELLS)
KEYS = st.sampled_from(["fleetctl", "machines", "registry", "units", "text", "failed", "x"])
LINES = st.builds("{} {}".format, KEYS, WORDS)


def look(lines: list[str]) -> Sight:
    answer = Completed((), 0, "\n".join([*lines, "end", ""]).encode("utf-8", "surrogatepass"), b"")
    return read_sight("core-1", read_answer("core-1", answer), {})


@given(st.lists(LINES, max_size=8), WORDS, WORDS, WORDS)
def test_whatever_fleets_lists_hold_is_a_sight_or_an_error_of_the_kit(
    lines: list[str], machines: str, registry: str, units: str
) -> None:
    honest = ["fleetctl 1.0.0", f"machines {machines}", f"registry {registry}", f"units {units}"]
    try:
        sight = look([*honest, *lines])
    except CommandFailed:
        return

    assert sight.gateway == "core-1"


@pytest.mark.parametrize("missing", ["fleetctl", "machines", "registry", "units"])
def test_a_list_that_is_missing_is_an_error_that_names_the_machine(missing: str) -> None:
    lines = [f"{key} -" for key in ("fleetctl", "machines", "registry", "units") if key != missing]

    with pytest.raises(CommandFailed, match=f"core-1: its answer is not understood: KeyError: '{missing}'"):
        look([line.removesuffix(" -") if not line.startswith("fleetctl") else line for line in lines])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def stopped(*answer: str, machines: str = "", registry: str = "") -> KitError:
    """Stop a unit where the one machine answers this, whatever it is asked; return how that failed."""
    lists = ["fleetctl 1.0.0", f"machines {encoded(machines)}", f"registry {encoded(registry)}", "units "]
    said = "\n".join([*lists, *answer, "said ", "end"]).encode()
    runners = {"core-1": FakeRunner("core-1", {"bash": lambda _, __: Answer(said)})}
    entry = MachineEntry("core-1", "core@192.0.2.1")
    cluster = Cluster("lab", PROFILES["coreos"], DriverKind.FLEET, (entry,), (), ())
    driver = FleetDriver(SystemdDriver(cluster, runners), Gateway("lab", runners), lambda _: None)
    with pytest.raises(KitError) as raised:
        driver.apply(Change("core-1", stop=(UnitName.parse("web.service"),)))
    return raised.value


@pytest.mark.parametrize("stage", ["stage nowhere", "stage", ""])
def test_a_change_that_ended_at_a_stage_that_is_none_is_an_error_of_the_kit(stage: str) -> None:
    assert "fleet: its answer is not understood" in str(stopped(stage, "left "))


def test_a_machine_that_tells_nothing_of_the_unit_that_it_is_asked_for_has_no_journal() -> None:
    failure = stopped(
        "stage stop",
        f"left {encoded('web.service')}",
        machines=f"{'a' * 32}\t192.0.2.1\t-\n",
        registry=f"web.service\t{'b' * 40}\tloaded\tlaunched\t{'a' * 32}/192.0.2.1\n",
    )

    assert str(failure) == "core-1: web.service does not stop within 300 s"


@pytest.mark.parametrize(
    ("id_", "ip"),
    [
        ("a" * 32, "$(reboot)"),
        ("a" * 32, "192.0.2.9;reboot"),
        ("`reboot`", "-"),
        ("\x1b[2J", "-"),
        ("a" * 32, "-oProxyCommand=x"),
    ],
)
def test_a_machine_of_fleets_list_never_has_a_name_that_is_a_command(id_: str, ip: str) -> None:
    row = base64.b64encode(f"{id_}\t{ip}\t-\n".encode()).decode()
    sight = look(["fleetctl 1.0.0", f"machines {row}", "registry ", "units "])
    cluster = Cluster("lab", PROFILES["coreos"], DriverKind.FLEET, (), (), ())

    names = names_of(cluster, sight, {})

    assert all(re.fullmatch(r"[0-9A-Za-z.:]+", name) and not name.startswith("-") for name in names.values())
