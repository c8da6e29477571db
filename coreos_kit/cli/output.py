"""How results look: JSON objects or tables on stdout, progress and errors on stderr. The only user of rich.

Whatever was read from a machine, from etcd or from a log may hold escape sequences: none reaches the terminal.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 240  # without a terminal nothing is cut off or wrapped at 80 columns

STYLES = {
    "ok": "green",
    "running": "green",
    "active": "green",
    "broken": "red",
    "failed": "red",
    "unknown": "yellow",
}


def plain(text: object) -> str:
    """Show control characters as what they are, ``\\x1b`` say, instead of obeying them."""
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape").decode()
        for character in str(text)
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
    sys.stdout.write(
        json.dumps({"schema": f"coreos-kit/{command}/v1", **as_json(body)}, ensure_ascii=False) + "\n"
    )
    sys.stdout.flush()


def console(*, stderr: bool = False) -> "Console":
    """Return a console: with colour on a terminal, without any elsewhere."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=None if stream.isatty() else PIPE_WIDTH,
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; a cell that is a state has its colour."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        shown.add_column(column.upper(), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(plain(cell), style=STYLES.get(str(cell).split(" ")[0], "")) for cell in row))
    console().print(shown)


def line(text: str = "", *, style: str = "") -> None:
    """Print one line of a result."""
    if style:
        console().print(plain(text), style=style)
    else:
        sys.stdout.write(f"{plain(text)}\n")


def say(text: str) -> None:
    """Tell of progress, on stderr."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


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
