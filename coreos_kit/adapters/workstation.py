"""What the workstation says of itself: what time it is, and who works there."""

import getpass
import os
import socket
import time

from coreos_kit.model.lock import Author


class SystemClock:
    """`ports.Clock` of the workstation."""

    def now(self) -> float:
        """Return the monotonic time."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the time of day, in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def author() -> Author:
    """Say who this is: behind sudo, whoever called it."""
    try:
        owner = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        owner = f"user {os.getuid()}"
    return Author(owner, socket.gethostname(), os.getpid())
