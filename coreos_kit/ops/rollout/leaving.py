"""How what runs leaves: held out of etcd, out of every balancer's pool, and only then drained and stopped."""

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.stage import Stage
from coreos_kit.ops.rollout.work import Instance, Work
from coreos_kit.planning import change_of
from coreos_kit.ports import Change, UnitOutcome


class Leaving:
    """Takes out what a step stops. `held` are the sidekicks that were asked and whose units still run."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.held: dict[str, tuple[UnitName, ...]] = {}

    def take_out(self, step: Step) -> None:
        """Look at the machine once more, and see that no balancer sends anything to what the step stops.

        Raises `KitError` where the plan does not fit any more, where nothing would be left to serve, or
        where a balancer goes on listing it although others would be there to serve.
        """
        work = self._work
        if not step.machine or step.machine not in work.observed.machines:
            return
        leaving = [instance for instance in work.instances(step) if self._stops(step, instance)]
        for instance in leaving:
            if instance.service.name in work.guarded:
                work.pools.wait_until_spared(instance.service, instance.server, work.timeout_s)
        sidekicks = [
            sidekick
            for instance in leaving
            if (sidekick := instance.sidekick) and heeds_signals(self._text(step, sidekick))
        ]
        self.held[step.machine] = tuple(sidekicks)
        glance = work.session.driver.hold_out(step.machine, sidekicks, step.units)
        work.look(step, glance)
        for instance in leaving:
            if instance.sidekick in sidekicks:
                self._wait_until_dropped(instance)

    def stopped(self, machine: str) -> None:
        """Learn that what was held out has stopped, and with it its sidekick."""
        self.held.pop(machine, None)

    def let_in(self) -> None:
        """Let in again what was held out and has not stopped; if that fails, it is said, and no error."""
        session = self._work.session
        for machine, sidekicks in self.held.items():
            if not sidekicks:
                continue
            try:
                session.driver.let_in(machine, sidekicks)
            except KitError as error:
                names = ", ".join(map(str, sidekicks))
                session.progress(
                    f"{machine}: {names} may be held out of the pool until the next deploy: {error}"
                )
        self.held.clear()

    def _wait_until_dropped(self, instance: Instance) -> None:
        work, registration = self._work, instance.service.registration
        work.heard.stage(instance.main, instance.machine, Stage.HELD_OUT)
        if registration:
            try:
                work.pools.wait_until_dropped(instance.service, instance.server, registration.ttl_s)
            except KitError as error:
                if instance.service.name in work.guarded:
                    raise
                # Where another has just died, a balancer takes it for a stampede and keeps the last one.
                work.session.progress(
                    f"{error}; it stops all the same, as nothing else serves and that is allowed"
                )
        work.heard.stage(instance.main, instance.machine, Stage.DROPPED)

    def _stops(self, step: Step, instance: Instance) -> bool:
        return bool({instance.main, instance.sidekick}.intersection(change_of(step).stop))

    def _text(self, step: Step, unit: UnitName) -> str:
        """Return the text that runs: what the step replaces, or what was observed of what comes along."""
        found = next((change.before for change in step.changes if change.name == unit), None)
        if found is None:
            found = next(
                (seen.text for seen in self._work.observed.machines[step.machine].units if seen.name == unit),
                None,
            )
        return found or ""


def heeds_signals(text: str) -> bool:
    """Whether a sidekick is one of ours, which stays out on SIGUSR1; any other would be killed by it."""
    return "USR1" in text and "USR2" in text


def stop_alone(work: Work, step: Step) -> None:
    """Stop what a step stops, and nothing more yet: several that leave at once look like a stampede."""
    stop = change_of(step).stop
    if not stop:
        return
    work.tell(step, Stage.STOPPING)
    for outcome in work.session.driver.apply(Change(step.machine, stop=stop)):
        if outcome.active_state not in ("inactive", "failed"):
            raise does_not_stop(outcome)
    work.tell(step, Stage.STOPPED)


def does_not_stop(outcome: UnitOutcome) -> KitError:
    """Say of a unit that it was to stop and did not."""
    state = f"{outcome.active_state} ({outcome.sub_state})"
    return KitError(
        f"{outcome.machine}: {outcome.name} does not stop: it is {state}", details=outcome.journal
    )
