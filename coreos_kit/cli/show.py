"""Each command's result, as text for people and as one JSON object for programs."""

from coreos_kit.cli import output, show_plan
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_verify import summary, verdict_body
from coreos_kit.model.chain import Verdict
from coreos_kit.model.project import Cluster
from coreos_kit.ops.deploy import DeployResult


def progress(text: str) -> None:
    """Say what is being done."""
    output.say(text)


def deployed(settings: Settings, cluster: Cluster, result: DeployResult, verdict: Verdict) -> None:
    """Show what a deploy did, and that it holds."""
    made = result.prepared.plan
    if settings.json:
        output.print_json(
            "deploy",
            {
                "cluster": cluster.name,
                "changed": result.changed,
                **show_plan.plan_body(made),
                "verified": verdict_body(verdict),
            },
        )
        return
    if not result.changed:
        for text in show_plan.plan_lines(made):
            output.line(text)
    else:
        machines = {change.machine for change in made.changes} | set(made.environments) | set(made.files)
        changes = output.counted(len(made.changes), "change")
        output.line(f"deployed: {changes} on {output.counted(len(machines), 'machine')}")
    output.line(summary(verdict))
