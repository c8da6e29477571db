"""Carrying out a plan: under the lock, from a fresh look, verified in the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coreos_kit.errors import Refused
from coreos_kit.model.chain import Verdict
from coreos_kit.ops.deploy import DeployOptions, DeployResult, check, deploy
from coreos_kit.ops.hooks import Hooks
from coreos_kit.ops.listening import Listener
from coreos_kit.ops.lock import held_lock
from coreos_kit.ops.plan import Prepared
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


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, and that it holds."""

    result: DeployResult
    verdict: Verdict


def carry_out(session: Session, prepared: Prepared, order: Order, listeners: Sequence[Listener] = ()) -> Done:
    """Carry out a plan under the lock, and verify; one with nothing to do, too: another may be at work.

    Looks again once it has the lock: while somebody thought about the plan, or waited, the cluster may have
    changed. Raises `LockHeld`, `Unreachable`, `Refused` for a hook, and what `deploy` and `check` raise.
    """
    hooks = Hooks(session, order.command)
    with held_lock(session, order.command, wait_s=order.lock_wait_s) as lock:
        fresh = order.again()
        if not fresh.plan.is_empty and not same_work(session.project.name, prepared.plan, fresh.plan):
            order.on_change(fresh)
        with hooks.around(fresh):
            result = deploy(session, fresh, order.options, [lock, *listeners, hooks])
            return Done(result, check(session, fresh, result))
