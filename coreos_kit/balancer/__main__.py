"""`/usr/local/bin/confd-watch` of the balancer's image: watch, or with `--show` tell the running pool."""

from __future__ import annotations

import os
import sys
from typing import Sequence

from .door import DoorClosed
from .log import say
from .settings import BadSettings, paths_from, settings_from
from .state import show


def main(arguments: Sequence[str]) -> int:
    """Run the watcher; return the container's exit code."""
    paths = paths_from(os.environ)
    if list(arguments) == ["--show"]:
        try:
            print(show(paths))
        except DoorClosed as error:
            say(f"no running pool: {error}")
            return 1
        except (OSError, ValueError) as error:
            say(f"nothing is known of the watcher: {error}")
            return 1
        return 0
    if arguments:
        say("usage: confd-watch [--show]")
        return 2
    try:
        settings = settings_from(os.environ)
    except BadSettings as error:
        for problem in error.problems:
            say(f"not started: {problem}")
        return 2
    from .watcher import Watcher, prepare_folders  # not for --show, which every look at the cluster waits for

    prepare_folders(paths)
    return Watcher(settings, paths).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
