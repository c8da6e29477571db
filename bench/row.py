"""What a measurement is: samples, the bound they stand against, and the verdict. Measures nothing."""

import math
import statistics
from dataclasses import dataclass
from enum import Enum, StrEnum

MISSED_OVER = 1.5  # times the bound


class Unit(Enum):
    """What a figure counts, and how it is written."""

    MILLISECONDS = "{:.0f} ms"
    SECONDS = "{:.2f} s"
    MEGABYTES = "{:.0f} MB"
    TIMES = "{:.2f} x"
    COUNT = "{:.0f}"

    def shown(self, value: float) -> str:
        """Write a value with its unit."""
        return self.value.format(value)


class Verdict(StrEnum):
    """How a figure stands against its bound."""

    HOLDS = "holds"
    OVER = "over"
    MISSED = "missed"
    NO_BOUND = "no bound"
    NOT_MEASURED = "not measured"


class Statistic(StrEnum):
    """Which of the samples is held against the bound."""

    MEDIAN = "median"
    P95 = "p95"
    MOST = "max"


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one thing. `limit` is the bound in the samples' unit, None where there is none."""

    name: str
    unit: Unit
    samples: tuple[float, ...]
    limit: float | None = None
    statistic: Statistic = Statistic.MEDIAN

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.name} has no samples")

    @property
    def value(self) -> float:
        """The sample that the statistic names."""
        ordered = sorted(self.samples)
        if self.statistic is Statistic.MEDIAN:
            return statistics.median(ordered)
        if self.statistic is Statistic.MOST:
            return ordered[-1]
        return ordered[math.ceil(0.95 * len(ordered)) - 1]  # the nearest rank: one that was really seen

    @property
    def verdict(self) -> Verdict:
        """Missed is what is over 1.5 times its bound; over is what lies between."""
        if self.limit is None:
            return Verdict.NO_BOUND
        if self.value <= self.limit:
            return Verdict.HOLDS
        return Verdict.MISSED if self.value > MISSED_OVER * self.limit else Verdict.OVER


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the budgets: its figures, or why there are none; `how` says what was done."""

    what: str
    must: str
    figures: tuple[Figure, ...] = ()
    how: str = ""
    not_measured: str = ""
    guide: str = ""  # the guide's own figure for the same thing
    load: float | None = None  # of the machine, when it had been measured

    @property
    def verdict(self) -> Verdict:
        """The worst of the figures'."""
        if not self.figures:
            return Verdict.NOT_MEASURED
        order = [Verdict.MISSED, Verdict.OVER, Verdict.HOLDS, Verdict.NO_BOUND]
        return min((figure.verdict for figure in self.figures), key=order.index)
