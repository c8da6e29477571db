"""Whether two plans are the same work: what was confirmed is what is done, though time has passed."""

from collections.abc import Sequence
from dataclasses import replace

from coreos_kit.model.plan import Plan, Step
from coreos_kit.units.secret_files import bare_name, unpinned
from coreos_kit.units.stamp import stamped


def same_work(project: str, one: Plan, other: Plan) -> bool:
    """Tell whether two plans change the same units in the same way, in the same order, on the same machines.

    What they tell beside it does not count, reasons least of all: a unit that fails over and over has another
    one at each look. Nor what a secret's file is called, which before the first deploy is new in each plan.
    """
    return _work(project, one) == _work(project, other)


def _work(project: str, made: Plan) -> tuple[object, ...]:
    waves = tuple(tuple(_step(project, step) for step in wave) for wave in made.waves)
    files = {machine: (_bare(names.write), _bare(names.remove)) for machine, names in made.files.items()}
    return waves, dict(made.placements), dict(made.environments), files


def _step(project: str, step: Step) -> Step:
    changes = tuple(
        replace(
            change,
            reason="",
            after=None if change.after is None else stamped(unpinned(change.after, project)),
        )
        for change in step.changes
    )
    return replace(step, changes=changes)


def _bare(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(map(bare_name, names)))
