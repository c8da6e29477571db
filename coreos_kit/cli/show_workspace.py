"""What init, render, link and lint did or found."""

from collections.abc import Sequence

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.project import Cluster
from coreos_kit.ops.link import LinkChanges
from coreos_kit.ops.lint import LintResult
from coreos_kit.ops.render import RenderChanges
from coreos_kit.ops.scale import Scaling
from coreos_kit.ops.workspace import InitResult


def initialised(settings: Settings, result: InitResult) -> None:
    """Show a new workspace."""
    if settings.json:
        output.print_json(
            "init", {"root": result.root, "written": result.written, "unchanged": result.unchanged}
        )
        return
    written = output.counted(len(result.written), "file")
    output.line(f"workspace in {result.root}: {written} written, {len(result.unchanged)} already there")
    output.line("next: edit coreos-kit.toml, then coreos-kit lab up, or coreos-kit plan --cluster NAME")


def rendered(settings: Settings, changes: RenderChanges, *, diff: bool, check: bool) -> None:
    """Show what was rendered, or what would be."""
    if settings.json:
        body = [
            {"path": change.path, "verb": _verb(change.before, change.after), "diff": change.diff}
            for change in changes.drift
        ]
        output.print_json(
            "render", {"root": changes.root, "check": check, "changes": body, "unchanged": changes.unchanged}
        )
        return
    for change in changes.drift:
        output.line(f"{_verb(change.before, change.after)} {change.path}")
        if diff:
            for text in change.diff.splitlines():
                output.line(f"    {text}")
    _summary(len(changes.drift), len(changes.unchanged), check=check)


def linked(settings: Settings, changes: LinkChanges, *, check: bool) -> None:
    """Show what was linked, or what would be."""
    if settings.json:
        output.print_json(
            "link",
            {
                "check": check,
                "created": changes.created,
                "removed": changes.removed,
                "unchanged": changes.unchanged,
                "foreign": changes.foreign,
            },
        )
        return
    for name in changes.created:
        output.line(f"create instances/{name}")
    for name in changes.removed:
        output.line(f"remove instances/{name}")
    for name in changes.foreign:
        output.line(f"not the kit's, left alone: instances/{name}")
    _summary(len(changes.created) + len(changes.removed), len(changes.unchanged), check=check)


def scaled(settings: Settings, cluster: Cluster, scaling: Scaling) -> None:
    """Show what changed in the configuration, and in the files that follow from it."""
    if settings.json:
        output.print_json(
            "scale",
            {
                "cluster": cluster.name,
                "service": scaling.service,
                "key": scaling.key,
                "clusters": scaling.clusters,
                "before": scaling.before,
                "after": scaling.after,
                "rendered": [change.path for change in scaling.rendered.drift],
                "created": scaling.linked.created,
                "removed": scaling.linked.removed,
            },
        )
        return
    count = output.counted(len(scaling.after), "instance")
    if scaling.before == scaling.after:
        output.line(f"nothing to do: {scaling.key} has {count}")
    else:
        verb, names = ("added", scaling.added) if scaling.added else ("removed", scaling.removed)
        output.line(f"{scaling.key}: {verb} {output.few(names, 8)}; now {count}")
    if others := [name for name in scaling.clusters if name != cluster.name]:
        one = len(others) == 1
        clusters, take, their = ("cluster", "takes", "its") if one else ("clusters", "take", "their")
        output.line(f"the {clusters} {', '.join(others)} {take} {their} instances from there too")
    for change in scaling.rendered.drift:
        output.line(f"{_verb(change.before, change.after)} {change.path}")
    links = (*scaling.linked.created, *scaling.linked.removed)
    if links:
        output.line(f"{output.counted(len(links), 'link')} changed in instances/")
    if scaling.before != scaling.after:
        output.line(f"next: coreos-kit deploy --cluster {cluster.name}")


def warned(notes: Sequence[str]) -> None:
    """Say on stderr what is to be known beside the result."""
    for note in notes:
        output.say(f"warning: {note}")


def linted(settings: Settings, result: LintResult) -> None:
    """Show what was found, in the order of files and lines."""
    if settings.json:
        output.print_json("lint", {"ok": result.ok, "files": result.files, "findings": result.findings})
        return
    for finding in result.findings:
        output.line(f"{finding.path}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        if finding.hint:
            output.line(f"    {finding.hint}")
    errors = sum(finding.severity == "error" for finding in result.findings)
    counts = (
        output.counted(errors, "error"),
        output.counted(len(result.findings) - errors, "warning"),
    )
    output.line(f"{output.counted(result.files, 'file')}: {', '.join(counts)}")


def _verb(before: str | None, after: str | None) -> str:
    return "create" if before is None else "remove" if after is None else "change"


def _summary(changed: int, unchanged: int, *, check: bool) -> None:
    word = "behind" if check else "changed"
    output.line(f"{changed} {word}, {unchanged} as they should be")
