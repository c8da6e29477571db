"""How the lab's commands look; the lab itself is tested on real machines, in tests/lab."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from coreos_kit.adapters.nspawn.state import lab_folder, lock_file, locked, write_lab
from coreos_kit.cli import lab as commands
from coreos_kit.cli import wiring
from coreos_kit.model.lab import (
    Lab,
    LabDown,
    LabMachineState,
    LabMachineStatus,
    LabStatus,
    LabUp,
    LabWork,
    machine_of,
)
from tests.cli.conftest import Kit

WITH_LAB = wiring.with_lab  # the real one: `kit` puts another in its place


@dataclass
class FakeLab:
    """What the commands need of a lab: every machine with its state."""

    lab: Lab
    states: dict[str, LabMachineState] = field(default_factory=dict)
    at_work: LabWork | None = None

    def up(self, name: str, **options: object) -> LabUp:
        self.states = {machine.name: LabMachineState.RUNNING for machine in self.lab.all_machines}
        return LabUp(self.lab, tuple(self.states), download_s=12.3, total_s=45.6)

    def down(self, name: str) -> LabDown:
        removed = tuple(self.states)
        self.states = {}
        return LabDown(name, removed)

    def status(self, name: str) -> LabStatus:
        machines = self.lab.all_machines
        states = tuple(LabMachineStatus(m, self.states[m.name]) for m in machines)
        return LabStatus(self.lab, states, self.at_work)

    def kill(self, machine: str, name: str) -> bool:
        ran = self.states[machine] is not LabMachineState.STOPPED
        self.states[machine] = LabMachineState.STOPPED
        return ran

    def revive(self, machine: str, name: str) -> bool:
        lay = self.states[machine] is LabMachineState.STOPPED
        self.states[machine] = LabMachineState.RUNNING
        return lay

    def cut(self, machine: str, name: str) -> None:
        self.states[machine] = LabMachineState.CUT

    def heal(self, machine: str, name: str) -> None:
        self.states[machine] = LabMachineState.RUNNING


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    registry, *machines = (machine_of("default", 1, index) for index in range(3))
    folder = Path("nowhere")
    made = FakeLab(Lab("default", 1, "debian", tuple(machines), registry, ("core-1",), folder, folder))
    made.up("default")
    monkeypatch.setattr(commands, "_lab", lambda: made)
    return made


def test_up_says_where_everything_is_and_how_long_it_took(kit: Kit, lab: FakeLab) -> None:
    code, out, _ = kit("lab", "up")

    assert code == 0
    assert out == (
        "MACHINE   PRIVATE      PUBLIC\n"
        "registry  10.132.1.10  10.132.1.138\n"
        "core-1    10.132.1.11  10.132.1.139\n"
        "core-2    10.132.1.12  10.132.1.140\n"
        "lab default is up after 46 s, 12 s of them for downloads; registry 10.132.1.10:5000\n"
    )
    assert kit("lab", "up", "--json").json["schema"] == "coreos-kit/lab-up/v1"


def test_status_exits_1_as_soon_as_a_machine_is_not_reached(kit: Kit, lab: FakeLab) -> None:
    well = kit("lab", "status")
    kit("lab", "cut", "core-2")
    ill = kit("lab", "status", "--json")

    assert well.code == 0
    assert well.out.splitlines()[1] == "registry  running  10.132.1.10  10.132.1.138"
    assert ill.code == 1
    assert ill.json["machines"][2]["state"] == "cut"


@pytest.mark.parametrize(
    ("verb", "said", "again"),
    [
        ("kill", "core-1 has no power", "core-1 was not running"),
        ("revive", "core-1 was running", "core-1 was running"),
        ("cut", "core-1 is cut off", "core-1 is cut off"),
        ("heal", "core-1 is plugged in", "core-1 is plugged in"),
    ],
)
def test_a_fault_says_what_became_of_the_machine(
    kit: Kit, lab: FakeLab, verb: str, said: str, again: str
) -> None:
    assert kit("lab", verb, "core-1") == (0, f"{said}\n", "")
    assert kit("lab", verb, "core-1", "--json").json == {
        "schema": f"coreos-kit/lab-{verb}/v1",
        "machine": "core-1",
        "state": again.removeprefix("core-1 "),
    }


def test_down_twice_is_no_error(kit: Kit, lab: FakeLab) -> None:
    assert kit("lab", "down").out == "lab default is gone\n"
    assert kit("lab", "down").out == "there was no lab default\n"
    assert kit("lab", "down", "--json").json["removed"] == []


def test_status_while_the_lab_boots_says_so_and_exits_1(kit: Kit, lab: FakeLab) -> None:
    lab.at_work = LabWork("up", 4242)

    said, body = kit("lab", "status"), kit("lab", "status", "--json")

    assert said.code == body.code == 1
    assert said.out.endswith(
        "lab default is being brought up: coreos-kit lab up (process 4242) is at work on it\n"
    )
    assert body.json["at_work"] == {"verb": "up", "pid": 4242}


def test_before_there_is_anything_of_it_a_lab_that_boots_is_not_called_missing(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREOS_KIT_STATE_DIR", str(tmp_path / "state"))

    with locked(lock_file("trial"), doing="up"):
        code, out, err = kit("lab", "status", "--name", "trial")

    assert (code, out) == (1, "")
    assert err == (
        f"error: lab trial is being brought up: coreos-kit lab up (process {os.getpid()}) is at work on it\n"
        "hint:  Wait for it; coreos-kit lab status --name trial says when it is up.\n"
    )


@pytest.mark.parametrize("args", [("status", "--name", "nosuch"), ("ssh", "--name", "nosuch", "core-1")])
def test_a_lab_that_is_not_there_points_at_lab_up(
    kit: Kit, args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREOS_KIT_STATE_DIR", str(tmp_path / "state"))

    assert kit("lab", *args) == (
        1,
        "",
        "error: there is no lab nosuch on this workstation\nhint:  coreos-kit lab up --name nosuch\n",
    )


def test_a_cluster_whose_lab_is_not_there_is_told_which_labs_are_and_how_to_take_one(
    kit: Kit, lab: FakeLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREOS_KIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(wiring, "with_lab", WITH_LAB)
    for name in ("trial", "spare"):
        lab_folder(name).mkdir(parents=True)
        write_lab(replace(lab.lab, name=name, folder=lab_folder(name)))

    code, out, err = kit("status")

    assert (code, out) == (1, "")
    assert err == (
        "error: there is no lab default on this workstation\n"
        "hint:  coreos-kit lab up; or take one that is here (spare, trial):"
        ' lab = "spare" for the cluster in coreos-kit.toml, --name spare for coreos-kit lab\n'
    )
