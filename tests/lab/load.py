"""A bounded constant load from a process of its own; every request is counted, served or failed.

Some requests come on new connections, some on connections that are kept open. No client ever sends anything
twice: what the server closes under a client's hands is lost, and counts. The rate is constant: a request that
takes long holds none of the others up, as long as a client is left. Standard library only.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Self
from uuid import uuid4

NEW, KEPT = "new", "kept"
NAP_S = 0.05
MOST_ANSWERS = 10  # that are told from each other


@dataclass(frozen=True)
class Aim:
    """Where the requests go, how many a second, and where they end whatever happens."""

    address: str
    port: int = 80
    new_per_s: int = 200
    kept_per_s: int = 200
    clients: int = 20  # connections that are kept open
    most: int = 250_000
    longest_s: float = 600
    patience_s: float = 10
    nonce: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def path(self) -> str:
        return f"/?load={self.nonce}"


@dataclass(frozen=True)
class Failure:
    """A request that was not served: when (seconds since the epoch), on which kind of connection, and why."""

    at: float
    way: str
    reason: str

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        return f"{clock}.{int(self.at % 1 * 1000):03d} on a {self.way} connection: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What was sent and came to its end so far, and how long the workstation itself stood still at most."""

    served: dict[str, int]
    failures: tuple[Failure, ...]
    answers: dict[str, int]  # by the body's text
    seconds: float
    slowest_s: float
    stalled_s: float

    @property
    def sent(self) -> int:
        return sum(self.served.values()) + len(self.failures)

    @property
    def failed(self) -> int:
        return len(self.failures)

    def since(self, before: Self) -> Self:
        """Return what came after another report of the same load; the slowest stays that of all."""
        return replace(
            self,
            served=dict(Counter(self.served) - Counter(before.served)),
            failures=self.failures[len(before.failures) :],
            answers=dict(Counter(self.answers) - Counter(before.answers)),
            seconds=self.seconds - before.seconds,
        )

    def __str__(self) -> str:
        reasons = Counter(f"{failure.way}: {failure.reason}" for failure in self.failures)
        why = "".join(f"\n  {count} x {reason}" for reason, count in reasons.most_common(MOST_ANSWERS))
        ways = " and ".join(f"{count} on {way} connections" for way, count in sorted(self.served.items()))
        return (
            f"{self.failed} of {self.sent} requests failed in {self.seconds:.0f} s "
            f"(served: {ways or 'none'}; slowest {self.slowest_s:.2f} s, "
            f"while the workstation stood still for up to {self.stalled_s:.2f} s){why}"
        )

    @classmethod
    def read(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(**{**raw, "failures": tuple(Failure(**entry) for entry in raw["failures"])})


class Load:
    """A running load."""

    def __init__(self, process: "subprocess.Popen[str]", aim: Aim) -> None:
        self._process = process
        self.aim = aim

    def report(self) -> Report:
        """Return what came so far; after `end`, all of it."""
        return self._ask("report")

    def reaches(self, requests: int) -> Report:
        """Wait until so many have come to their end."""
        deadline = time.monotonic() + self.aim.longest_s
        while (report := self.report()).sent < requests:
            assert time.monotonic() < deadline, f"only {report}"
            time.sleep(0.2)
        return report

    def end(self) -> Report:
        """Send nothing more, and return all of it."""
        return self._ask("end")

    def _ask(self, what: str) -> Report:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return Report.read(self._process.stdout.readline())


@contextmanager
def load(aim: Aim) -> Iterator[Load]:
    """Send requests until the block ends; call `end` in it for the figures."""
    process = subprocess.Popen(
        [sys.executable, __file__, json.dumps(asdict(aim))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Load(process, aim)
    finally:
        process.kill()
        process.communicate()


# From here on: what runs in that process.


@dataclass
class Tally:
    """What was counted, by many threads."""

    started: float = field(default_factory=time.monotonic)
    served: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    stalled_s: float = 0.0
    ended: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, way: str, began: float, reason: str, answer: str) -> None:
        with self.lock:
            self.ended = time.monotonic()
            self.slowest_s = max(self.slowest_s, self.ended - began)
            if reason:
                self.failures.append(Failure(time.time(), way, reason))
                return
            self.served[way] += 1
            if answer in self.answers or len(self.answers) < MOST_ANSWERS:
                self.answers[answer] += 1

    def report(self) -> str:
        with self.lock:
            seconds = max(self.ended - self.started, 0.0)
            figures = {"seconds": seconds, "slowest_s": self.slowest_s, "stalled_s": self.stalled_s}
            failures = [asdict(failure) for failure in self.failures]
            return json.dumps(
                {"served": self.served, "failures": failures, "answers": self.answers, **figures}
            )


class Beat:
    """The times at which requests of one kind are due, handed to whichever client is free."""

    def __init__(self, per_s: int, most: int, longest_s: float, stop: threading.Event) -> None:
        self._per_s = per_s
        self._most = min(most, int(per_s * longest_s))
        self._stop = stop
        self._started = time.monotonic()
        self._over = self._started + longest_s
        self._next = 0
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[None]:
        """Wait until the next is due; end when there is none."""
        while True:
            with self._lock:
                number = self._next
                self._next += 1
            due = self._started + number / self._per_s
            if number >= self._most or self._stop.wait(max(0.0, due - time.monotonic())):
                return
            if time.monotonic() > self._over:
                return
            yield


def watch_for_stalls(tally: Tally) -> None:
    """Sleep shortly again and again: a workstation on which that takes long has no time to answer either."""
    while True:
        slept = time.monotonic()
        time.sleep(NAP_S)
        stalled_s = time.monotonic() - slept - NAP_S
        tally.stalled_s = max(tally.stalled_s, stalled_s)


def client(aim: Aim, way: str, beat: Beat, tally: Tally) -> None:
    """Send what is due, one request after the other, each only once."""
    connection = http.client.HTTPConnection(aim.address, aim.port, timeout=aim.patience_s)
    headers = {"Connection": "close"} if way == NEW else {}
    for _ in beat:
        began = time.monotonic()
        reason = answer = ""
        try:
            connection.request("GET", aim.path, headers=headers)
            response = connection.getresponse()
            answer = response.read(10_000).decode("utf-8", "replace")
            reason = "" if response.status == http.client.OK else f"status {response.status}"
        except (OSError, http.client.HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
            connection.close()
        if way == NEW:
            connection.close()
        tally.count(way, began, reason, answer)
    connection.close()


def main(order: str) -> None:
    """Send requests until all were sent, or stdin ends; answer each line of stdin with a report."""
    aim = Aim(**json.loads(order))
    tally = Tally()
    stop = threading.Event()
    both = aim.new_per_s + aim.kept_per_s
    clients = {NEW: (aim.new_per_s, aim.new_per_s // 2), KEPT: (aim.kept_per_s, aim.clients)}
    threads = []
    for way, (per_s, count) in clients.items():
        beat = Beat(per_s, aim.most * per_s // both, aim.longest_s, stop)
        threads += [
            threading.Thread(target=client, args=(aim, way, beat, tally), daemon=True)
            for _ in range(count if per_s else 0)
        ]
    for thread in [*threads, threading.Thread(target=watch_for_stalls, args=(tally,), daemon=True)]:
        thread.start()
    for line in sys.stdin:
        if line == "end\n":
            stop.set()
            for thread in threads:
                thread.join()
        print(tally.report(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
