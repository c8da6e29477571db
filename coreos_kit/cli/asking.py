"""Questions, asked only where somebody can answer."""

import sys

from coreos_kit.cli.output import plain
from coreos_kit.cli.settings import is_interactive
from coreos_kit.errors import Declined, UsageError


def confirm(question: str, *, yes: bool, instead: str = "--yes") -> None:
    """Ask; raise `Declined` (130) on a no, `UsageError` (2) where there is nobody to ask and no --yes.

    `instead` is the option that spares the question.
    """
    if yes:
        return
    if not is_interactive():
        raise UsageError(
            "this has to be confirmed, and there is no terminal to ask on", hint=f"Add {instead}."
        )
    sys.stderr.write(f"{plain(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("declined; nothing was done")
