"""A report as text: for the terminal, and as the page docs/benchmarks.md. Measures nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.machine import Machine
from bench.row import MISSED_OVER, Figure, Row, Statistic, Verdict

_HEAD = """\
# Benchmarks

What `make bench` measured, beside what is promised and beside what the guide's own files did.
"""
_VERDICTS = f"""\
A bound *holds*, is *over*, or is *missed*, which is over {MISSED_OVER} times as much. A figure is the
median of its samples unless it says otherwise; of failures, the worst run counts. Ratios come from runs in
turn with the peer. The load is that of the minute in which a row was done: processes that want a core. CI
checks none of this: it counts imports and round trips, and never reads a clock.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order of the budgets, and where and when they were measured."""

    date: str
    machine: Machine
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def row_text(row: Row) -> str:
    """Return a row for the terminal: its name and bound, then a line for each figure."""
    load = "" if row.load is None else f", load {row.load:.1f}"
    return "\n".join([f"{_plain(row.what)}  [{row.verdict}{load}]", *_indented(_row_lines(row))])


def _row_lines(row: Row) -> Iterator[str]:
    if row.must:
        yield f"must: {_plain(row.must)}"
    if row.not_measured:
        yield f"not measured: {row.not_measured}"
    for figure in row.figures:
        bound = "" if figure.limit is None else f"; {figure.verdict}, bound {figure.unit.shown(figure.limit)}"
        yield f"{_plain(figure.name)}: {_value(figure)} ({_spread(figure)}{bound})"
    if row.guide:
        yield f"the guide: {_plain(row.guide)}"


def page(report: Report) -> str:
    """Return the whole page in Markdown."""
    return "\n".join(
        [
            _HEAD,
            _where(report),
            "",
            *(f"{remark}\n" for remark in report.remarks),
            _VERDICTS,
            *_table(
                ["what", "must", "measured", "min – max", "n", "", "load"],
                [cells for row in report.rows if row.must for cells in _cells(row)],
            ),
            "",
            "## Beside the guide",
            "",
            *_table(
                ["", "the guide's own files", "the kit"],
                [[row.what, row.guide, _beside_guide(row)] for row in report.rows if row.guide],
            ),
            "",
            "## How it was measured",
            "",
            *(f"- {row.what}: {row.how}." for row in report.rows if row.how and row.figures),
            "",
        ]
    )


def _where(report: Report) -> str:
    return f"{report.date}, {report.machine}. Workstation and lab are this one machine."


def _cells(row: Row) -> Iterator[Sequence[str]]:
    if not row.figures:
        yield row.what, row.must, f"not measured: {row.not_measured}", "", "", "", ""
    for number, figure in enumerate(row.figures):
        what, must, load = (row.what, row.must, _load(row)) if number == 0 else ("", "", "")
        verdict = "" if figure.verdict is Verdict.NO_BOUND else _marked(figure.verdict)
        measured = f"{figure.name}: {_value(figure)}"
        yield what, must, measured, _range(figure), str(len(figure.samples)), verdict, load


def _load(row: Row) -> str:
    return "" if row.load is None else f"{row.load:.1f}"


def _beside_guide(row: Row) -> str:
    if not row.figures:
        return f"not measured: {row.not_measured}"
    return "; ".join(f"{figure.name}: {_value(figure)}" for figure in row.figures)


def _marked(verdict: Verdict) -> str:
    return f"**{verdict}**" if verdict is Verdict.MISSED else str(verdict)


def _value(figure: Figure) -> str:
    suffix = "" if figure.statistic is Statistic.MEDIAN else f" ({figure.statistic})"
    return f"{figure.unit.shown(figure.value)}{suffix}"


def _range(figure: Figure) -> str:
    return f"{figure.unit.shown(min(figure.samples))} – {figure.unit.shown(max(figure.samples))}"


def _spread(figure: Figure) -> str:
    return f"{_range(figure)}, n {len(figure.samples)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    return text.replace("`", "")


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
