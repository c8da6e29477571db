"""How a deploy goes: on a terminal a live line each instance, else a line each stage; then the times."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coreos_kit.cli import output
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.stage import Stage
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ports import Clock


@dataclass(slots=True)
class _Course:
    """The stages of one instance so far, each with the time at which it came to it."""

    began: float
    stages: list[tuple[Stage, float]] = field(default_factory=list)

    @property
    def last(self) -> Stage:
        return self.stages[-1][0]

    def seconds(self, until: float | None = None) -> float:
        return (until if until is not None else self.stages[-1][1]) - self.began

    def parts(self) -> Iterator[str]:
        """Yield how long each stage took: to come to it, or for what was under way until the next one."""
        before, doing = self.began, ""
        for stage, at in self.stages:
            if stage in _UNDER_WAY:
                doing = str(stage)
                continue
            what = f"{doing} until {stage}" if doing and stage is Stage.FAILED else doing or stage
            yield f"{what} {at - before:.1f} s"
            before, doing = at, ""


class Rollout(Listener):
    """Follows a deploy and writes on stderr."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}
        self._courses: dict[tuple[UnitName, str], _Course] = {}
        self._live = output.try_live(self._lines)

    def before_step(self, step: Step) -> None:
        """Take the time from here on."""
        self._began[step.machine] = self._clock.now()

    def stage(self, unit: UnitName, machine: str, stage: Stage) -> None:
        """Show the stage."""
        now = self._clock.now()
        course = self._courses.get((unit, machine)) or _Course(self._began.get(machine, now))
        course.stages.append((stage, now))
        self._courses[unit, machine] = course  # only now: the terminal's own thread draws what is in there
        if self._live:
            self._live.begin()
        else:
            output.say(f"{machine or 'the cluster'}: {unit}: {stage}")

    def end(self) -> None:
        """Leave the terminal as it is, and sum up."""
        if self._live:
            self._live.end()
        for (unit, machine), course in self._courses.items():
            where, parts = machine or "the cluster", ", ".join(course.parts())
            output.say(f"{unit} on {where}: {course.last} after {course.seconds():.1f} s ({parts})")

    def _lines(self) -> list[str]:
        now, courses = self._clock.now(), list(self._courses.items())
        width = max((len(str(unit)) for (unit, _), _ in courses), default=0)
        return [
            f"{unit!s:{width}}  {machine}  {course.last}"
            + ("" if course.last in _ENDS else f", {course.seconds(now):.0f} s")
            for (unit, machine), course in courses
        ]


_UNDER_WAY = frozenset({Stage.STOPPING, Stage.REPLACING, Stage.STARTING})
_ENDS = frozenset({Stage.IN_POOL, Stage.SERVING, Stage.REMOVED, Stage.FAILED})


@contextmanager
def following(clock: Clock) -> Iterator[Rollout]:
    """Follow what is deployed inside a block; however it ends, its times are told."""
    rollout = Rollout(clock)
    try:
        yield rollout
    finally:
        rollout.end()
