"""The container's first process: keeps Nginx alive, and its pool what etcd says.

One loop that never waits long. Signals, what the thread on etcd tells and the tick of the clock all arrive
in one queue; nothing else touches the state.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import Callable, Optional, Tuple, Union

from .door import DoorClosed, give_pool, pool_text, running_pool
from .files import KeptFile
from .following import Lost, Seen, follow, store_for
from .generations import Generations, NothingToRun
from .keeping import Kept
from .knocking import Knocked, Knocker
from .log import change, count, say
from .nginx_process import NginxProcess, reap_strangers
from .pool import Refusal, sort_servers, why_refused
from .settings import Paths, Settings
from .state import State, state_text

TICK_S = 0.5
BUSY_TICK_S = 0.02
RELOAD_S = 5.0
_MAX_REFUSALS_SAID = 10
_NOT_READ_YET = "not read yet"


@dataclass(frozen=True)
class Signalled:
    """A signal arrived."""

    number: int


@dataclass(frozen=True)
class Crashed:
    """A thread ended, which it must not: a bug."""

    what: str


class Watcher:
    """Everything that the loop knows."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths
        self._events: queue.SimpleQueue[Union[Seen, Lost, Knocked, Signalled, Crashed]] = queue.SimpleQueue()
        self._generations = Generations(settings, paths, say)
        self._knocker = Knocker(self._events.put)
        self._nginx: Optional[NginxProcess] = None
        self._kept = Kept(self._left_from_before(), settings.hold_s)
        self._pool_file = KeptFile(paths.pool_file, say)
        self._state_file = KeptFile(paths.state_file, say)
        self._confirmed: Optional[Tuple[str, ...]] = None
        self._said: Optional[Tuple[str, ...]] = None
        self._stampede = False
        self._refused: Tuple[Refusal, ...] = ()
        self._etcd = State(problem=_NOT_READ_YET, since=time.time())
        self._reload_by: Optional[float] = None

    def run(self) -> int:
        """Watch until a signal ends it (0) or Nginx ends by itself (1)."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda received, _: self._events.put(Signalled(received)))
        etcd = f"etcd {self._settings.etcd_api} at {self._settings.etcd_host}:{self._settings.etcd_port}"
        say(f"following {self._settings.prefix} in {etcd}")
        store = store_for(self._settings)
        self._start("watch on etcd", lambda: follow(store, self._settings, self._events.put))
        self._start("look at servers", self._knocker.run)
        self._generations.begin(time.monotonic())
        while True:
            code = self._handle_next()
            if code is None:
                code = self._step(time.monotonic())
            if code is not None:
                self._generations.abandon()
                return code

    def _start(self, what: str, endless: Callable[[], None]) -> None:
        def run() -> None:
            try:
                endless()
            finally:
                self._events.put(Crashed(what))

        threading.Thread(target=run, name=what, daemon=True).start()

    def _handle_next(self) -> Optional[int]:
        busy = self._generations.testing or self._confirmed is None or self._reload_by is not None
        try:
            event = self._events.get(timeout=BUSY_TICK_S if busy else TICK_S)
        except queue.Empty:
            return None
        now = time.monotonic()
        if isinstance(event, Seen):
            self._saw(event, now)
        elif isinstance(event, Lost):
            self._lost(event, now)
        elif isinstance(event, Knocked):
            self._kept = self._kept.asked(event.took, event.refused, now)
        elif isinstance(event, Crashed):
            say(f"the {event.what} crashed; ending, for the unit to start again")
            self._stop_nginx()
            return 1
        elif event.number in (signal.SIGTERM, signal.SIGINT):
            self._stop_nginx()
            return 0
        elif event.number == signal.SIGHUP and not self._generations.testing:
            self._generations.begin(now)
        return None

    def _saw(self, seen: Seen, now: float) -> None:
        was_lost = not self._kept.connected
        self._kept = self._kept.saw(seen.pool.servers, now)
        if was_lost:
            waiting = f"; {len(self._kept.held)} that it misses stay for {self._settings.hold_s:.0f} s"
            say(f"etcd is there{waiting if self._kept.held else ''}")
            self._etcd = State(problem="", since=time.time())
        if seen.watch_problem and not self._etcd.watch_problem:
            say(f"the watch on etcd does not hold: {seen.watch_problem}; it is read again and again instead")
        self._etcd = replace(self._etcd, watch_problem=seen.watch_problem)
        new = [refusal for refusal in seen.pool.refused if refusal not in self._refused]
        for refusal in new[:_MAX_REFUSALS_SAID]:
            say(str(refusal))
        if len(new) > _MAX_REFUSALS_SAID:
            say(f"and {len(new) - _MAX_REFUSALS_SAID} more are refused")
        self._refused = seen.pool.refused

    def _lost(self, lost: Lost, now: float) -> None:
        if self._kept.connected or self._etcd.problem == _NOT_READ_YET:
            say(f"etcd can't be read: {lost.reason}; the pool stays as it is: {count(self._kept.servers)}")
            self._etcd = State(problem=lost.reason, since=time.time())
        self._etcd = replace(self._etcd, problem=lost.reason)
        self._kept = self._kept.lost(now)

    def _step(self, now: float) -> Optional[int]:
        own = [pid for pid in (self._nginx and self._nginx.pid, self._generations.tester) if pid]
        reap_strangers(own)
        if self._nginx is not None and self._nginx.try_exit() is not None:
            say(f"nginx ended by itself ({self._nginx.try_exit()}); ending, for the unit to start again")
            self._nginx.end_orphans()
            return 1
        self._kept = self._kept.settled(now)
        self._look_after_leavers()
        self._pool_file.try_keep(pool_text(self._kept.servers))
        try:
            swapped = self._generations.step(now)
        except NothingToRun as error:
            say(f"no configuration to run: {error}")
            self._stop_nginx()
            return 1
        if swapped:
            self._take_live(now)
        if self._nginx is not None:
            self._keep_nginx_current(now)
        self._write_state()
        return None

    def _look_after_leavers(self) -> None:
        leavers = self._kept.leavers
        self._knocker.look_at(leavers.servers)
        if leavers.stampede and not self._stampede:
            say(
                f"a stampede: {count(leavers.held)} left etcd and {len(self._kept.seen)} stayed; "
                f"those that take connections are kept"
            )
        elif self._stampede and not leavers.stampede:
            say("the stampede is over")
        self._stampede = leavers.stampede

    def _take_live(self, now: float) -> None:
        if self._nginx is None:
            self._nginx = NginxProcess(self._generations.conf, self._paths.socket)
        else:
            self._nginx.reload()
            self._reload_by = now + RELOAD_S

    def _keep_nginx_current(self, now: float) -> None:
        wanted = self._kept.servers
        try:
            running = running_pool(self._paths.socket)
            if running.servers != wanted:
                if self._confirmed == wanted:
                    say("nginx had another pool than it was given; it is given again")
                running = give_pool(self._paths.socket, wanted)
        except DoorClosed as error:
            if self._confirmed is not None:
                say(str(error))
            self._confirmed = None
            return
        if running.servers == wanted:
            self._confirmed = wanted
            if self._said != wanted:
                say(change(self._said or (), wanted))
                self._said = wanted
        self._check_reload(running.generation, now)

    def _check_reload(self, generation: str, now: float) -> None:
        if self._reload_by is None:
            return
        if generation == self._generations.live:
            say(f"nginx runs configuration {generation}")
            self._reload_by = None
        elif now > self._reload_by:
            self._generations.not_taken(generation, now)
            self._reload_by = None

    def _left_from_before(self) -> Tuple[str, ...]:
        try:
            with open(self._paths.pool_file, encoding="ascii", errors="replace") as file:
                left = file.read().split()
        except FileNotFoundError:
            return ()
        return sort_servers(server for server in left if not why_refused(server, self._settings.networks))

    def _write_state(self) -> None:
        text = state_text(self._etcd, self._refused, self._kept, self._generations.problem)
        if not self._state_file.try_keep(text):
            with contextlib.suppress(OSError):  # better no word than the one of before
                os.unlink(self._paths.state_file)

    def _stop_nginx(self) -> None:
        if self._nginx is not None and self._nginx.try_exit() is None:
            self._nginx.stop()


def prepare_folders(paths: Paths) -> None:
    """Make the folders that only root may enter."""
    for path in (paths.socket, paths.pool_file):
        folder = os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
