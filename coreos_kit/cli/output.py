"""How results look: JSON objects or tables on stdout, progress and errors on stderr. The only user of rich.

What was read from a machine, from etcd or from a log may hold escape sequences: none reaches the terminal.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "ok": "green",
    "running": "green",
    "active": "green",
    "broken": "red",
    "failed": "red",
    "missing": "red",
    "unreachable": "red",
    "unknown": "yellow",
}


def plain(text: object) -> str:
    """Show control characters as escapes of Python, so that no terminal obeys them."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape").decode()
        for character in said
    )


def as_json(value: Any) -> Any:
    """Turn a result into what JSON knows: a dataclass into an object, names and paths into strings."""
    if isinstance(value, KitError):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UnitName | Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [as_json(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value


def print_json(command: str, body: Mapping[str, Any]) -> None:
    """Print the one object of a command, or one line of those that follow."""
    # ASCII only: among what JSON lets pass are control characters that a terminal obeys, U+009B say.
    sys.stdout.write(json.dumps({"schema": f"coreos-kit/{command}/v1", **as_json(body)}) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns, without those that are empty in every row; on a terminal states have colours."""
    cells = [[plain(cell) for cell in row] for row in rows]
    kept = [number for number in range(len(columns)) if not cells or any(row[number] for row in cells)]
    header = [columns[number].upper() for number in kept]
    body = [[row[number] for number in kept] for row in cells]
    if sys.stdout.isatty():
        _coloured_table(header, body)
    else:
        _plain_table([header, *body])


def line(text: str = "", *, style: str = "") -> None:
    """Print one line of a result; on a terminal in that style."""
    if style and sys.stdout.isatty():
        _console().print(plain(text), style=style, soft_wrap=True)
    else:
        sys.stdout.write(f"{plain(text)}\n")


def clear() -> None:
    """Empty the screen, where there is one."""
    if sys.stdout.isatty():
        _console().clear()


def say(text: str) -> None:
    """Tell of progress, on stderr."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


def quiet(text: str) -> None:
    """Take progress that nobody needs to hear."""


def show_error(error: KitError, *, as_json: bool) -> None:
    """Show what went wrong and what to do next, once."""
    if as_json:
        print_json(
            "error",
            {
                "error": type(error).__name__,
                "message": str(error),
                "details": list(error.details),
                "hint": error.hint,
                "exit_code": error.exit_code,
            },
        )
        return
    say(f"error: {error}")
    for detail in error.details:
        say(f"       {detail}")
    if error.hint:
        say(f"hint:  {error.hint}")


def counted(count: int, noun: str) -> str:
    """Return "1 file", "2 files"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def few(names: Sequence[object], most: int = 4) -> str:
    """Return the first of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(map(str, names[:most]))}{more}"


def _console() -> "Console":
    from rich.console import Console

    plain_please = bool(os.environ.get("NO_COLOR"))  # rich would still print in bold
    return Console(highlight=False, markup=False, emoji=False, color_system=None if plain_please else "auto")


def _coloured_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in header:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell, style=STYLES.get(cell.split(" ")[0].lower(), "")) for cell in row))
    _console().print(shown)


def _plain_table(rows: Sequence[Sequence[str]]) -> None:
    """Never wrapped or cut off, whoever reads it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{'  '.join(padded).rstrip()}\n")


class Live:
    """Lines on the terminal of stderr that change in place; what is said meanwhile stands above them."""

    def __init__(self, lines: Callable[[], Sequence[str]]) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.text import Text

        plain_please = bool(os.environ.get("NO_COLOR"))
        console = Console(stderr=True, highlight=False, color_system=None if plain_please else "auto")

        def shown() -> Text:
            return Text("\n".join(plain(line) for line in lines()), overflow="ellipsis", no_wrap=True)

        self._live = RichLive(console=console, get_renderable=shown, refresh_per_second=4)

    def begin(self) -> None:
        """Show them from now on."""
        self._live.start(refresh=True)

    def end(self) -> None:
        """Leave them as they are."""
        self._live.stop()


def try_live(lines: Callable[[], Sequence[str]]) -> Live | None:
    """Return live lines where stderr is a terminal."""
    return Live(lines) if sys.stderr.isatty() else None
