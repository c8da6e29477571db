"""How a deploy tells where each instance is: live lines on a terminal, else a line a stage; then times."""

import sys
from io import StringIO

import pytest

from coreos_kit.cli.show_rollout import Rollout, following
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.stage import Stage
from coreos_kit.testing.clock import FakeClock
from tests.cli.conftest import Kit

APACHE = UnitName.parse("apache@7777.service")


class Terminal(StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def roll(clock: FakeClock) -> None:
    with following(clock) as rollout:
        rollout.before_step(Step("core-1", ()))
        for stage, seconds in (
            (Stage.HELD_OUT, 0.2),
            (Stage.DROPPED, 0.5),
            (Stage.REPLACING, 0.0),
            (Stage.REPLACED, 5.5),
            (Stage.ACTIVE, 0.5),
            (Stage.IN_POOL, 1.0),
        ):
            clock.sleep(seconds)
            rollout.stage(APACHE, "core-1", stage)


def test_without_a_terminal_each_stage_is_a_line_and_the_times_come_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    roll(FakeClock())

    assert capsys.readouterr().err == (
        "core-1: apache@7777.service: held out\n"
        "core-1: apache@7777.service: out of the pool\n"
        "core-1: apache@7777.service: draining and replacing\n"
        "core-1: apache@7777.service: replaced\n"
        "core-1: apache@7777.service: active\n"
        "core-1: apache@7777.service: in the pool\n"
        "apache@7777.service on core-1: in the pool after 7.7 s (held out 0.2 s, out of the pool 0.5 s,"
        " draining and replacing 5.5 s, active 0.5 s, in the pool 1.0 s)\n"
    )


def test_what_failed_tells_what_was_under_way_and_going_back_has_times_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()

    with following(clock) as rollout:
        rollout.before_step(Step("core-1", ()))
        for stage in (Stage.REPLACING, Stage.FAILED, Stage.REPLACING, Stage.REPLACED, Stage.ACTIVE):
            rollout.stage(APACHE, "core-1", stage)
            clock.sleep(2.0)

    assert capsys.readouterr().err.splitlines()[-1] == (
        "apache@7777.service on core-1: active after 8.0 s (draining and replacing until failed 2.0 s,"
        " draining and replacing 4.0 s, active 2.0 s)"
    )


def test_on_a_terminal_there_is_one_line_that_ends_with_the_last_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    roll(FakeClock())

    shown = terminal.getvalue()
    assert "apache@7777.service  core-1  held out, 0 s" in shown
    assert "apache@7777.service  core-1  in the pool" in shown
    assert "core-1: apache@7777.service: held out" not in shown
    assert "in the pool after 7.7 s" in shown


def test_an_instance_that_begins_while_the_lines_are_drawn_does_not_tear_them() -> None:
    """The lines are drawn by a thread of the terminal's own."""

    class Slow(UnitName):
        def __str__(self) -> str:
            rollout.stage(UnitName.parse(f"late@{next(late)}.service"), "core-2", Stage.STARTING)
            return super().__str__()

    late = iter(range(100))
    rollout = Rollout(FakeClock())
    rollout.stage(APACHE, "core-1", Stage.HELD_OUT)
    rollout._courses = {(Slow("apache", "service", "7777"), "core-1"): rollout._courses[APACHE, "core-1"]}

    assert rollout._lines() == ["apache@7777.service  core-1  held out, 0 s"]


def test_a_change_tells_every_stage_of_every_instance_on_stderr(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    err = deployed("deploy", "--yes").err

    stages = (
        *("held out", "out of the pool", "draining and replacing", "replaced"),
        *("active", "registered", "in the pool"),
    )
    told = [line for line in err.splitlines() if line.startswith("core-") and ".service: " in line]
    assert told == [
        f"core-{n}: apache@{instance}.service: {stage}"
        for n, instance in ((1, 7777), (2, 8888))
        for stage in stages
    ]
    assert sum("in the pool after" in line for line in err.splitlines()) == 2


def test_with_nothing_to_do_there_is_nothing_to_tell(deployed: Kit) -> None:
    assert deployed("deploy", "--yes").err == ""
