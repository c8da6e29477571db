"""`make bench`: the verdicts, and the page; nothing is measured here."""

from pathlib import Path

import pytest

from bench.budgets import BUDGETS
from bench.kept import read_rows, write_rows
from bench.machine import Machine
from bench.report import Report, page, row_text
from bench.row import Figure, Row, Statistic, Unit, Verdict

ROOT = Path(__file__).parents[2]
MACHINE = Machine(4, 16, "Debian GNU/Linux 12", "6.1.0", "3.11.2")


def figure(*samples: float, limit: float | None = 2, statistic: Statistic = Statistic.MEDIAN) -> Figure:
    return Figure("whole process", Unit.SECONDS, samples, limit, statistic)


def report(*rows: Row) -> Report:
    return Report("2026-01-02", MACHINE, rows)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(2.0, Verdict.HOLDS), (2.1, Verdict.OVER), (3.0, Verdict.OVER), (3.1, Verdict.MISSED)],
)
def test_a_row_is_missed_when_its_median_is_over_one_and_a_half_times_its_bound(
    value: float, verdict: Verdict
) -> None:
    assert figure(0.1, value, 99).verdict is verdict


def test_where_nothing_may_fail_one_failure_is_a_miss() -> None:
    failures = Figure("failed requests", Unit.COUNT, (0, 0, 0, 0, 1), 0, Statistic.MOST)

    assert failures.verdict is Verdict.MISSED


def test_p95_is_a_sample_that_was_seen() -> None:
    assert figure(*range(1, 21), statistic=Statistic.P95).value == 19


def test_a_figure_without_samples_is_none() -> None:
    with pytest.raises(ValueError, match="whole process has no samples"):
        figure()


def test_a_row_is_as_bad_as_its_worst_figure() -> None:
    assert Row("x", "≤ 2 s", (figure(1), figure(4), figure(9, limit=None))).verdict is Verdict.MISSED


def test_a_row_says_bound_figures_and_what_the_guide_did() -> None:
    row = Row("`x` → y", "≤ 2 s", (figure(1, 1.5, 4),), guide="up to 10 s")

    assert row_text(row).splitlines() == [
        "x → y  [holds]",
        "    must: ≤ 2 s",
        "    whole process: 1.50 s (1.00 s – 4.00 s, n 3; holds, bound 2.00 s)",
        "    the guide: up to 10 s",
    ]


def test_what_was_not_measured_is_said_with_its_reason() -> None:
    row = Row("x", "≤ 2 s", not_measured="the lab needs root on Linux")

    assert row_text(row).splitlines()[2] == "    not measured: the lab needs root on Linux"
    assert "| x | ≤ 2 s | not measured: the lab needs root on Linux |  |  |  |  |" in page(report(row))


def test_rows_are_kept_as_they_are(tmp_path: Path) -> None:
    kept = Row("x", "≤ 2 s", (figure(1, 2, statistic=Statistic.P95),), guide="20 s", how="by hand", load=1.25)

    write_rows(tmp_path / "rows.json", [kept])

    assert read_rows(tmp_path / "rows.json") == {"x": kept}


def test_the_page_says_when_and_on_what_it_was_measured() -> None:
    row = Row("a | b", "≤ 2 s", (figure(1), figure(4)), guide="20 s", how="by hand", load=1.25)

    text = page(report(row))

    assert "2026-01-02, 4 cores, 16 GiB, Debian GNU/Linux 12, Linux 6.1.0, Python 3.11.2" in text
    assert r"| a \| b | ≤ 2 s | whole process: 1.00 s | 1.00 s – 1.00 s | 1 | holds | 1.2 |" in text
    assert "|  |  | whole process: 4.00 s | 4.00 s – 4.00 s | 1 | **missed** |  |" in text
    assert r"| a \| b | 20 s | whole process: 1.00 s; whole process: 4.00 s |" in text
    assert "- a | b: by hand." in text


def test_the_committed_page_has_every_row_of_the_budgets() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()

    assert [budget.what for budget in BUDGETS if f"| {budget.what} | " not in text] == []
