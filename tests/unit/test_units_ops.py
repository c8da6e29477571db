"""start, stop, restart and destroy over a cluster in memory."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from coreos_kit.errors import KitError, PartialFailure, TimedOut, Unreachable
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry, Project
from coreos_kit.model.services import Registration, Service
from coreos_kit.ops.restarting import restart
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import destroy, find, matches, start, stop, with_sidekicks
from coreos_kit.ports import Change, Check, UnitOutcome
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets

SERVICE = Service("web", "web", "run", 80, ("1", "2"), registration=Registration("/services/web"))


class Machines(FakeCluster):
    """A cluster with two pairs of units, and one unit of somebody else's project."""

    def __init__(self) -> None:
        entries = tuple(MachineEntry(f"core-{n}", f"core-{n}") for n in (1, 2, 3))
        super().__init__(Cluster("lab", PROFILES["debian"], DriverKind.SYSTEMD, entries, (SERVICE,), ()))
        self.failing = ""  # the unit that systemd gives up
        for n in (1, 2):
            for name in (f"web@{n}.service", f"web-discovery@{n}.service"):
                self.stands(f"core-{n}", name)
        self.stands("core-3", "web@9.service", project="other")

    def stands(self, machine: str, name: str, project: str = "web") -> None:
        binds = "[Unit]\nBindsTo=web@%i.service\n" if "discovery" in name else ""
        text = f"{binds}[X-CoreosKit]\nProject={project}\nService=web\n"
        self.machines[machine].files[UnitName.parse(name)] = text
        self.machines[machine].active.add(UnitName.parse(name))

    def wait_until_up(
        self, machine: str, units: object, checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        seen, up = super().wait_until_up(machine, units, checks, timeout_s=timeout_s)  # type: ignore[arg-type]
        if self.failing in {str(outcome.name) for outcome in seen}:
            name = UnitName.parse(self.failing)
            return (UnitOutcome(name, machine, "failed", "failed", "exit-code", ("it burns",)),), False
        return seen, up


@pytest.fixture
def machines() -> Machines:
    return Machines()


@pytest.fixture
def session(machines: Machines) -> Session:
    return Session(
        project=Project(Path(), "web", "", "", "lab", {"lab": machines.cluster}),
        cluster=machines.cluster,
        sources={},
        driver=machines,
        prober=machines,
        runners={},
        engines={},
        files=FakeMachineFiles({}),
        read_secret=FakeSecrets(),
        store=lambda: machines,
        clock=FakeClock(),
        progress=lambda text: None,
    )


def found(session: Session, *patterns: str) -> list[str]:
    return [f"{unit.machine}/{unit.name}" for unit in find(session, patterns)]


@pytest.mark.parametrize(
    ("pattern", "name", "is_meant"),
    [
        ("web@1.service", "web@1.service", True),
        ("web@1", "web@1.service", True),
        ("web@*", "web@1.service", True),
        ("*", "web-discovery@1.service", True),
        ("web", "web@1.service", False),
        ("web@", "web@1.service", False),
        ("WEB@1", "web@1.service", False),
        ("web@[12]", "web@2.service", True),
        ("", "web@1.service", False),
    ],
)
def test_a_name_may_lack_its_type_and_globs_are_the_shells(pattern: str, name: str, is_meant: bool) -> None:
    assert matches(pattern, UnitName.parse(name)) is is_meant


def test_units_are_found_once_however_often_they_are_named(session: Session) -> None:
    assert found(session, "web@1", "web@*", "web@1.service") == [
        "core-1/web@1.service",
        "core-2/web@2.service",
    ]


def test_another_projects_unit_is_not_found(session: Session) -> None:
    with pytest.raises(KitError, match="no unit web@9 on lab"):
        find(session, ["web@9"])


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("wbe@1", "Did you mean web@1.service?"),
        ("web-discovry@2.service", "Did you mean web-discovery@2.service?"),
        (
            "database",
            "Its units are web@1.service, web@2.service, web-discovery@1.service, web-discovery@2.service.",
        ),
    ],
)
def test_what_is_not_found_gets_the_nearest_or_the_list(session: Session, pattern: str, hint: str) -> None:
    with pytest.raises(KitError) as caught:
        find(session, [pattern])

    assert caught.value.hint == hint


def test_a_silent_machine_is_where_the_unit_may_be(session: Session, machines: Machines) -> None:
    machines.machines["core-2"].is_down = True

    with pytest.raises(KitError) as caught:
        find(session, ["database"])

    assert caught.value.hint == "It may stand on core-2."
    assert caught.value.details == ("core-2 does not answer",)


