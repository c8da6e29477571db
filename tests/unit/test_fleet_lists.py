"""fleetctl's lists, read from the rows that a real fleet gave."""

import json
from pathlib import Path

from coreos_kit.adapters.fleet.lists import machines_of, registry_of, states_of
from coreos_kit.model.names import UnitName

RECORD = Path(__file__).parents[1] / "contract" / "fleetctl-1.0.0.jsonl"
OUTPUTS = {line["title"]: line["stdout"] for line in map(json.loads, RECORD.read_text().splitlines())}
UNIT_FILES = [
    "unit files after submitting templates",
    "unit files with one unplaced",
    "unit files after unload",
]


def name(text: str) -> UnitName:
    return UnitName.parse(text)


def test_machines_have_their_whole_id_address_and_metadata() -> None:
    machines = machines_of(OUTPUTS["machines, machine readable"])

    assert [(machine.id[:8], machine.ip) for machine in machines] == [
        ("305932de", "10.132.0.13"),
        ("97cee14e", "10.132.0.11"),
        ("fbd5ba9d", "10.132.0.12"),
    ]
    assert machines[0].metadata == {"n": "3", "region": "lab"}


def test_a_machine_without_metadata_has_none() -> None:
    (machine,) = machines_of("305932deb3094b17b9d07685c70d041a\t192.0.2.1\t-\n")

    assert machine.metadata == {}


def test_a_unit_that_no_machine_takes_is_wanted_and_has_come_nowhere() -> None:
    registry = registry_of(OUTPUTS["unit files with one unplaced"])

    waiting = [
        entry for entry in registry.values() if entry.desired != "inactive" and entry.state == "inactive"
    ]
    assert [(str(entry.name), entry.desired) for entry in waiting] == [("nginx_lb.service", "launched")]
    assert registry[name("apache@9999.service")].machine_id == "fbd5ba9d561a4effac5cd06cac431a2f"
    assert registry[name("nginx_lb.service")].machine_id == ""


def test_templates_that_were_only_submitted_are_not_wanted() -> None:
    registry = registry_of(OUTPUTS["unit files after submitting templates"])

    assert len(registry) == 2
    assert {(entry.desired, entry.state) for entry in registry.values()} == {("inactive", "inactive")}


def test_a_unit_keeps_what_is_wanted_apart_from_what_is() -> None:
    entry = registry_of(OUTPUTS["unit files after unload"])[name("apache-discovery@8888.service")]

    assert (entry.desired, entry.state, entry.machine_id) == ("launched", "inactive", "")


def test_a_global_unit_is_on_no_machine_of_its_own() -> None:
    (entry,) = registry_of(f"all.service\t{'a' * 40}\tlaunched\t-\tglobal\n").values()

    assert entry.is_global
    assert (entry.state, entry.machine_id) == ("-", "")


def test_states_say_how_systemd_has_each_unit() -> None:
    states = states_of(OUTPUTS["units loaded"])

    (state,) = states[name("apache@7777.service")]
    assert (state.load, state.active, state.sub) == ("loaded", "deactivating", "stop-sigterm")
    assert state.machine_id == "305932deb3094b17b9d07685c70d041a"


def test_a_global_unit_has_a_state_for_each_machine() -> None:
    rows = "".join(f"all.service\t{m * 32}/192.0.2.1\tloaded\tactive\trunning\t{'a' * 40}\n" for m in "ab")

    assert [state.machine_id for state in states_of(rows)[name("all.service")]] == ["a" * 32, "b" * 32]


def test_empty_lists_are_no_rows_and_what_is_no_row_is_left_out() -> None:
    assert registry_of(OUTPUTS["empty unit files, no legend"]) == {}
    assert registry_of("one two\n\n") == {}
    assert states_of("@bad.service m loaded active running h\n") == {}
