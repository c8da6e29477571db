"""Carrying out a plan: under the lock, from a fresh look, verified and recorded in the end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.chain import Verdict
from coreos_kit.model.release import Release, Revision
from coreos_kit.ops.deploy import DeployOptions, DeployResult, check, deploy
from coreos_kit.ops.hooks import Hooks
from coreos_kit.ops.lock import Lock, held_lock
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.recording import About, Recording, begin
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ops.session import Session
from coreos_kit.planning.sameness import same_work


def refuse_changed(fresh: Prepared) -> None:
    """Refuse a plan that nobody has confirmed."""
    raise Refused(
        "the cluster has changed since this was planned, so nothing was touched",
        details=[f"now: {change.verb} {change.name} on {change.machine}" for change in fresh.plan.changes],
        hint="Run it again: it plans afresh.",
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be carried out: how it is planned anew, and what is to happen if that gives another plan."""

    command: str  # as the lock and the history name it
    again: Callable[[], Prepared]
    on_change: Callable[[Prepared], None] = refuse_changed
    lock_wait_s: int = 0
    options: DeployOptions = field(default_factory=DeployOptions)
    back_to: int | None = None  # the release that this goes back to
    revision: Revision | None = None  # what that was made from; None: what is checked out


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, and that it holds."""

    result: DeployResult
    verdict: Verdict
    release: Release | None = None  # None: there was nothing to record


def carry_out(session: Session, prepared: Prepared, order: Order, listeners: Sequence[Listener] = ()) -> Done:
    """Carry out a plan under the lock, and verify; one with nothing to do, too: another may be at work.

    Looks again once it has the lock: while somebody thought about the plan, or waited, the cluster may have
    changed. Where there was nothing to do and nobody at work, the first look is good enough. Raises
    `LockHeld`, `Unreachable`, `Refused` for a hook, and what `deploy` and `check` raise.
    """
    hooks = Hooks(session, order.command)
    with held_lock(session, order.command, wait_s=order.lock_wait_s) as lock:
        nobody_was_at_work = prepared.lock is None and lock.was_free
        fresh = prepared if prepared.plan.is_empty and nobody_was_at_work else order.again()
        if not fresh.plan.is_empty and not same_work(session.project.name, prepared.plan, fresh.plan):
            order.on_change(fresh)
        recording = begin(session, fresh, About(order.command, order.back_to, order.revision))
        with hooks.around(fresh):
            with _told_of(recording, lock):
                # The lock once more behind the hooks, which may take minutes.
                result = deploy(session, fresh, order.options, [lock, *listeners, hooks, lock])
                verdict = check(session, fresh, result)
            return Done(result, verdict, _recorded(recording, lock, result))


@contextmanager
def _told_of(recording: Recording | None, lock: Lock) -> Iterator[None]:
    """Let the history tell of an attempt, where something may have been touched and the lock is held."""
    try:
        yield
    except (KitError, KeyboardInterrupt, BrokenPipeError) as error:  # the last: nobody reads what is said
        has_begun = not isinstance(error, KitError) or error.exit_code in (5, 6, 130)
        if recording is not None and has_begun and lock.renew():
            recording.fail(error)
        raise


def _recorded(recording: Recording | None, lock: Lock, result: DeployResult) -> Release | None:
    if recording is None:
        return None
    lock.ensure()
    return recording.finish(result.prepared.plan)
