"""Each command's result, as text for people and as one JSON object for programs."""

import difflib
from collections.abc import Iterator, Mapping

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_verify import summary, verdict_body
from coreos_kit.errors import InvalidUnit
from coreos_kit.model.chain import Verdict
from coreos_kit.model.plan import Plan, UnitChange, Verb
from coreos_kit.model.project import Cluster
from coreos_kit.ops.deploy import DeployResult
from coreos_kit.units.fleet_hash import fleet_text

_SIGNS = {Verb.CREATE: "+", Verb.REPLACE: "~", Verb.RESTART: "!", Verb.REMOVE: "-", Verb.MOVE: ">"}


def progress(text: str) -> None:
    """Say what is being done."""
    output.say(text)


def plan(settings: Settings, cluster: Cluster, made: Plan) -> None:
    """Show a plan."""
    if settings.json:
        output.print_json("plan", {"cluster": cluster.name, **plan_body(made)})
        return
    for text in _plan_lines(made):
        output.line(text)


def plan_to_confirm(settings: Settings, made: Plan) -> None:
    """Show a plan before it is carried out; with --json on stderr, a program sees it in the result."""
    if made.is_empty:
        return
    for text in _plan_lines(made):
        if settings.json:
            output.say(text)
        else:
            output.line(text)


def plan_body(made: Plan) -> Mapping[str, object]:
    """Return a plan as JSON's keys."""
    return {
        "empty": made.is_empty,
        "changes": [
            {
                "unit": change.name,
                "verb": change.verb,
                "machine": change.machine,
                "reason": change.reason,
                "diff": list(diff_of(change)),
            }
            for change in made.changes
        ],
        "environments": sorted(made.environments),
        "files": [
            {"machine": machine, "write": names.write, "remove": names.remove}
            for machine, names in sorted(made.files.items())
        ],
        "placements": {str(name): list(machines) for name, machines in sorted(made.placements.items())},
        "digests": made.digests,
        "notes": made.notes,
    }


def diff_of(change: UnitChange) -> Iterator[str]:
    """Return the unified diff of a unit that is replaced; nothing for one that is new or goes."""
    if change.before is None or change.after is None or change.before == change.after:
        return
    lines = difflib.unified_diff(
        change.before.splitlines(),
        _as_bare_as(change.before, change.after).splitlines(),
        f"{change.machine}:{change.name}",
        f"new {change.name}",
        lineterm="",
    )
    yield from lines


def _as_bare_as(before: str, after: str) -> str:
    """Return a text without comments if it is compared with one that fleet has kept without."""
    try:
        return fleet_text(after) if fleet_text(before) == before else after
    except InvalidUnit:
        return after


def _plan_lines(made: Plan) -> Iterator[str]:
    for note in made.notes:
        yield f"note: {note}"
    if made.is_empty:
        yield "nothing to do: every unit is as the configuration says"
        return
    for machine in sorted(made.environments):
        yield f"~ environment file on {machine}"
    for machine, names in sorted(made.files.items()):
        yield from (f"~ secret file {name} on {machine}" for name in names.write)
        yield from (f"- secret file {name} on {machine}" for name in names.remove)
    for change in made.changes:
        where = change.machine or "no machine"
        yield f"{_SIGNS[change.verb]} {change.verb} {change.name} on {where}: {change.reason}"
        yield from (f"    {line}" for line in diff_of(change))
    for reference, digest in sorted(made.digests.items()):
        yield f"image {reference} is {digest}"


def deployed(settings: Settings, cluster: Cluster, result: DeployResult, verdict: Verdict) -> None:
    """Show what a deploy did, and that it holds."""
    made = result.prepared.plan
    if settings.json:
        output.print_json(
            "deploy",
            {
                "cluster": cluster.name,
                "changed": result.changed,
                **plan_body(made),
                "verified": verdict_body(verdict),
            },
        )
        return
    if not result.changed:
        for text in _plan_lines(made):
            output.line(text)
    else:
        machines = {change.machine for change in made.changes} | set(made.environments) | set(made.files)
        changes = output.counted(len(made.changes), "change")
        output.line(f"deployed: {changes} on {output.counted(len(machines), 'machine')}")
    output.line(summary(verdict))
