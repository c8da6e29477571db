"""`make bench`: measure, print, and with --write make the page. Ends with 1 where a bound is missed."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import following, leaving, looking, plans, rolling, startup, workspaces
from bench.budgets import BUDGETS, Group
from bench.machine import load, this_machine
from bench.report import Report, page, row_text
from bench.row import Row
from bench.site import Site, deployed
from coreos_kit.errors import KitError

LAB = "bench"
LAB_MACHINES = 4

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
    before, measured = load(), {}
    for row in _rows(groups, asked.lab):
        print(row_text(row), flush=True)
        measured[row.what] = row
    reasons = {budget.what: _reason(budget.group, groups) for budget in BUDGETS}
    rows = tuple(
        measured.get(budget.what)
        or Row(budget.what, budget.must, not_measured=reasons[budget.what], guide=budget.guide)
        for budget in BUDGETS
    )
    report = Report(
        datetime.now(UTC).date().isoformat(), this_machine(), before, load(), rows, tuple(asked.remark)
    )
    if asked.write:
        Path(asked.write).write_text(page(report))
    for row in rows:
        if row.not_measured and not asked.only:
            print(row_text(row))
    print(f"{report.machine}; load {report.load_before:.1f} before, {report.load_after:.1f} after")
    failed = [row for row in measured.values() if row.not_measured]
    print(f"missed: {len(report.missed)} of {len(measured)} rows; failed to measure: {len(failed)}")
    return 1 if report.missed or failed else 0


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
    except (RuntimeError, KitError, OSError) as error:
        traceback.print_exc()
        reason = str(error).splitlines()[0]
        for budget in BUDGETS:
            if budget.group in groups and budget.what not in done:
                yield Row(
                    budget.what, budget.must, not_measured=f"it failed: {reason}", guide=budget.guide
                )  # fmt: skip


def _reason(group: Group, groups: Collection[Group]) -> str:
    if group not in groups:
        return "not asked for"
    return "" if not group.needs_lab or _can_lab() else "the lab needs root on Linux"


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
    parser.add_argument("--remark", metavar="TEXT", action="append", default=[], help="say that in the page")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
