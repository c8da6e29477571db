"""What a deploy has done so far, step by step: what stands where when it stops."""

from collections.abc import Iterable, Iterator, Sequence

from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitChange, Verb


class Ledger:
    """Of each step whether it was begun, done, and put back again."""

    def __init__(self, waves: Sequence[Sequence[Step]]) -> None:
        self._waves = waves
        self.done: list[Step] = []
        self._begun: list[Step] = []
        self._back: list[Step] = []

    def begin(self, steps: Iterable[Step]) -> None:
        """Note steps that change something from now on."""
        self._begun += steps

    def finish(self, steps: Iterable[Step]) -> None:
        """Note steps that stand."""
        self.done += steps

    def put_back(self, step: Step) -> None:
        """Note a step of which nothing stands any more."""
        self._back.append(step)

    def to_put_back(self) -> tuple[Step, ...]:
        """Return what was begun, in the order of going back: what failed first, then what was done last."""
        unclear = [step for step in self._begun if step not in self.done]
        return (*reversed(unclear), *reversed(self.done))

    def is_done(self, step: Step) -> bool:
        """Whether a step came to its end."""
        return step in self.done

    def lines(self, seen: Observation | None = None) -> Iterator[str]:
        """Say of each change how it stands; `seen` is a last look, which tells of what else is unclear."""
        for step in (step for wave in self._waves for step in wave):
            state = self._state(step)
            for change in step.changes:
                found = how_it_stands(change, seen) if seen and state == "unclear" else state
                yield f"{found}: {change.verb} {change.name} on {change.machine}"

    def _state(self, step: Step) -> str:
        if step in self._back:
            return "put back"
        if step in self.done:
            return "done"
        return "unclear" if step in self._begun else "not begun"


def how_it_stands(change: UnitChange, seen: Observation) -> str:
    """Say how the unit of a change stands: as before, as planned, or neither, and whether it runs."""
    if change.machine not in seen.machines or change.machine in seen.unreachable:
        return "unclear"
    unit = unit_at(seen, change.name, change.machine)
    text = unit.text if unit else None
    planned = None if change.verb is Verb.REMOVE else change.after
    which = "as before" if text == change.before else "as planned" if text == planned else "neither"
    return f"{which}, {unit.active_state}" if unit and text is not None else which


def unit_at(seen: Observation, name: UnitName, machine: str) -> ObservedUnit | None:
    """Return a unit as one machine has it."""
    return next((unit for unit in seen.units(name) if unit.machine == machine), None)
