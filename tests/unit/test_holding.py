"""What is held still, as it stands in etcd: read, written, and harmless whoever wrote it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.holding import Holding, Mark, holding_of
from coreos_kit.model.names import UnitName

ROOT = "/coreos-kit/v1/web"
MARK = Mark("anna on desk", "2026-11-26T11:00:00Z", "disk")
UNIT = UnitName.parse("apache@7777.service")


def read(*entries: tuple[str, str]) -> Holding:
    return holding_of(
        "web", [EtcdEntry(f"{ROOT}/{key}", value) for key, value in entries], ["core-1", "core-2"]
    )


def test_what_is_written_is_read() -> None:
    found = read(("cordons/core-1", MARK.text()), ("holds/apache@7777.service", MARK.text()))

    assert found == Holding({"core-1": MARK}, {UNIT: MARK})
    assert found.notes() == (
        "core-1 is cordoned by anna on desk since 2026-11-26T11:00:00Z: disk; nothing new is placed there",
        "apache@7777.service is held by anna on desk since 2026-11-26T11:00:00Z: disk; it stays stopped",
    )


@pytest.mark.parametrize("value", ["", "nonsense", "[]", '{"by": 1, "why": {}}', "null", "[" * 100_000])
def test_a_value_that_says_nothing_does_not_take_the_hold_away(value: str) -> None:
    found = read(("holds/apache@7777.service", value))

    assert found.held == {UNIT: Mark()}
    assert found.notes() == ("apache@7777.service is held; it stays stopped",)


@pytest.mark.parametrize(
    "key",
    [
        "cordons/core-9", "cordons/core-1/x", "cordons/", "holds/../lock", "holds/apache@.service",
        "holds/apache", "holds/a b.service", "holds/x/apache@7777.service", "other/core-1",
    ],
)  # fmt: skip
def test_a_key_that_names_nothing_is_ignored_and_said(key: str) -> None:
    found = read((key, MARK.text()))

    assert (found.cordoned, found.held) == ({}, {})
    assert found.notes() == (
        f"etcd has keys that name no machine or unit of this cluster, and are ignored: {ROOT}/{key}",
    )


def test_a_unit_of_another_prefix_is_ignored_where_prefixes_are_known() -> None:
    entries = [EtcdEntry(f"{ROOT}/holds/{name}", "") for name in ("apache@9.service", "sshd.service")]

    found = holding_of("web", entries, [], {"apache"})

    assert list(found.held) == [UnitName.parse("apache@9.service")]
    assert found.ignored == (f"{ROOT}/holds/sshd.service",)


def test_of_many_that_are_ignored_a_few_are_named() -> None:
    found = read(*((f"cordons/strange-{n}", "") for n in range(5)))

    assert found.notes()[0].endswith(
        f"ignored: {ROOT}/cordons/strange-0, {ROOT}/cordons/strange-1, {ROOT}/cordons/strange-2 and 2 more"
    )


def test_what_somebody_wrote_is_shown_on_one_line_and_not_too_long() -> None:
    text = json.dumps({"by": "\x1b[2J\nroot", "since": "x" * 1000, "why": "y" * 1000})

    (note,) = read(("cordons/core-1", text)).notes()

    assert note.isprintable()
    assert note.startswith("core-1 is cordoned by ?[2J?root since xxx")
    assert len(note) < 600


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=5))
def test_whatever_stands_there_is_read(entries: list[tuple[str, str]]) -> None:
    found = holding_of("web", [EtcdEntry(f"{ROOT}/{key}", value) for key, value in entries], ["core-1"])

    assert all(note.isprintable() for note in found.notes())
