"""The double as a program."""

import os
import sys
import time
from pathlib import Path

from coreos_kit.testing.fleetctl.program import Fleetctl
from coreos_kit.testing.fleetctl.state import StateFolder


class WallClock:
    """The world's time, which all runs of the double share."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def wall(self) -> float:
        """Return the same."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def main() -> None:
    """Answer the command line and leave with fleetctl's exit code."""
    folder = os.environ.get("COREOS_KIT_FLEETCTL_STATE")
    if folder is None:
        sys.exit("COREOS_KIT_FLEETCTL_STATE does not name the folder with the cluster's state")
    speed = float(os.environ.get("COREOS_KIT_FLEETCTL_SPEED", "1"))
    state = StateFolder(Path(folder), WallClock(), speed)
    machine_id = os.environ.get("COREOS_KIT_FLEETCTL_MACHINE", "")
    sys.exit(Fleetctl(state, Path.cwd(), machine_id).run(sys.argv[1:]))


if __name__ == "__main__":
    main()
