"""The balancer as seen from outside: what it answers, and Nginx's running pool, asked many times a second."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.site import Site
from coreos_kit.balancer.settings import Paths

BALANCER = "nginx_lb"
LONGEST_S = 900
# All clocks are one: the lab's machines run on the kernel of the workstation.
_WATCH = """
pid=$(docker inspect --format '{{.State.Pid}}' "$1") || exit 1
while [ "$SECONDS" -lt "$3" ]; do
  now=$(date +%s.%N)
  pool=$(curl -sf --max-time 1 --unix-socket "/proc/$pid/root$2" http://localhost/pool) || continue
  echo "$now" $pool
  sleep 0.05
done
"""


@dataclass
class PoolWatch:
    """What was in the pool when."""

    seen: list[tuple[float, frozenset[str]]] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """Take one line of the watching script."""
        moment, *servers = line.split()
        self.seen.append((float(moment), frozenset(servers)))

    def wait_without(self, server: str, since: float, limit_s: float) -> float:
        """Return how long after `since` a pool without the server was first seen."""
        return self._wait(f"{server} leaves the pool", lambda servers: server not in servers, since, limit_s)

    def wait_with(self, server: str, since: float, limit_s: float) -> float:
        """Return how long after `since` a pool with the server was first seen."""
        return self._wait(f"{server} is in the pool", lambda servers: server in servers, since, limit_s)

    def _wait(
        self, what: str, holds: Callable[[frozenset[str]], bool], since: float, limit_s: float
    ) -> float:
        looked = 0
        while time.time() < since + limit_s:
            for moment, servers in self.seen[looked:]:
                looked += 1
                if moment >= since and holds(servers):
                    return moment - since
            time.sleep(0.02)
        raise RuntimeError(f"not within {limit_s:g} s: {what}")


@contextmanager
def watched_pool(site: Site) -> Iterator[PoolWatch]:
    """Ask Nginx on its own machine for its pool, until the block ends."""
    watch, stop = PoolWatch(), threading.Event()
    runner = site.runners[site.machine_of(f"{BALANCER}.service")]
    argv = ["bash", "-c", _WATCH, "watch", BALANCER, Paths().socket, str(LONGEST_S)]
    thread = threading.Thread(
        target=lambda: runner.stream(argv, watch.hear, stop=stop, root=True), name="pool-watch"
    )
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


def wait_for_answer(address: str, status: int, limit_s: float) -> float:
    """Ask the balancer until it answers with that status; return the seconds that it took."""
    started = time.monotonic()
    while time.monotonic() - started < limit_s:
        if _answer(address) == status:
            return time.monotonic() - started
        time.sleep(0.005)
    raise RuntimeError(f"{address} did not answer {status} within {limit_s:g} s")


def _answer(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()
