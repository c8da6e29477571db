"""scale."""

from typing import Annotated

import typer


def scale_command(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A service of the configuration.")],
    count: Annotated[int, typer.Argument(metavar="COUNT", min=0, help="How many instances it is to have.")],
) -> None:
    """Change how many instances a service has.

    Edits coreos-kit.toml and keeps its comments: new ones get the next free ports above the largest, of too
    many the last in the list goes first. Renders and links; touches no machine: deploy applies it.

    Example: coreos-kit scale apache 3
    """
    from coreos_kit.cli import show_workspace, wiring
    from coreos_kit.ops.scale import apply_scale, plan_scale

    project = wiring.open_project(ctx.obj)
    cluster = wiring.configured_cluster(ctx.obj, project)
    scaling = plan_scale(project, cluster, service, count)
    apply_scale(scaling)
    show_workspace.scaled(ctx.obj, cluster, scaling)


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("scale")(scale_command)
