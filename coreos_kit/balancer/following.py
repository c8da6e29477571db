"""Following etcd: read, tell, wait until something changed, read again; for ever, on a thread of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Callable, List, Protocol, Union

from .etcd import EtcdV2, EtcdV3, Snapshot
from .pool import Pool, TooManyRegistrations, pool_of
from .settings import Settings
from .wire import ANSWER_S, HURRY_S, Unreachable

CHECK_S = 5.0  # how often etcd is read though nothing seems to change: a dead peer is noticed by then
PACE_S = 0.02  # many changes at once are read together
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
WORTH_SAYING = 3  # a watch may break once or twice when etcd restarts


@dataclass(frozen=True)
class Seen:
    """Etcd was read, and gives this pool; and what is wrong with the watch, if it does not hold."""

    pool: Pool
    watch_problem: str = ""


@dataclass(frozen=True)
class Lost:
    """Etcd could not be read, or what it has can't be a pool."""

    reason: str


class Store(Protocol):
    """What both APIs of etcd offer."""

    def read(self, patience_s: float = ANSWER_S) -> Snapshot: ...  # noqa: D102
    def wait(self, snapshot: Snapshot, timeout_s: float) -> None: ...  # noqa: D102


def store_for(settings: Settings) -> Store:
    """Return the store of the API that the unit names."""
    kind = EtcdV2 if settings.etcd_api == "v2" else EtcdV3
    return kind(settings.etcd_host, settings.etcd_port, settings.prefix, settings.access)


def follow(
    store: Store,
    settings: Settings,
    tell: Callable[[Union[Seen, Lost]], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Tell every pool that etcd gives, and every failure to read it. Does not return.

    A watch that breaks is no outage as long as reading works: then this is polling, and the pool current.
    """
    read_pause = watch_pause = FIRST_PAUSE_S
    broken: List[str] = []
    read: Callable[[], Snapshot] = store.read
    while True:
        try:
            snapshot = read()
            pool = pool_of(snapshot.registrations, settings.networks, prefix=settings.prefix)
        except (Unreachable, TooManyRegistrations) as error:
            tell(Lost(str(error)))
            read = store.read
            sleep(read_pause)
            read_pause = min(2 * read_pause, LONGEST_PAUSE_S)
            continue
        tell(Seen(pool, broken[-1] if len(broken) >= WORTH_SAYING else ""))
        read, read_pause = partial(_read_twice, store), FIRST_PAUSE_S
        try:
            store.wait(snapshot, CHECK_S)
        except Unreachable as error:
            broken = [*broken[1 - WORTH_SAYING :], str(error)]
            sleep(watch_pause)
            watch_pause = min(2 * watch_pause, LONGEST_PAUSE_S)
        else:
            broken = []
            watch_pause = FIRST_PAUSE_S
            sleep(PACE_S)


def _read_twice(store: Store) -> Snapshot:
    """Read an etcd that was there a moment ago: one that is silent now is asked again, with more patience.

    A gateway gives the second connection to another member; the first may have been one that is cut off.
    """
    try:
        return store.read(HURRY_S)
    except Unreachable:
        return store.read()