def test_all_units_of_a_machine_are_stopped_at_once(session: Session, machines: Machines) -> None:
    result = stop(session, find(session, ["*"]))

    assert sorted(machines.log) == [
        "core-1: stop web@1.service web-discovery@1.service",
        "core-2: stop web@2.service web-discovery@2.service",
    ]
    assert {outcome.active_state for outcome in result.outcomes} == {"inactive"}


def test_stopping_and_starting_twice_is_no_error(session: Session) -> None:
    units = find(session, ["web*"])

    for verb in (stop, stop, start, start):
        result = verb(session, units)

    assert {outcome.active_state for outcome in result.outcomes} == {"active"}


def test_a_unit_that_does_not_start_is_an_error(session: Session, machines: Machines) -> None:
    stop(session, find(session, ["web@1"]))
    machines.broken = {UnitName.parse("web@1.service")}

    with pytest.raises(KitError, match=r"core-1: web@1.service is inactive \(dead\) after start") as caught:
        start(session, find(session, ["web@1"]))

    assert caught.value.hint == "See why: coreos-kit logs web@1.service"


def test_what_failed_on_one_machine_is_told_and_the_other_is_done(
    session: Session, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = find(session, ["web@*"])
    machines.machines["core-1"].is_down = True

    with pytest.raises(Unreachable):
        stop(session, units)

    assert machines.log == ["core-2: stop web@2.service"]


def test_several_failures_are_one_error_that_holds_them_all(session: Session, machines: Machines) -> None:
    units = find(session, ["web@*"])
    machines.machines["core-1"].is_down = machines.machines["core-2"].is_down = True

    with pytest.raises(PartialFailure) as caught:
        stop(session, units)

    assert caught.value.details == ("core-1 does not answer", "core-2 does not answer")


def test_restart_does_one_after_the_other(session: Session, machines: Machines) -> None:
    result = restart(session, find(session, ["web@*"]))

    assert machines.log == [
        "core-1: stop web@1.service web-discovery@1.service",
        "core-1: start web@1.service web-discovery@1.service",
        "core-2: stop web@2.service web-discovery@2.service",
        "core-2: start web@2.service web-discovery@2.service",
    ]
    assert [str(outcome.name) for outcome in result.outcomes] == ["web@1.service", "web@2.service"]


def test_a_restart_that_fails_leaves_the_next_alone_and_shows_the_journal(
    session: Session, machines: Machines
) -> None:
    machines.failing = "web@1.service"

    with pytest.raises(KitError, match=r"did not come back: it is failed \(failed\)") as caught:
        restart(session, find(session, ["web@*"]))

    assert (caught.value.exit_code, caught.value.details) == (1, ("it burns",))
    assert not any("core-2" in line for line in machines.log)


def test_a_restart_that_takes_too_long_is_a_timeout(session: Session, machines: Machines) -> None:
    machines.broken = {UnitName.parse("web@1.service")}
    machines.machines["core-1"].active.clear()

    with pytest.raises(TimedOut, match=r"did not come back within 90 s: it is inactive \(dead\)"):
        restart(session, find(session, ["web@1"]))


def test_a_sidekick_goes_with_its_unit_and_first(session: Session, machines: Machines) -> None:
    units = with_sidekicks(session, find(session, ["web@1"]))

    destroy(session, units)

    assert [str(unit.name) for unit in units] == ["web-discovery@1.service", "web@1.service"]
    assert machines.names() == [
        "core-2/web-discovery@2.service",
        "core-2/web@2.service",
        "core-3/web@9.service",
    ]


def test_a_sidekick_that_was_named_too_is_there_once(session: Session) -> None:
    assert len(with_sidekicks(session, find(session, ["web*@1"]))) == 2


def test_a_sidekick_alone_does_not_take_its_unit_along(session: Session) -> None:
    assert [str(u.name) for u in with_sidekicks(session, find(session, ["web-discovery@1"]))] == [
        "web-discovery@1.service"
    ]


def test_destroy_asks_each_machine_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Change] = []
    apply = session.driver.apply
    monkeypatch.setattr(session.driver, "apply", lambda change: (asked.append(change), apply(change))[1])

    destroy(session, find(session, ["*"]))

    assert sorted(change.machine for change in asked) == ["core-1", "core-2"]
    assert all(change.stop == change.remove for change in asked)
