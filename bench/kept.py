"""Measured rows in a file, so that a page can come from several runs: the last of a row counts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.row import Figure, Row, Statistic, Unit


def read_rows(file: Path) -> Mapping[str, Row]:
    """Return the rows of a file by what they measure; none where there is no file."""
    if not file.exists():
        return {}
    return {raw["what"]: _row(raw) for raw in json.loads(file.read_text())}


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write them all."""
    text = json.dumps([asdict(row) for row in rows], default=lambda unit: unit.name, indent=1)
    file.write_text(f"{text}\n")


def _row(raw: Mapping[str, Any]) -> Row:
    return Row(**{**raw, "figures": tuple(_figure(figure) for figure in raw["figures"])})


def _figure(raw: Mapping[str, Any]) -> Figure:
    return Figure(
        raw["name"], Unit[raw["unit"]], tuple(raw["samples"]), raw["limit"], Statistic(raw["statistic"])
    )
