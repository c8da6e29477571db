"""What is checked out beside what is deployed: behind it, ahead of it, or gone back from."""

from collections.abc import Iterator

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.release import Release
from coreos_kit.ops.releases import History, read_history
from coreos_kit.ops.session import Session


def release_notes(session: Session, history: History) -> Iterator[str]:
    """Say what an operator should know of the last release before deploying over it."""
    current = history.current
    if current is None:
        return
    if current.back_to is not None:
        yield (
            f"{_went_back(current)}: where this plan differs, the configuration is ahead of what is deployed"
            f" (coreos-kit history {current.number})"
        )
    if _is_behind(session, current):
        yield f"{_behind(current)}; deploy refuses it without --older"


def gone_back(session: Session) -> str:
    """Say that the last release was a rollback, where it was: what is missed may be what that took away.

    "" where it was not, or where etcd can't say.
    """
    try:
        current = read_history(session).current
    except KitError:
        return ""
    if current is None or current.back_to is None:
        return ""
    return (
        f"{_went_back(current)}: what the configuration has beyond that is missed here,"
        " and would come back with a deploy"
    )


def refuse_older(session: Session, current: Release | None, *, allowed: bool) -> None:
    """Refuse to deploy a checkout that is older than the last release, as git knows it."""
    if not allowed and current is not None and _is_behind(session, current):
        raise Refused(
            f"{_behind(current)}; nothing was touched",
            hint="Pull first. To go back: coreos-kit rollback. If this is meant: coreos-kit deploy --older",
        )


def _went_back(current: Release) -> str:
    return f"release {current.number} went back to release {current.back_to}"


def _is_behind(session: Session, current: Release) -> bool:
    return session.checkout is not None and bool(session.checkout.is_older_than(current.revision.commit))


def _behind(current: Release) -> str:
    return (
        f"this checkout is older than what is deployed: release {current.number}"
        f" of {current.revision.commit[:12]} by {current.owner} on {current.host}"
    )
