"""The fleet driver on a double of fleet keeps the promises of `ports.ClusterDriver`, and its own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.errors import Unreachable
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Change, ClusterDriver
from coreos_kit.testing.runner import Answer, FakeRunner
from tests.contracts.driver_suite import *  # noqa: F403 - the suite
from tests.contracts.driver_suite import PLAIN, text_of
from tests.contracts.fleet_double import DoubleMachines, fleet_with_the_double


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterDriver]:
    with fleet_with_the_double(tmp_path_factory.mktemp("fleet")) as driver:
        yield driver


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetDriver]:
    with fleet_with_the_double(tmp_path) as driver:
        yield driver


def test_a_unit_that_no_machine_takes_has_each_ones_reason(fleet: FleetDriver) -> None:
    text = text_of("kitplain", fleet="MachineMetadata=region=moon\n")

    (outcome,) = fleet.apply_all([Change("core-1", write={PLAIN: text}, start=(PLAIN,))], timeout_s=3)[
        "core-1"
    ]  # type: ignore[misc]

    assert (outcome.machine, outcome.active_state) == ("", "pending")
    assert outcome.journal == tuple(
        f"{PLAIN} on core-{n}: no metadata region=moon (has no region)" for n in (1, 2, 3)
    )


def test_where_fleet_does_not_answer_the_next_machine_is_asked(fleet: FleetDriver) -> None:
    broken = fleet.machines.runners["core-1"].programs / "fleetctl"  # type: ignore[attr-defined]
    broken.write_text("#!/bin/sh\necho 'dial unix /var/run/fleet.sock: connect: no such file' >&2\nexit 1\n")

    seen = fleet.observe([])

    assert seen.scheduler
    assert seen.scheduler.gateway == "core-2"


def test_where_fleet_answers_nowhere_each_machine_says_why(fleet: FleetDriver) -> None:
    for runner in fleet.machines.runners.values():
        (runner.programs / "fleetctl").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")  # type: ignore[attr-defined]

    with pytest.raises(Unreachable) as refused:
        fleet.observe([])

    assert refused.value.exit_code == 4
    assert refused.value.details == tuple(f"core-{n}: no daemon" for n in (1, 2, 3))


def test_a_unit_that_goes_to_a_machine_that_came_after_the_look_is_waited_for_there(
    fleet: FleetDriver,
) -> None:
    machines = fleet.machines
    assert isinstance(machines, DoubleMachines)
    with machines.state.opened() as kept:
        late = kept.cluster.member("3" * 32)
        assert late
        kept.cluster.stop_fleetd(late)
    seen = fleet.observe([])
    with machines.state.opened() as kept:
        late = kept.cluster.member("3" * 32)
        assert late
        kept.cluster.start_fleetd(late)
    text = text_of("kitplain", fleet="MachineMetadata=n=3\n")

    (outcome,) = fleet.apply(Change("core-1", write={PLAIN: text}, start=(PLAIN,)))

    assert set(seen.machines) == {"core-1", "core-2", "core-3"}
    assert (outcome.machine, outcome.active_state) == ("core-3", "active")


def test_where_no_machine_can_be_reached_it_is_said_what_to_do_about_that() -> None:
    def refuse(args: Sequence[str], stdin: bytes) -> Answer:
        raise Unreachable("host key of core-1 is not known", hint="Connect by hand and compare: ssh core-1")

    gateway = Gateway("contract", {"core-1": FakeRunner("core-1", {"bash": refuse})})

    with pytest.raises(Unreachable) as raised:
        gateway.ask("", (), b"", 1)

    assert raised.value.details == ("host key of core-1 is not known",)
    assert raised.value.hint == "Connect by hand and compare: ssh core-1"


def test_a_machine_that_only_fleet_names_is_taken_in(fleet: FleetDriver) -> None:
    met: list[MachineEntry] = []
    known = replace(fleet.machines.cluster, machines=fleet.machines.cluster.machines[:1])
    runners = dict(fleet.machines.runners)
    fleet.machines = replace(fleet.machines, cluster=known, runners={"core-1": runners["core-1"]})

    def join(entry: MachineEntry) -> None:
        met.append(entry)

    fleet.join = join
    machines = fleet.machines
    assert isinstance(machines, DoubleMachines)
    fleet.machines = replace(machines, ids={**machines.ids, **{f"192.0.2.{n}": str(n) * 32 for n in (2, 3)}})  # type: ignore[assignment]

    seen = fleet.observe([])

    assert [(entry.destination, entry.through) for entry in met] == [
        ("192.0.2.2", "core-1"),
        ("192.0.2.3", "core-1"),
    ]
    assert set(seen.machines) == {"core-1", "192.0.2.2", "192.0.2.3"}


def let_lists_fail_after_the_first(fleet: FleetDriver, machine: str) -> None:
    """On one machine fleetctl lists what there is once, and then no more; all else it goes on to do."""
    program = fleet.machines.runners[machine].programs / "fleetctl"  # type: ignore[attr-defined]
    honest = program.rename(program.with_name("honest"))
    once = program.with_name("once")
    program.write_text(
        f"#!/bin/bash\nif [[ $1 = list-* ]] && ! mkdir {once}.$1 2> /dev/null; then\n"
        f'  echo "it has lost its etcd" >&2; exit 1\nfi\nexec {honest} "$@"\n'
    )
    program.chmod(0o755)


def test_where_the_lists_stop_to_answer_in_the_middle_the_next_machine_goes_on(fleet: FleetDriver) -> None:
    fleet.apply(Change("core-1", write={PLAIN: text_of("kitplain")}, start=(PLAIN,)))
    let_lists_fail_after_the_first(fleet, "core-1")

    applied = fleet.apply_all([Change("core-1", stop=(PLAIN,))], timeout_s=2)

    assert [(outcome.name, outcome.active_state) for outcome in applied["core-1"]] == [(PLAIN, "inactive")]  # type: ignore[union-attr]


def test_where_the_lists_stop_to_answer_everywhere_that_is_what_is_said(fleet: FleetDriver) -> None:
    fleet.apply(Change("core-1", write={PLAIN: text_of("kitplain")}, start=(PLAIN,)))
    for machine in fleet.machines.runners:
        let_lists_fail_after_the_first(fleet, machine)

    with pytest.raises(Unreachable) as raised:
        fleet.apply_all([Change("core-1", stop=(PLAIN,), remove=(PLAIN,))], timeout_s=2)

    assert raised.value.details == tuple(f"core-{n}: it has lost its etcd" for n in (1, 2, 3))
