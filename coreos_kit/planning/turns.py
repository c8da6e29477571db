"""Whose turn it is: what serves changes one after the other, and what does not serve comes before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.model.plan import DesiredUnit, Step, UnitKind


@dataclass(frozen=True, slots=True)
class Run:
    """The steps of one instance on one machine, which follow each other: one, or two where it moves."""

    unit: DesiredUnit
    steps: tuple[Step, ...]
    serves: bool  # while nothing has been done yet


def in_turn(runs: Sequence[Run], at_a_time: Mapping[str, int]) -> Iterator[tuple[Step, ...]]:
    """Yield waves: what does not serve first, balancers last, of a service as many at once as it can spare.

    Only what stays on its machine shares a wave, and no two on the same machine do.
    """
    ordered = sorted(runs, key=lambda run: (run.unit.kind is UnitKind.LOAD_BALANCER, run.serves))
    wave: list[Run] = []
    for run in ordered:
        if wave and not _fits(run, wave, at_a_time):
            yield tuple(step for other in wave for step in other.steps)
            wave = []
        if len(run.steps) == 1:
            wave.append(run)
        else:
            yield from ((step,) for step in run.steps)
    if wave:
        yield tuple(step for run in wave for step in run.steps)


def _fits(run: Run, wave: Sequence[Run], at_a_time: Mapping[str, int]) -> bool:
    first = wave[0]
    return (
        len(run.steps) == 1
        and run.unit.kind is not UnitKind.LOAD_BALANCER
        and run.unit.service == first.unit.service
        and run.serves == first.serves
        and len(wave) < at_a_time.get(run.unit.service, 1)
        and all(run.steps[0].machine != other.steps[0].machine for other in wave)
    )
