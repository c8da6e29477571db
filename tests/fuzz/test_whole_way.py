"""From any configuration to units on machines: nothing that stands in it becomes a line of its own."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from coreos_kit.config import parse_project
from coreos_kit.errors import InvalidConfig, InvalidUnit, Refused, Unplaceable
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.ops.render import read_sources
from coreos_kit.planning import PlanOptions, change_of, plan
from coreos_kit.units.fleet_hash import fleet_options
from coreos_kit.units.lint import Severity, lint_units
from coreos_kit.units.render import desired_units
from coreos_kit.units.unit_file import UnitFile
from tests.unit.test_config_properties import TABLES, document
from tests.unit.test_planning import Site

pytestmark = pytest.mark.fuzz

CHECKOUT = Path(__file__).parents[2]
SOURCES = read_sources(CHECKOUT)

NASTY = st.one_of(
    st.text(st.sampled_from("ab %$\"'\\;|&<>(){}[]#=é*@:/.,-"), min_size=1, max_size=12),
    st.text(st.sampled_from("abc/.-_"), min_size=1, max_size=8),
    st.text(st.sampled_from("ab %$\"'\\;|&<>(){}[]#=\n\r\t\0\x1b\x7f\u2028\x85é*@:/.,-"), max_size=24),
    st.sampled_from(
        [
            "%i", "%%", "$HOME", "${HOME}", "$$", "\\x20", "a\nExecStartPre=/bin/sh", "a\\\nb", "'", '"',
            "; reboot", "$(reboot)", "`reboot`", "[Service]", "#a", "a" * 3000, "../..", "-v /:/host",
            "{{ 7 * 7 }}", "{% raw %}",
        ]
    ),
    st.text(max_size=16),
)  # fmt: skip
FIELDS = {
    ("services", "apache", "command"): NASTY,
    ("services", "apache", "env"): st.dictionaries(
        NASTY | st.sampled_from(["LOG", "A_B"]), NASTY, max_size=3
    ),
    ("services", "apache", "volumes"): st.lists(NASTY | NASTY.map("/srv:/{}".format), max_size=3),
    ("services", "apache", "run_args"): st.lists(NASTY | NASTY.map("--label=a={}".format), max_size=3),
    ("services", "apache", "stop_signal"): NASTY,
    ("services", "apache", "machine_metadata"): st.lists(NASTY | NASTY.map("a={}".format), max_size=2),
    ("services", "apache", "health", "path"): NASTY | NASTY.map("/{}".format),
    ("services", "apache", "registration", "prefix"): NASTY | NASTY.map("/services/{}".format),
    ("services", "apache", "instances"): st.lists(NASTY | st.integers(0, 70_000), max_size=3),
    ("services", "apache", "image"): NASTY,
    ("load_balancers", "nginx_lb", "env"): st.dictionaries(NASTY, NASTY, max_size=2),
    ("project", "name"): NASTY,
    ("project", "image_prefix"): NASTY,
}
CHANGES = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none(), min_size=1, max_size=2).flatmap(
    lambda chosen: st.fixed_dictionaries({path: FIELDS[path] for path in chosen})
)


def configuration(changes: dict[tuple[str, ...], Any]) -> str:
    tables = copy.deepcopy(TABLES)
    for path, value in changes.items():
        inside: Any = tables
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
    return document(tables)


def names(text: str) -> set[tuple[str, str]]:
    return {(option.section, option.name) for option in UnitFile.parse(text).all_options}


def plain_names() -> set[tuple[str, str]]:
    project = parse_project(document(TABLES), CHECKOUT)
    units = desired_units(project, project.clusters["lab"], SOURCES)
    return {name for unit in units for name in names(unit.text)}


ALLOWED = plain_names() | {("X-Fleet", "MachineMetadata"), ("Service", "SuccessExitStatus")}


@settings(deadline=None)
@given(CHANGES)
def test_what_loads_renders_units_without_a_line_too_many_and_can_be_deployed(
    changes: dict[tuple[str, ...], Any],
) -> None:
    try:
        project = parse_project(configuration(changes), CHECKOUT)
        units = desired_units(project, project.clusters["lab"], SOURCES)
    except (InvalidConfig, InvalidUnit) as refused:
        event(type(refused).__name__)
        return

    event("loads")
    for unit in units:
        assert str(UnitFile.parse(unit.text)) == unit.text
        assert names(unit.text) <= ALLOWED
        assert names(unit.text) == {(option.section, option.name) for option in fleet_options(unit.text)}
        assert all(character.isprintable() or character == "\n" for character in unit.text)
    findings = lint_units({str(unit.name): unit.text for unit in units})
    assert [finding for finding in findings if finding.severity is Severity.ERROR] == []

    site = Site(5)
    site.cluster = replace(project.clusters["lab"], machines=site.cluster.machines)
    try:
        made = deployed(site, project.name, units)
    except (Unplaceable, Refused):
        event("is not placed")
        return
    assert made.is_empty


def deployed(site: Site, project: str, units: tuple[DesiredUnit, ...]) -> Plan:
    """Deploy, and return what there is to do then."""

    def planned() -> Plan:
        return plan(project, site.cluster, units, site.fake.observe([]), PlanOptions())

    made = planned()
    for machine, text in made.environments.items():
        site.fake.machines[machine].environment = text
    for wave in made.waves:
        for step in wave:
            site.fake.apply(change_of(step))
    return planned()
