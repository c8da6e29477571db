"""Releases: the list of them, and one with what it changed."""

import difflib
from collections.abc import Callable, Iterator, Mapping

from coreos_kit.cli import output, show_plan
from coreos_kit.cli.settings import Settings
from coreos_kit.model.project import Cluster
from coreos_kit.model.release import Release
from coreos_kit.ops.history import ReleaseView, view
from coreos_kit.ops.releases import History, read_history
from coreos_kit.ops.session import Session
from coreos_kit.ops.vouching import Vouched

_SHORT = 12


def find(session: Session, number: int | None) -> Callable[[Settings, Cluster], None]:
    """Read what was asked for, all of it or one; return what shows it."""
    if number is None:
        history = read_history(session)
        return lambda settings, cluster: releases(settings, cluster, history)
    seen = view(session, number)
    return lambda settings, cluster: release(settings, cluster, seen)


def releases(settings: Settings, cluster: Cluster, history: History) -> None:
    """Show every release and attempt, the last one last."""
    current = history.current.number if history.current else None
    if settings.json:
        body = {
            "cluster": cluster.name,
            "current": current,
            "releases": [_body(release) for release in history.releases],
            "damaged": [{"number": one.number, "reason": one.reason} for one in history.damaged],
        }
        output.print_json("history", body)
        return
    if not history.recorded and not history.damaged:
        output.line("no release is recorded yet: coreos-kit deploy")
        return
    rows = {one.number: [one.number, "damaged", "", "", "", one.reason] for one in history.damaged}
    rows |= {
        release.number: [
            release.number,
            _outcome(release, current),
            release.at,
            f"{release.owner}@{release.host}",
            _revision(release),
            release.error.partition("\n")[0],
        ]
        for release in history.releases
    }
    columns = ["release", "outcome", "at", "by", "revision", "error"]
    output.table(columns, [rows[number] for number in sorted(rows)])


def release(settings: Settings, cluster: Cluster, seen: ReleaseView) -> None:
    """Show one release, and what it changed against the one before."""
    shown = seen.release
    if settings.json:
        body = {
            "cluster": cluster.name,
            **_body(shown),
            "before": seen.before.number if seen.before else None,
            "digests": shown.digests,
            "has": [
                {"unit": unit.name, "machines": unit.machines, "digest": unit.text.digest}
                for unit in shown.units
            ],
            "changes": [
                {
                    "unit": change.name,
                    "verb": change.verb,
                    "machine": change.machine,
                    "reason": change.reason,
                    "diff": list(show_plan.diff_of(change)),
                }
                for change in seen.changes
            ],
            "configuration_diff": list(_configuration_diff(seen)),
            "seal": _seal_body(seen.vouched) if seen.vouched else None,
        }
        output.print_json("history-release", body)
        return
    for text in _lines(seen):
        output.line(text)


def _body(shown: Release) -> Mapping[str, object]:
    return {
        "number": shown.number,
        "outcome": shown.outcome,
        "at": shown.at,
        "owner": shown.owner,
        "host": shown.host,
        "kit": shown.kit,
        "command": shown.command,
        "revision": shown.revision.commit,
        "dirty": shown.revision.is_dirty,
        "back_to": shown.back_to,
        "error": shown.error,
        "units": len(shown.units),
    }


def _seal_body(vouched: Vouched) -> Mapping[str, object]:
    seal = vouched.seal
    return {
        "holds": seal.holds,
        "matching": seal.matching,
        "differing": seal.differing,
        "lacking": seal.lacking,
        "silent": [{"machine": machine, "error": error} for machine, error in vouched.silent.items()],
    }


def _seal_lines(vouched: Vouched) -> Iterator[str]:
    few = "rollback refuses it: too few machines vouch for it"
    yield "most machines vouch for it" if vouched.seal.holds else few
    yield from (f"    {line}" for line in vouched.lines())


def _outcome(shown: Release, current: int | None) -> str:
    said = str(shown.outcome)
    if shown.back_to is not None:
        said += f", back to {shown.back_to}"
    return f"{said}, current" if shown.number == current else said


def _revision(shown: Release) -> str:
    return shown.revision.commit[:_SHORT] + (" and edits" if shown.revision.is_dirty else "")


def _lines(seen: ReleaseView) -> Iterator[str]:
    shown = seen.release
    yield f"release {shown.number}: {_outcome(shown, None)} at {shown.at}"
    yield f"by {shown.owner} on {shown.host}, with {shown.command} of coreos-kit {shown.kit}"
    if shown.revision.commit:
        yield f"from {_revision(shown)}"
    if shown.error:
        yield f"error: {shown.error}"
    if seen.vouched:
        yield from _seal_lines(seen.vouched)
    for reference, digest in sorted(shown.digests.items()):
        yield f"image {reference} is {digest}"
    for unit in shown.units:
        yield f"  {unit.name} on {', '.join(unit.machines) or 'no machine'}"
    yield f"beside release {seen.before.number}:" if seen.before else "the first that is kept"
    if not seen.before:
        return
    told: set[tuple[str, ...]] = set()  # instances of a template share their diff
    for change in seen.changes:
        yield f"{show_plan.SIGNS[change.verb]} {change.verb} {change.name}: {change.reason}"
        diff = tuple(show_plan.diff_of(change))
        if diff[2:] not in told:
            told.add(diff[2:])
            yield from (f"    {line}" for line in diff)
    yield from (f"    {line}" for line in _configuration_diff(seen))
    if not seen.changes:
        yield "no unit differs"


def _configuration_diff(seen: ReleaseView) -> Iterator[str]:
    before, after = seen.configurations
    number = seen.before.number if seen.before else 0
    yield from difflib.unified_diff(
        before.splitlines() if seen.before else [],
        after.splitlines() if seen.before else [],
        f"release {number}: coreos-kit.toml",
        f"release {seen.release.number}: coreos-kit.toml",
        lineterm="",
    )
