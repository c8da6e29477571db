"""Who follows a deploy as it goes, and may stop it: the lock, hooks, what is shown of it."""

from collections.abc import Sequence

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.stage import Stage


class Listener:
    """Told of every step and stage, on the thread that deploys. By itself it does nothing.

    A `KitError` that `before_files` or `before_step` raises stops the deploy before that is touched.
    """

    def before_files(self) -> None:
        """Hear that machines are about to be changed beside the steps: files, sidekicks that are let in."""

    def before_step(self, step: Step) -> None:
        """Hear that a step is about to begin; of a wave's steps, each before any of them is touched."""

    def stage(self, unit: UnitName, machine: str, stage: Stage) -> None:
        """Hear that a unit has come to a stage."""

    def after_step(self, step: Step) -> None:
        """Hear that a step is done, and all of it stands."""

    def going_back(self, error: KitError) -> None:
        """Hear that what was changed is put back from now on, and why; `before_step` still may stop that."""


class Listeners(Listener):
    """Several listeners as one, told in their order."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._all = tuple(listeners)

    def before_files(self) -> None:
        """See `Listener.before_files`."""
        for listener in self._all:
            listener.before_files()

    def before_step(self, step: Step) -> None:
        """See `Listener.before_step`."""
        for listener in self._all:
            listener.before_step(step)

    def stage(self, unit: UnitName, machine: str, stage: Stage) -> None:
        """See `Listener.stage`."""
        for listener in self._all:
            listener.stage(unit, machine, stage)

    def after_step(self, step: Step) -> None:
        """See `Listener.after_step`."""
        for listener in self._all:
            listener.after_step(step)

    def going_back(self, error: KitError) -> None:
        """See `Listener.going_back`."""
        for listener in self._all:
            listener.going_back(error)
