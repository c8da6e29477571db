"""Logs: journal entries as they are read, and machines merged by time."""

import json
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry, Project
from coreos_kit.ops.logs import LogLine, Silence, follow, journal_argv, logs, read_line
from coreos_kit.ops.session import Session
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets
from coreos_kit.testing.runner import Answer, FakeRunner

WEB = UnitName.parse("web@1.service")


def entry(time_us: int, message: Any, **fields: Any) -> str:
    return json.dumps(
        {"__REALTIME_TIMESTAMP": str(time_us), "MESSAGE": message, "_SYSTEMD_UNIT": "web@1.service"} | fields
    )


def runner(machine: str, *entries: str, hangs: bool = False) -> FakeRunner:
    text = "".join(f"{line}\n" for line in entries).encode()
    return FakeRunner(machine, {"journalctl": lambda args, stdin: Answer(text, hangs=hangs)})


def session(*runners: FakeRunner) -> Session:
    machines = tuple(MachineEntry(found.machine, found.machine) for found in runners)
    cluster = Cluster("lab", PROFILES["debian"], DriverKind.SYSTEMD, machines, (), ())
    fake = FakeCluster(cluster)
    return Session(
        project=Project(Path(), "web", "", "", "lab", {"lab": cluster}),
        cluster=cluster,
        sources={},
        driver=fake,
        prober=fake,
        runners={found.machine: found for found in runners},
        engines={},
        files=FakeMachineFiles({}),
        read_secret=FakeSecrets(),
        store=lambda: fake,
        clock=FakeClock(),
        progress=lambda text: None,
    )


def everywhere(of: Session) -> dict[str, list[UnitName]]:
    return {name: [WEB] for name in of.runners}


def test_an_entry_is_read_with_its_machines_clock() -> None:
    assert read_line("core-1", entry(1_700_000_000_000_001, "hello")) == LogLine(
        1_700_000_000_000_001, "core-1", "web@1.service", "hello"
    )


def test_systemds_own_words_about_a_unit_belong_to_the_unit() -> None:
    said = read_line("core-1", entry(1, "Started", UNIT="web@1.service", _SYSTEMD_UNIT="init.scope"))

    assert said is not None
    assert said.unit == "web@1.service"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (list("naïve".encode()), "naïve"),
        ([255, 104, 105], "\ufffdhi"),
        (["two", "fields"], "two fields"),
        ([list(b"a"), "b"], "a b"),
        ([], ""),
        (None, ""),
        (7, "7"),
    ],
)
def test_a_message_may_be_bytes_or_repeated_or_nothing(message: Any, said: str) -> None:
    line = read_line("core-1", entry(1, message))

    assert line is not None
    assert line.message == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- No entries --",
        "{",
        "[]",
        "3",
        "null",
        '{"MESSAGE": "no time"}',
        '{"__REALTIME_TIMESTAMP": "x"}',
    ],
)
def test_what_is_no_entry_is_passed_over(text: str) -> None:
    assert read_line("core-1", text) is None


def test_only_the_units_and_lines_that_were_asked_for_are_read() -> None:
    assert journal_argv([WEB], lines=5)[-2:] == ["--lines=5", "--unit=web@1.service"]
    assert journal_argv([WEB], lines=5, follow=True)[-1] == "--follow"


def test_machines_are_merged_by_time() -> None:
    cluster = session(
        runner("core-1", entry(1, "a"), entry(4, "d")), runner("core-2", entry(2, "b"), entry(3, "c"))
    )

    found = list(logs(cluster, everywhere(cluster), lines=10))

    assert [line.message for line in found if isinstance(line, LogLine)] == ["a", "b", "c", "d"]


def test_entries_of_one_moment_stay_apart() -> None:
    cluster = session(runner("core-2", entry(1, "same")), runner("core-1", entry(1, "same")))

    assert [found.machine for found in logs(cluster, everywhere(cluster), lines=10)] == ["core-1", "core-2"]


def test_a_machine_that_is_silent_comes_last_with_the_reason() -> None:
    down = runner("core-1")
    down.is_down = True
    cluster = session(down, runner("core-2", entry(1, "here")))

    found = list(logs(cluster, everywhere(cluster), lines=10))

    assert isinstance(found[0], LogLine)
    assert isinstance(found[1], Silence)
    assert (found[1].machine, str(found[1].error)) == (
        "core-1",
        "core-1 can't be reached: connection refused",
    )


def test_the_journal_is_read_as_root() -> None:
    core = runner("core-1")
    cluster = session(core)

    list(logs(cluster, everywhere(cluster), lines=10))

    assert core.log[0][:2] == ("#", "journalctl")


class Ticking(FakeClock):
    """Time passes with every look at the clock."""

    def now(self) -> float:
        self.time += 0.1
        return self.time


def following(*runners: FakeRunner) -> tuple[Session, Event]:
    cluster = session(*runners)
    object.__setattr__(cluster, "clock", Ticking())
    return cluster, Event()


def test_following_ends_when_every_journal_has_ended() -> None:
    cluster, stop = following(runner("core-1", entry(1, "a")), runner("core-2", entry(2, "b")))

    found = list(follow(cluster, everywhere(cluster), lines=10, stop=stop))

    assert sorted(line.message for line in found if isinstance(line, LogLine)) == ["a", "b"]


def test_following_goes_on_with_the_others_where_one_is_silent() -> None:
    down = runner("core-1")
    down.is_down = True
    cluster, stop = following(down, runner("core-2", entry(2, "b")))

    found = list(follow(cluster, everywhere(cluster), lines=10, stop=stop))

    assert {type(item) for item in found} == {LogLine, Silence}


def test_following_ends_when_it_is_told_to_stop() -> None:
    cluster, stop = following(runner("core-1", entry(1, "a"), hangs=True))
    found: list[LogLine | Silence] = []

    def read() -> None:
        for item in follow(cluster, everywhere(cluster), lines=10, stop=stop):
            found.append(item)
            stop.set()

    reader = Thread(target=read)
    reader.start()
    reader.join(10)

    assert not reader.is_alive()
    assert len(found) == 1
