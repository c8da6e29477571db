import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.fleet_hash import FleetOption, FleetRefusal, fleet_hash, fleet_options, fleet_text

CONTRACT = Path(__file__).parents[1] / "contract" / "fleet-hashes.json"
CASES = json.loads(CONTRACT.read_text())
TAKEN = [case for case in CASES if case["refused"] is None]
REFUSED = [case for case in CASES if case["refused"] is not None]

UNIT = "[Unit]\nDescription=d\n\n[Service]\nExecStart=/bin/sh -c 'a; \\\n  b'\n"


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case["title"])
def test_a_unit_has_the_hash_and_the_text_that_fleet_gave_it(case: dict[str, Any]) -> None:
    assert fleet_hash(case["text"]) == case["hash"]
    assert fleet_text(case["text"]) == case["cat"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["title"])
def test_a_unit_that_fleet_refused_is_refused_in_its_words(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidUnit) as caught:
        fleet_hash(case["text"])

    assert str(caught.value) == case["refused"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("\n[Unit\nDescription=d\n", "unable to find end of section", 2),
        ("[Unit] x\nDescription=d\n", "found garbage after section name : [120]", 1),
        ("[Unit]\nnonsense\n", "unexpected newline encountered while parsing option name", 2),
        ("[Unit]\nDescription", "EOF", 2),
        ("[Unit]\nDescription=" + "x" * 2048 + "\n", "line too long (max 2048 bytes)", 2),
        ("[Unit]\n# " + "é" * 1024 + "\n", "line too long (max 2048 bytes)", 2),
    ],
)
def test_what_fleet_cannot_read_is_refused_in_its_words(text: str, message: str, line: int) -> None:
    with pytest.raises(FleetRefusal) as caught:
        fleet_options(text)

    assert (str(caught.value), caught.value.line) == (message, line)


def test_a_comment_that_ends_in_a_backslash_swallows_the_next_line() -> None:
    assert fleet_options("[Unit]\n# a \\\nB=1\nC=2\n") == (FleetOption("Unit", "C", "2"),)


def test_a_blank_line_ends_a_continuation() -> None:
    options = fleet_options("[Service]\nExecStart=a \\\n\nExecStop=b\n")

    assert [(option.name, option.value) for option in options] == [("ExecStart", "a \\\n"), ("ExecStop", "b")]


def test_with_carriage_returns_a_backslash_continues_nothing() -> None:
    options = fleet_options("[Service]\r\nExecStart=a \\\r\nb=c\r\n")

    assert [(option.name, option.value) for option in options] == [("ExecStart", "a \\"), ("b", "c")]


def test_a_file_without_sections_is_empty() -> None:
    assert fleet_text("Description=d\n# [Unit]\n") == ""


@given(st.lists(st.sampled_from(["", "  ", "# note", "  ; note", "\t#"])), st.integers(0, 5))
def test_comments_and_blank_lines_do_not_change_the_hash(noise: list[str], place: int) -> None:
    lines = UNIT.splitlines()
    at = [0, 1, 2, 3, 4, 6][place]  # anywhere but inside the continuation

    noisy = "\n".join([*lines[:at], *noise, *lines[at:], ""])

    assert fleet_hash(noisy) == fleet_hash(UNIT)


@given(st.text(st.sampled_from("[]=#;\\ \t\n\"'aB%$é"), max_size=80))
def test_what_fleet_prints_of_a_unit_it_reads_back_unchanged(text: str) -> None:
    try:
        printed = fleet_text("[Unit]\n" + text)
        again = fleet_text(printed)
    except InvalidUnit:
        return

    assert fleet_text(again) == again
