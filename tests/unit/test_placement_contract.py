"""Every placement that a real fleet 1.0.0 was seen to decide comes out the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.units import x_fleet
from coreos_kit.units.x_fleet import UnitRequirements

CONTRACT = Path(__file__).parents[1] / "contract" / "fleet-placements.jsonl"
CASES = [json.loads(line) for line in CONTRACT.read_text().splitlines()]


def unit_text(entry: dict[str, Any]) -> str:
    return "\n".join(["[Service]", "ExecStart=/bin/sleep 1", "[X-Fleet]", *entry["x_fleet"], ""])


def target(name: UnitName, placements: Placements) -> str | None:
    if name in placements.globals:
        return "global"
    return "-" if name in placements.unplaceable else placements.machine_of.get(name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_units_started_one_after_the_other_go_where_fleet_put_them(case: dict[str, Any]) -> None:
    machines = [Machine(entry["id"], entry["ip"], entry["metadata"]) for entry in case["machines"]]
    started: list[PlacementUnit] = []
    placements = Placements()

    for entry in case["units"]:
        if entry["refused"] is None:
            name = UnitName.parse(entry["unit"])
            started.append(PlacementUnit(name, UnitRequirements.of(name, unit_text(entry))))
            placements = place(started, machines, current=placements)

    assert {unit: target(UnitName.parse(unit), placements) for unit in case["target"]} == case["target"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_units_are_refused_with_fleets_words_and_no_others(case: dict[str, Any]) -> None:
    for entry in case["units"]:
        assert x_fleet.refusal(unit_text(entry)) == entry["refused"]
