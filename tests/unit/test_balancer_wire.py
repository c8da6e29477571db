"""Answers of etcd are cut to size while they stream by."""

from __future__ import annotations

import ast
import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.balancer import wire
from coreos_kit.balancer.wire import StringShortener, Unreachable, ask
from coreos_kit.testing.servers import dripping_server

LONGEST = 32
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def shortened(text: str, piece_bytes: int, longest: int = LONGEST) -> str:
    shortener = StringShortener(longest)
    raw = text.encode("utf-8", "surrogatepass")
    pieces = (raw[at : at + piece_bytes] for at in range(0, len(raw), piece_bytes))
    return b"".join(shortener.feed(piece) for piece in pieces).decode("utf-8", "replace")


def cut(value: object) -> object:
    """The same cut made on values, for strings that JSON writes as they are."""
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, list):
        return [cut(item) for item in value]
    return value


@given(json_values, st.integers(1, 40), st.booleans())
def test_a_text_with_short_strings_passes_unchanged(
    value: object, piece_bytes: int, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)

    assert shortened(text, piece_bytes, longest=10_000) == text.encode("utf-8", "replace").decode()


@given(json_values, st.integers(1, 40), st.booleans())
def test_whatever_is_cut_stays_json(value: object, piece_bytes: int, ascii_only: bool) -> None:
    json.loads(shortened(json.dumps(value, ensure_ascii=ascii_only), piece_bytes))


@given(st.lists(st.text("abc}{:,[] ")), st.integers(1, 40))
def test_long_strings_keep_their_beginning(value: list[str], piece_bytes: int) -> None:
    assert json.loads(shortened(json.dumps(value), piece_bytes)) == cut(value)


def test_a_megabyte_becomes_a_kilobyte() -> None:
    text = json.dumps({"kvs": [{"value": "A" * 1_000_000}]})

    assert len(shortened(text, 65536, longest=1024)) < 1100


def test_the_watcher_imports_only_the_standard_library_and_its_siblings() -> None:
    balancer = Path(__file__).parents[2] / "coreos_kit/balancer"

    for module in balancer.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names, module
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").split(".")[0] in sys.stdlib_module_names, module


HEADERS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "at_once", [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", HEADERS + b"\r\n", HEADERS + b"\r\n1000\r\n"]
)
def test_an_answer_that_comes_a_byte_at_a_time_is_given_up_in_time(
    at_once: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ANSWER_S", 0.5)
    with dripping_server(at_once) as port:
        start = time.monotonic()

        with (
            pytest.raises(Unreachable, match="timed out"),
            ask(("127.0.0.1", port), "GET", "/", answer_s=0.5) as answer,
        ):
            answer.json()

        assert time.monotonic() - start < 10  # it drips for ever


def test_a_line_that_comes_a_byte_at_a_time_is_waited_for_no_longer_than_it_may_take() -> None:
    with (
        dripping_server(HEADERS + b"\r\n1000\r\n") as port,
        ask(("127.0.0.1", port), "GET", "/", answer_s=0.5) as answer,
    ):
        start = time.monotonic()

        assert answer.try_line(0.5) == b""

        assert time.monotonic() - start < 10  # it drips for ever
