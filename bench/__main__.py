"""`make bench`: measure, print, and with --write make the page. Ends with 1 where a bound is missed."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import following, leaving, looking, plans, rolling, startup, workspaces
from bench.budgets import BUDGETS, Budget, Group
from bench.kept import read_rows, write_rows
from bench.machine import load, this_machine
from bench.report import Report, page, row_text
from bench.row import Row, Verdict
from bench.site import Site, deployed
from coreos_kit.errors import KitError

LAB = "bench"
LAB_MACHINES = 4
NOT_ASKED_FOR = "not asked for"

ALONE: dict[Group, Callable[[], Iterator[Row]]] = {
    Group.STARTUP: startup.measure,
    Group.WORKSPACE: workspaces.measure,
    Group.PLANNING: plans.measure,
}
ON_A_LAB: dict[Group, Callable[[Site], Iterator[Row]]] = {
    Group.LOOKING: looking.measure,
    Group.FOLLOWING: following.measure,
    Group.LEAVING: leaving.measure,
    Group.ROLLING: rolling.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for, tell it row by row, then in the order of the budgets."""
    asked = _parser().parse_args(arguments)
    groups = [Group(name) for name in asked.only] or list(Group)
    measured: dict[str, Row] = {}
    for row in _rows(groups, asked.lab):
        measured[row.what] = replace(row, load=load())
        print(row_text(measured[row.what]), flush=True)
    known = dict(read_rows(Path(asked.keep))) if asked.keep else {}
    known |= {what: row for what, row in measured.items() if row.figures or what not in known}
    rows = tuple(known.get(budget.what) or _absent(budget, groups) for budget in BUDGETS)
    for row in rows:
        if row.not_measured not in ("", NOT_ASKED_FOR) and row.what not in measured:
            print(row_text(row))
    report = Report(datetime.now(UTC).date().isoformat(), this_machine(), rows, tuple(asked.remark))
    if asked.keep:
        write_rows(Path(asked.keep), known.values())
    if asked.write:
        Path(asked.write).write_text(page(report))
    print(report.machine)
    failed = [row for row in measured.values() if row.not_measured]
    missed = [row for row in measured.values() if row.verdict is Verdict.MISSED]
    print(f"missed: {len(missed)} of {len(measured)} rows; failed to measure: {len(failed)}")
    return 1 if missed or failed else 0


def _rows(groups: Collection[Group], lab: str) -> Iterator[Row]:
    for group, measure in ALONE.items():
        if group in groups:
            yield from _or_why([group], measure)
    if not _can_lab():
        return
    if wanted := [group for group in ON_A_LAB if group in groups]:
        yield from _or_why(wanted, lambda: _on_a_lab(lab, wanted))
    if Group.WIDE in groups:
        yield from _or_why([Group.WIDE], lambda: _on_a_wide_lab(f"{lab}-wide"))


def _on_a_lab(lab: str, groups: Sequence[Group]) -> Iterator[Row]:
    with deployed(lab, LAB_MACHINES) as site:
        for group in groups:
            yield from _or_why([group], partial(ON_A_LAB[group], site))


def _on_a_wide_lab(lab: str) -> Iterator[Row]:
    with deployed(lab, looking.WIDE_MACHINES) as site:
        yield from looking.measure_wide(site)


def _or_why(groups: Collection[Group], measure: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """Measure; where that fails half way, say of each row that is left why, and go on with the others."""
    done = set()
    try:
        for row in measure():
            done.add(row.what)
            yield row
    except (RuntimeError, KitError, OSError):
        traceback.print_exc()  # here only: it names folders of this machine, which a page must not
        for budget in BUDGETS:
            if budget.group in groups and budget.what not in done:
                yield Row(budget.what, budget.must, not_measured="it broke off", guide=budget.guide)


def _absent(budget: Budget, groups: Collection[Group]) -> Row:
    reason = "the lab needs root on Linux" if budget.group in groups else NOT_ASKED_FOR
    return Row(budget.what, budget.must, not_measured=reason, guide=budget.guide)


def _can_lab() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the budgets.")
    parser.add_argument(
        "--only", metavar="GROUP", action="append", default=[], choices=[*Group], help=", ".join(Group)
    )
    parser.add_argument(
        "--lab", metavar="NAME", default=LAB,
        help="the lab to measure on; one that is there is used and stays, else it is made and taken away",
    )  # fmt: skip
    parser.add_argument("--write", metavar="FILE", help="write the page there")
    parser.add_argument("--keep", metavar="FILE", help="keep the rows there, and take those it has along")
    parser.add_argument("--remark", metavar="TEXT", action="append", default=[], help="say that in the page")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
