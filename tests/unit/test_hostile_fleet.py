"""A fleet whose lists lie: what comes out is a sight of the cluster or a `CommandFailed`."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.adapters.answers import read_answer
from coreos_kit.adapters.fleet.sight import Sight, read_sight
from coreos_kit.errors import CommandFailed
from coreos_kit.ports import Completed

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
