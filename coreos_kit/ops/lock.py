"""The lock of a project: one changes its cluster at a time, and a holder that dies loses it by its lease."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coreos_kit.errors import KitError, LockHeld, LockLost, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.keys import lock_key
from coreos_kit.model.lock import LEASE_S, RENEW_S, Holder, as_time
from coreos_kit.model.plan import Step
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ops.session import Session
from coreos_kit.ports import EtcdStore

POLL_S = 1.0
_TRIES = 3  # where the lock goes just before it could be read


@dataclass(frozen=True, slots=True)
class HeldLock:
    """Somebody's lock, with the very value that stands in etcd for it."""

    holder: Holder
    value: str
    ttl_left_s: float | None = None  # None: it has no lease, so the kit did not take it


class Lock(Listener):
    """The lock while it is held. Once it is lost, a deploy stops before its next step, going back as well."""

    def __init__(self, session: Session, holder: Holder, obtained: "_Obtained") -> None:
        self.holder = holder
        self.was_free = obtained.was_free
        self._session = session
        self._store = obtained.store
        self._lease = obtained.lease
        self._key = lock_key(session.project.name)
        self._renewed_at = obtained.asked_at
        self._taken: str = ""  # why it is lost for good
        self._silence: KitError | None = None  # why it could not be renewed last
        self._one_at_a_time = threading.Lock()

    def before_files(self) -> None:
        """Make sure of the lock before anything is touched."""
        self.ensure()

    def before_step(self, step: Step) -> None:
        """Make sure of the lock before anything is touched."""
        del step
        self.ensure()

    def ensure(self) -> None:
        """Raise `LockLost` unless the lock is held now, or was within its lease and etcd is silent since."""
        if self.renew():
            return
        reason = self._taken or f"it could not be renewed for {LEASE_S} s: {self._silence}"
        raise LockLost(
            f"the lock was lost: {reason}",
            hint="Somebody else may be at work by now: coreos-kit lock show",
        )

    def renew(self) -> bool:
        """Give the lock its whole time again; say whether it may still be relied on."""
        with self._one_at_a_time:
            if self._taken:
                return False
            asked_at = self._session.clock.now()
            try:
                is_mine = self._store.renew(self._key, self.holder.text(), self._lease, LEASE_S)
            except KitError as error:
                self._silence = error
                return self._session.clock.now() - self._renewed_at < LEASE_S
            if is_mine:
                self._renewed_at = asked_at
            else:
                self._taken = "its lease ran out, or somebody took it away"
            return is_mine

    def give_back(self) -> None:
        """Let the next one have it; where etcd is silent, its lease does."""
        try:
            self._store.delete_if_value(self._key, self.holder.text())
        except KitError as error:
            self._session.progress(f"the lock could not be given back, and goes within {LEASE_S} s: {error}")


@contextmanager
def held_lock(session: Session, command: str, *, wait_s: float = 0) -> Iterator[Lock]:
    """Hold the lock for a block, renewed behind it; wait for it so long, if another has it.

    What was seen of the cluster before may not be so any more. Raises `LockHeld`, or `Unreachable` where etcd
    can't be asked: without the lock nothing is touched.
    """
    author = session.author
    holder = Holder(
        author.owner, author.host, author.pid, as_time(session.clock.wall()), command, secrets.token_hex(8)
    )
    lock = Lock(session, holder, _obtain(session, holder, wait_s))
    is_over = threading.Event()
    renewing = threading.Thread(target=_keep_renewing, args=(lock, is_over), name="lock", daemon=True)
    renewing.start()
    try:
        yield lock
    finally:
        is_over.set()
        renewing.join()
        lock.give_back()


def who_holds(session: Session) -> HeldLock | None:
    """Return the lock as it stands in etcd; None where nobody has it."""
    return _held(session.store().entry(lock_key(session.project.name)))


def refuse_held(held: HeldLock | None, *, wait_s: float) -> None:
    """Refuse what `held_lock` would refuse later, unless it is to be waited for; takes no lock."""
    if held is not None and not wait_s:
        raise _refused(held)


def release(session: Session, held: HeldLock | None) -> None:
    """Take the lock away from the holder that was seen; raises `KitError` where another holds it now."""
    if held is None:
        return
    if not session.store().delete_if_value(lock_key(session.project.name), held.value):
        raise KitError(
            "the lock was not released: its holder is not the one that was shown any more",
            hint="Look again: coreos-kit lock show",
        )


def _keep_renewing(lock: Lock, is_over: threading.Event) -> None:
    while not is_over.wait(RENEW_S):
        lock.renew()


@dataclass(frozen=True, slots=True)
class _Obtained:
    """The lock, as etcd has just given it."""

    store: EtcdStore
    lease: str
    asked_at: float  # the lease began then, at the earliest
    was_free: bool  # nobody had to be waited for, so nobody has changed anything meanwhile


def _obtain(session: Session, holder: Holder, wait_s: float) -> _Obtained:
    deadline = session.clock.now() + wait_s
    key, told, tries = lock_key(session.project.name), "", _TRIES
    while True:
        try:
            store = session.store()
            asked_at = session.clock.now()
            lease = store.create(key, holder.text(), LEASE_S)
            held = None if lease else _held(store.entry(key))
        except Unreachable as error:
            raise Unreachable(
                f"the lock {key} can't be taken, so nothing was touched",
                details=[str(error), *error.details],
                hint=error.hint or "Look at etcd first: coreos-kit machines",
            ) from error
        if lease:
            return _Obtained(store, lease, asked_at, was_free=not told and tries == _TRIES)
        if held is None:
            tries -= 1
            if tries > 0:
                continue
        if session.clock.now() >= deadline:
            raise _refused(held)
        other = str(held.holder) if held else "somebody"
        if other != told:
            session.progress(f"waiting for the lock: {other} has it")
            told = other
        session.clock.sleep(POLL_S)


def _held(entry: EtcdEntry | None) -> HeldLock | None:
    return None if entry is None else HeldLock(Holder.parse(entry.value), entry.value, entry.ttl_left_s)


def _refused(held: HeldLock | None) -> LockHeld:
    who = str(held.holder) if held else "somebody else"
    if held is not None and held.ttl_left_s is None:
        lasts = "It has no lease and stays until somebody takes it away"
    else:
        lasts = f"If that process is dead, the lock is free within {LEASE_S} s"
    return LockHeld(
        f"the lock is held by {who}; nothing was touched",
        hint=f"Wait for it with --lock-wait 600. {lasts}; by hand: coreos-kit lock release",
    )
