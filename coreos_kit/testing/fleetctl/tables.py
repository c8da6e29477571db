"""Lists as Go's text/tabwriter sets them: cells padded with tabs to a common multiple of eight."""

from collections.abc import Iterable, Sequence

_TAB = 8


def table(rows: Iterable[Sequence[str]]) -> str:
    """Set rows of the same length one below the other; the last cell is not padded."""
    kept = [tuple(row) for row in rows]
    widths = [_stop(max(map(len, column))) for column in zip(*kept, strict=True)]
    return "".join(
        "".join(cell + "\t" * _tabs(cell, width) for cell, width in zip(row, widths[:-1], strict=False))
        + row[-1]
        + "\n"
        for row in kept
    )


def _stop(widest: int) -> int:
    """Return the first tab stop behind the widest cell and one blank."""
    return -(-(widest + 1) // _TAB) * _TAB


def _tabs(cell: str, width: int) -> int:
    return -(-(width - len(cell)) // _TAB)
