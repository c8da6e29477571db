"""What `confd-watch --show` prints: Nginx's own word on the pool, and the watcher's on the rest."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import List, Sequence

from .door import running_pool
from .keeping import Kept
from .manifest import differing
from .pool import Refusal, shown
from .settings import Paths


@dataclass(frozen=True)
class State:
    """How it stands with etcd: since when (seconds since 1970), and what is wrong; empty: nothing."""

    problem: str
    since: float
    watch_problem: str = ""

    def __str__(self) -> str:
        """Return the word that people and `verify` read."""
        if not self.problem:
            return "connected"
        return f"unreachable since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(self.since))}"


def state_text(etcd: State, refused: Sequence[Refusal], kept: Kept, problem: str) -> str:
    """Return the file that the watcher keeps beside Nginx's pool. Pure ASCII, and safe to print."""
    state = {
        "etcd": str(etcd),
        "etcd_problem": etcd.problem or etcd.watch_problem,
        "held": list(kept.held),
        "stampede": kept.leavers.stampede,
        "refused": [asdict(refusal) for refusal in refused],
        "configuration_problem": problem,
    }
    return json.dumps(state)


def show(paths: Paths) -> str:
    """Return one JSON object.

    Raises `DoorClosed`, as without Nginx no pool runs; without the watcher's word `OSError` or `ValueError`.
    """
    running = running_pool(paths.socket)
    with open(paths.state_file, encoding="ascii") as file:
        state = json.load(file)
    return json.dumps(
        {
            "watcher": "kit",
            "servers": list(running.servers),
            "generation": running.generation,
            "configuration_differs": _differs(paths, running.generation),
            **state,
        }
    )


def _differs(paths: Paths, generation: str) -> List[str]:
    """Name what is not as Nginx runs it; what can't be compared is not as it should be, either."""
    live = os.path.realpath(os.path.join(paths.generations, "live"))
    if os.path.basename(live) != generation:
        return [f"generation {os.path.basename(live)} (Nginx runs generation {generation})"]
    try:
        return differing(live, paths.hand_written)
    except (OSError, ValueError) as error:
        return [f"generation {generation} ({shown(str(error))})"]
