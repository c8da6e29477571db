"""The lab as values: addresses, names, and what `lab.json` keeps."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from coreos_kit.adapters.nspawn.login import machine_named, ssh_argv
from coreos_kit.adapters.nspawn.state import (
    lab_folder,
    lock_file,
    locked,
    read_lab,
    try_read_lab,
    try_work,
    write_lab,
)
from coreos_kit.errors import InvalidConfig, KitError
from coreos_kit.model.lab import (
    Lab,
    LabMachineState,
    LabMachineStatus,
    LabStatus,
    LabWork,
    etcd_members_of,
    machine_of,
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("COREOS_KIT_STATE_DIR", str(tmp_path))
    lab_folder("trial").mkdir(parents=True)
    return Lab(
        name="trial",
        number=7,
        profile="debian",
        machines=tuple(machine_of("trial", 7, index) for index in (1, 2, 3)),
        registry_machine=machine_of("trial", 7, 0),
        etcd_members=etcd_members_of(3),
        folder=lab_folder("trial"),
        root=Path("/cache/system"),
    )


def test_private_and_public_addresses_lie_in_different_halves_of_the_subnet(lab: Lab) -> None:
    second = lab.machines[1]

    assert (second.name, second.private_ip, second.public_ip) == ("core-2", "10.132.7.12", "10.132.7.140")
    assert (lab.subnet, lab.private_network) == ("10.132.7.0/24", "10.132.7.0/25")


def test_the_registry_is_a_machine_but_no_member_of_the_cluster(lab: Lab) -> None:
    assert lab.registry == "10.132.7.10:5000"
    assert [machine.name for machine in lab.machines] == ["core-1", "core-2", "core-3"]
    assert [machine.name for machine in lab.all_machines] == ["registry", "core-1", "core-2", "core-3"]


def test_machine_ids_are_the_same_each_time_and_differ_between_machines_and_labs() -> None:
    ids = [machine_of(lab, 1, index).machine_id for lab in ("a", "b") for index in (0, 1, 2)]

    assert len(set(ids)) == 6
    assert all(len(machine_id) == 32 and int(machine_id, 16) for machine_id in ids)
    assert machine_of("a", 9, 1).machine_id == ids[1]


@pytest.mark.parametrize(
    ("count", "members"),
    [(1, 1), (2, 1), (3, 3), (4, 3), (100, 3)],
)
def test_etcd_has_three_members_or_one(count: int, members: int) -> None:
    assert etcd_members_of(count) == tuple(f"core-{index}" for index in range(1, members + 1))


def test_what_is_written_is_read_again(lab: Lab) -> None:
    write_lab(lab)

    assert read_lab("trial") == lab
    assert sorted(path.name for path in lab.folder.iterdir()) == ["lab.json"]


def test_a_lab_that_is_not_there_says_how_to_make_it(lab: Lab) -> None:
    with pytest.raises(KitError, match="there is no lab other on this workstation") as caught:
        read_lab("other")

    assert caught.value.hint == "coreos-kit lab up --name other"
    assert try_read_lab("other") is None


def test_the_default_lab_needs_no_name_in_the_hint(lab: Lab) -> None:
    with pytest.raises(KitError) as caught:
        read_lab("default")

    assert caught.value.hint == "coreos-kit lab up"


def test_a_damaged_lab_file_is_named(lab: Lab) -> None:
    (lab.folder / "lab.json").write_text('{"name": 3}')

    with pytest.raises(KitError, match=r"lab\.json is damaged: .*"):
        read_lab("trial")


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a/b", "1st", "a" * 40])
def test_a_name_that_would_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="is no name for a lab"):
        lab_folder(name)


def test_a_lock_leaves_no_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "labs" / "trial.lock"

    with locked(file):
        held = file.exists()

    assert held
    assert not file.exists()


def test_who_has_to_wait_for_a_lock_is_told_once(tmp_path: Path) -> None:
    file, waiting = tmp_path / "lock", Event()
    order: list[str] = []

    def second() -> None:
        with locked(file, waiting.set):
            order.append("second")

    with locked(file):
        thread = Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)

    assert order == ["first", "second"]
    assert not file.exists()


def test_who_is_at_work_on_a_lab_can_be_told_by_anybody_while_it_is(lab: Lab) -> None:
    file = lock_file("trial")

    with locked(file, doing="up"):
        seen = try_work("trial")

    assert seen == LabWork("up", os.getpid())
    assert try_work("trial") is None


def test_a_lock_file_that_a_kill_left_behind_says_nothing(lab: Lab) -> None:
    lock_file("trial").write_text("4242 up")

    assert try_work("trial") is None


def test_who_has_not_said_yet_what_it_does_is_not_made_up(lab: Lab) -> None:
    with locked(lock_file("trial")):
        assert try_work("trial") is None


def test_a_lab_that_is_being_made_is_told_from_one_that_is_not_there(lab: Lab) -> None:
    with locked(lock_file("young"), doing="up"), pytest.raises(KitError) as caught:
        read_lab("young")
    with locked(lock_file("old"), doing="down"), pytest.raises(KitError, match="there is no lab old"):
        read_lab("old")

    work = f"coreos-kit lab up (process {os.getpid()}) is at work on it"
    assert str(caught.value) == f"lab young is being brought up: {work}"
    assert caught.value.hint == "Wait for it; coreos-kit lab status --name young says when it is up."


def test_a_login_reads_nobody_s_settings_and_quotes_its_command(lab: Lab) -> None:
    argv = ssh_argv(lab, machine_named(lab, "core-1"), ["echo", "a b", "$HOME"])

    assert argv[:3] == ["ssh", "-F", "none"]
    assert "StrictHostKeyChecking=yes" in argv
    assert f"UserKnownHostsFile={lab.known_hosts_file}" in argv
    assert argv[-2:] == ["core@10.132.7.11", "echo 'a b' '$HOME'"]


def test_a_login_without_a_command_is_a_shell(lab: Lab) -> None:
    assert ssh_argv(lab, lab.registry_machine)[-1] == "core@10.132.7.10"


def test_an_unknown_machine_is_answered_with_those_that_there_are(lab: Lab) -> None:
    with pytest.raises(KitError, match="lab trial has no machine core-7") as caught:
        machine_named(lab, "core-7")

    assert caught.value.hint == "Its machines are registry, core-1, core-2, core-3."


def test_a_lab_is_up_only_when_every_machine_is(lab: Lab) -> None:
    entries = tuple(LabMachineStatus(machine, LabMachineState.RUNNING) for machine in lab.all_machines)
    cut = replace(entries[2], state=LabMachineState.CUT)

    assert LabStatus(lab, entries).is_up
    assert not LabStatus(lab, (*entries[:2], cut, entries[3])).is_up
