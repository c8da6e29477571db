"""One wave of a deploy: what runs leaves first, then come its steps, at once, until all of it serves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Plan, Step, Verb
from coreos_kit.model.stage import Stage
from coreos_kit.ops.rollout.coming import Coming, Failures, Places
from coreos_kit.ops.rollout.leaving import Leaving, does_not_stop, stop_alone
from coreos_kit.ops.rollout.work import Work
from coreos_kit.parallel import on_each
from coreos_kit.planning import change_of
from coreos_kit.ports import UnitOutcome


class Wave:
    """The steps of one wave. Where the cluster places units itself, they may come up elsewhere."""

    def __init__(self, work: Work, steps: Sequence[Step]) -> None:
        self._work = work
        self._steps = {step.machine: step for step in steps}
        self.begun: set[str] = set()  # machines of the steps that have changed something, or may have

    def run(self) -> Mapping[str, Places | KitError]:
        """Make the changes and wait; return where each step's units came up, or what went wrong with it.

        Keyed by the steps' machines. For what is new, the number of round trips doesn't grow with it.
        """
        for machine, step in self._steps.items():
            self._work.session.progress(f"{machine or 'the cluster'}: {_described(step)}")
        leaving = Leaving(self._work)
        try:
            refused = self._take_out(leaving)
            if refused:
                return refused
            came = self._change()
            for machine, result in came.items():
                if not isinstance(result, KitError):
                    self._stopped(leaving, machine)
        finally:
            leaving.let_in()
        deadline = self._work.session.clock.now() + self._work.timeout_s
        coming = Coming(self._work, deadline)
        self._reach(came, coming.wait_until_up, Stage.ACTIVE)
        self._reach(came, coming.wait_until_registered, Stage.REGISTERED)
        self._reach(came, coming.wait_until_in_pool, Stage.IN_POOL)
        return came

    def _take_out(self, leaving: Leaving) -> Mapping[str, KitError]:
        """Take out what the steps stop, one after the other; several are stopped one after the other too."""
        stopping = [step for step in self._steps.values() if change_of(step).stop]
        looked = on_each(
            [machine for machine, step in self._steps.items() if step not in stopping],
            lambda machine: leaving.take_out(self._steps[machine]),
        )
        refused = {machine: error for machine, error in looked.items() if isinstance(error, KitError)}
        for step in stopping:
            if refused:
                break
            try:
                leaving.take_out(step)
                if len(stopping) > 1:
                    self.begun.add(step.machine)
                    stop_alone(self._work, step)
                    self._stopped(leaving, step.machine)
            except KitError as error:
                refused[step.machine] = error
        return refused

    def _stopped(self, leaving: Leaving, machine: str) -> None:
        leaving.stopped(machine)
        for unit in change_of(self._steps[machine]).stop:
            self._work.pools.left(unit, machine)

    def _change(self) -> dict[str, Places | KitError]:
        for step in self._steps.values():
            self._work.tell(step, _stage_of(step))
        self.begun |= self._steps.keys()
        answers = self._work.session.driver.apply_all(
            [change_of(step) for step in self._steps.values()], timeout_s=self._work.timeout_s
        )
        came: dict[str, Places | KitError] = {}
        for machine, step in self._steps.items():
            answer = answers[machine]
            came[machine] = answer if isinstance(answer, KitError) else _places(step, answer)
            if isinstance(came[machine], KitError):
                self._work.tell(step, Stage.FAILED)
            else:
                self._work.tell(step, _DONE[_stage_of(step)])
        return came

    def _reach(
        self, came: dict[str, Places | KitError], wait: Callable[[Places], Failures], stage: Stage
    ) -> None:
        """Wait for a stage with all steps at once that have come so far, and tell of each that reaches it."""
        standing: dict[UnitName, tuple[str, ...]] = {}
        for places in came.values():
            if not isinstance(places, KitError):
                for unit, machines in places.items():
                    awaited = tuple(machine for machine in machines if self._work.is_awaited(unit, machine))
                    standing[unit] = (*standing.get(unit, ()), *awaited)
        failures = wait(standing) if standing else {}
        for machine, step in self._steps.items():
            places = came[machine]
            if isinstance(places, KitError):
                continue
            failed = next((failures[unit] for unit in step.units if unit in failures), None)
            if failed:
                came[machine] = failed
                self._work.tell(step, Stage.FAILED)
            else:
                self._tell(places, stage)

    def _tell(self, places: Places, stage: Stage) -> None:
        """Tell once an instance, and of etcd and pools only what registers."""
        for unit, machines in places.items():
            for machine in machines:
                instance = self._work.instance(unit, machine)
                if stage is Stage.ACTIVE and (instance is None or unit == instance.main):
                    self._work.heard.stage(unit, machine, stage)
                elif stage is Stage.IN_POOL and unit in self._work.pools.units:
                    self._work.heard.stage(unit, machine, Stage.SERVING)
                elif stage is not Stage.ACTIVE and instance and unit == instance.sidekick:
                    self._work.heard.stage(instance.main, machine, stage)


_DONE = {
    Stage.STOPPING: Stage.REMOVED,
    Stage.REPLACING: Stage.REPLACED,
    Stage.STARTING: Stage.STARTED,
}


def _stage_of(step: Step) -> Stage:
    change = change_of(step)
    if not change.start:
        return Stage.STOPPING
    return Stage.REPLACING if change.stop else Stage.STARTING


def as_it_came(plan: Plan, places: Places) -> Plan:
    """Return the plan with the machines on which units came up, where the cluster chose others."""

    def moved(step: Step) -> Step:
        changes = tuple(
            replace(change, machine=places[change.name][0])
            if change.verb is not Verb.REMOVE
            and change.name in places
            and change.machine not in places[change.name]
            else change
            for change in step.changes
        )
        return replace(step, changes=changes)

    return replace(
        plan,
        waves=tuple(tuple(moved(step) for step in wave) for wave in plan.waves),
        placements={
            **plan.placements,
            **{
                unit: came for unit, came in places.items() if not {*came} <= {*plan.placements.get(unit, ())}
            },
        },
    )


def _places(step: Step, outcomes: Sequence[UnitOutcome]) -> Places | KitError:
    """Say where the step's units are; an error for one that does not stop, or was placed nowhere."""
    removed = {change.name for change in step.changes if change.verb is Verb.REMOVE}
    places: dict[UnitName, tuple[str, ...]] = {}
    for outcome in outcomes:
        if outcome.name in removed and outcome.active_state not in ("inactive", "failed"):
            return does_not_stop(outcome)
    for outcome in outcomes:
        if outcome.name in removed or outcome.name not in step.units:
            continue
        if not outcome.machine:
            return KitError(
                f"{outcome.name} was placed on no machine: it is {outcome.active_state}",
                details=outcome.journal,
                hint="Add a machine, or loosen the service's conflicts or machine_metadata.",
            )
        if outcome.machine not in places.get(outcome.name, ()):
            places[outcome.name] = (*places.get(outcome.name, ()), outcome.machine)
    return places


def _described(step: Step) -> str:
    by_verb: dict[Verb, list[str]] = {}
    for change in step.changes:
        by_verb.setdefault(change.verb, []).append(str(change.name))
    return ", ".join(f"{verb} {' '.join(names)}" for verb, names in by_verb.items())
