"""Each command's result, as text for people and as one JSON object for programs."""

from collections.abc import Mapping

from coreos_kit.cli import output, show_plan
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_verify import summary, verdict_body
from coreos_kit.model.project import Cluster
from coreos_kit.model.release import Release
from coreos_kit.ops.carrying_out import Done


def deployed(settings: Settings, cluster: Cluster, done: Done) -> None:
    """Show what a deploy did, that it holds, and as which release it is recorded."""
    if settings.json:
        output.print_json("deploy", _body(cluster, done))
        return
    _say(done, "deployed")


def going_back(settings: Settings, release: Release) -> None:
    """Say which release a rollback goes back to; with --json on stderr, a program sees it in the result."""
    write = output.say if settings.json else output.line
    write(f"going back to release {release.number} of {release.at}, by {release.owner}@{release.host}")


def went_back(settings: Settings, cluster: Cluster, release: Release, done: Done) -> None:
    """Show what a rollback did, the same way."""
    if settings.json:
        output.print_json("rollback", {**_body(cluster, done), "back_to": release.number})
        return
    _say(done, f"went back to release {release.number}")


def _body(cluster: Cluster, done: Done) -> Mapping[str, object]:
    return {
        "cluster": cluster.name,
        "changed": done.result.changed,
        **show_plan.plan_body(done.result.prepared.plan),
        "verified": verdict_body(done.verdict),
        "release": done.release.number if done.release else None,
    }


def _say(done: Done, what: str) -> None:
    made = done.result.prepared.plan
    if not done.result.changed:
        for text in show_plan.plan_lines(made):
            output.line(text)
    else:
        machines = {change.machine for change in made.changes} | set(made.environments) | set(made.files)
        changes = output.counted(len(made.changes), "change")
        output.line(f"{what}: {changes} on {output.counted(len(machines), 'machine')}")
    output.line(summary(done.verdict))
    if done.release:
        output.line(f"recorded as release {done.release.number}")
