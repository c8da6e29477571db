"""Whatever somebody writes into the file, it loads or is refused; nothing else happens."""

import copy
import json
import math
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from coreos_kit.config import parse_project
from coreos_kit.config.lines import line_table
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.names import UnitName

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = (CHECKOUT / "coreos-kit.toml").read_text()
TABLES = tomllib.loads(EXAMPLE)


words = st.sampled_from(
    ["", "a", "apache", "lab", "ip", "confd", "-x", "a b", "\n", "%", "é", "/a", "web@*", "192.0.2.0/24", "["]
)
scalars = st.one_of(
    words, st.text(max_size=8), st.integers(-2, 70_000), st.booleans(), st.floats(), st.just(2**70)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in children:
        found += places(inner, (*path, key))
    return found


def toml(value: object) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    text = json.dumps(value)
    return text.replace("\x7f", "\\u007f")


def document(tables: dict[str, Any]) -> str:
    return "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in tables.items())


def load_or_refuse(text: str) -> None:
    refusal = None
    try:
        project = parse_project(text, CHECKOUT)
    except InvalidConfig as error:
        refusal = error
    if refusal:
        assert "".join((str(refusal), *refusal.details)).isprintable()
        assert refusal.hint
        return
    for cluster in project.clusters.values():
        for service in cluster.services:
            for unit in service.units():
                assert UnitName.parse(str(unit)) == unit
        for balancer in cluster.load_balancers:
            for unit in balancer.units():
                assert UnitName.parse(str(unit)) == unit


@given(st.sampled_from(places(TABLES)), values)
@example(("services",), {"a": {"image": "a", "registration": {}}})
@example(("clusters",), [])
@example(("clusters",), {"\n": 1})
@example(("clusters", "lab"), "")
@example(("services", "apache", "registration"), [])
def test_a_value_replaced_by_any_other_loads_or_is_refused(path: tuple[Any, ...], value: object) -> None:
    tables = copy.deepcopy(TABLES)
    inside: Any = tables
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value

    load_or_refuse(document(tables))


@given(st.sampled_from(places(TABLES)), words, values)
def test_a_key_added_anywhere_loads_or_is_refused(path: tuple[Any, ...], key: str, value: object) -> None:
    tables = copy.deepcopy(TABLES)
    inside: Any = tables
    for part in path:
        inside = inside[part]
        if isinstance(inside, dict):
            inside[key] = value
            break

    load_or_refuse(document(tables))


@given(st.sampled_from(places(TABLES)))
def test_a_key_taken_away_loads_or_is_refused(path: tuple[Any, ...]) -> None:
    tables = copy.deepcopy(TABLES)
    inside: Any = tables
    for key in path[:-1]:
        inside = inside[key]
    del inside[path[-1]]

    load_or_refuse(document(tables))


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.text(max_size=10))
def test_text_cut_out_and_put_in_loads_or_is_refused(at: int, cut: int, text: str) -> None:
    load_or_refuse(EXAMPLE[:at] + text + EXAMPLE[at + cut :])


@given(st.text(alphabet="ab.=[]{}\"'#\\\n ,1", max_size=60))
def test_any_toml_has_a_line_for_each_table_that_begins_one(text: str) -> None:
    try:
        parsed = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return

    lines = line_table(text)

    assert {path[0] for path in lines} == set(parsed)
