"""Restart, one instance after the other: out of every pool before it stops, back before the next one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coreos_kit.errors import KitError, TimedOut
from coreos_kit.model.cluster import ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.ops.rollout.leaving import Leaving
from coreos_kit.ops.rollout.listening import Listeners
from coreos_kit.ops.rollout.pools import Pools
from coreos_kit.ops.rollout.work import Work
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import DEFAULT_TIMEOUT_S, UnitsResult
from coreos_kit.ports import Change, UnitOutcome


@dataclass(frozen=True, slots=True)
class _Turn:
    """What stops and starts together: units that were named, and a sidekick that they take along."""

    machine: str
    named: tuple[UnitName, ...]
    along: tuple[UnitName, ...] = ()

    @property
    def step(self) -> Step:
        """Return it as a step of a deploy that changes nothing."""
        return Step(self.machine, (), (*self.named, *self.along))


def restart(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Restart units in their order, each back before the next. Asks balancers, and no etcd.

    The last one that serves is restarted like any other: whoever names it means it.
    """
    observed = session.driver.observe([unit.name for unit in units])
    work = Work(
        session,
        observed,
        DEFAULT_TIMEOUT_S,
        Listeners(()),
        Pools(session, observed),
        look=lambda *_: None,
        guarded=frozenset(),
        is_awaited=lambda *_: True,
    )
    outcomes: list[UnitOutcome] = []
    turns = [*_turns(work, units)]
    for turn in turns:
        for name in turn.named:
            session.progress(f"{turn.machine}: restart {name}")
        outcomes += _restart(work, turn)
        for balancer in work.pools.units & {*turn.named} if turn is not turns[-1] else ():
            work.pools.wait_until_serving(balancer, turn.machine, DEFAULT_TIMEOUT_S)
    return UnitsResult("restart", tuple(outcomes))


def _turns(work: Work, units: Sequence[ObservedUnit]) -> Iterator[_Turn]:
    named: dict[tuple[str, UnitName], list[UnitName]] = {}
    for unit in units:
        instance = work.instance(unit.name, unit.machine)
        named.setdefault((unit.machine, instance.main if instance else unit.name), []).append(unit.name)
    for (machine, main), names in named.items():
        instance = work.instance(main, machine)
        sidekick = instance.sidekick if instance and main in names else None
        runs = sidekick and any(
            seen.machine == machine and seen.is_active for seen in work.observed.units(sidekick)
        )
        yield _Turn(machine, tuple(names), (sidekick,) if sidekick and runs and sidekick not in names else ())


def _restart(work: Work, turn: _Turn) -> Iterator[UnitOutcome]:
    driver = work.session.driver
    everything = turn.step.restarts
    leaving = Leaving(work)
    try:
        leaving.take_out(turn.step)
        driver.apply(Change(turn.machine, stop=everything, start=everything))
        leaving.stopped(turn.machine)
    finally:
        leaving.let_in()
    seen, up = driver.wait_until_up(turn.machine, everything, (), timeout_s=DEFAULT_TIMEOUT_S)
    if not up:
        raise _did_not_come_back(turn, seen)
    for instance in work.instances(turn.step):
        if instance.sidekick in everything:
            work.pools.wait_until_listed(instance.service, [instance.server], DEFAULT_TIMEOUT_S)
    return (outcome for outcome in seen if outcome.name in turn.named)


def _did_not_come_back(turn: _Turn, seen: Sequence[UnitOutcome]) -> KitError:
    unit = turn.named[0]
    hint = f"See more: coreos-kit logs {unit}"
    journal = [line for outcome in seen for line in outcome.journal]
    ill = [outcome for outcome in seen if outcome.active_state != "active"] or seen
    state = ", ".join(f"{outcome.active_state} ({outcome.sub_state})" for outcome in ill) or "gone"
    if any(outcome.active_state == "failed" for outcome in seen):
        return KitError(
            f"{turn.machine}: {unit} did not come back: it is {state}", details=journal, hint=hint
        )
    return TimedOut(
        f"{turn.machine}: {unit} did not come back within {DEFAULT_TIMEOUT_S} s: it is {state}",
        details=journal,
        hint=hint,
    )
