"""Who holds the lock, as text and as JSON."""

from collections.abc import Mapping

from coreos_kit.cli import output
from coreos_kit.cli.asking import confirm
from coreos_kit.cli.settings import Settings
from coreos_kit.model.project import Cluster
from coreos_kit.ops.lock import HeldLock

NOBODY = "nobody holds the lock"


def held(settings: Settings, cluster: Cluster, lock: HeldLock | None) -> None:
    """Show the holder."""
    if settings.json:
        body = {"cluster": cluster.name, "held": lock is not None}
        output.print_json("lock-show", {**body, "holder": _holder(lock)})
    elif lock is None:
        output.line(NOBODY)
    else:
        output.line(f"held by {lock.holder}")
        output.line(_lasts(lock))


def confirm_release(lock: HeldLock | None, *, force: bool) -> None:
    """Ask whether the lock is to be taken from its holder, if there is one."""
    if lock is not None:
        confirm(f"Release the lock of {lock.holder}?", yes=force, instead="--force")


def released(settings: Settings, cluster: Cluster, lock: HeldLock | None) -> None:
    """Say whose lock was released."""
    if settings.json:
        body = {"cluster": cluster.name, "released": lock is not None}
        output.print_json("lock-release", {**body, "holder": _holder(lock)})
    else:
        output.line(NOBODY if lock is None else f"released: it was held by {lock.holder}")


def _holder(lock: HeldLock | None) -> Mapping[str, object] | None:
    if lock is None:
        return None
    holder = lock.holder
    return {
        "owner": holder.owner,
        "host": holder.host,
        "pid": holder.pid,
        "since": holder.since,
        "command": holder.command,
        "ttl_left_s": lock.ttl_left_s,
    }


def _lasts(lock: HeldLock) -> str:
    if lock.ttl_left_s is None:
        return "it has no lease, and stays until somebody takes it away: coreos-kit lock release"
    return f"its lease has {lock.ttl_left_s:.0f} s left; a holder that lives renews it"
