"""adopt: the way off fleet."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def adopt_command(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The new workspace.", show_default=False)],
    ssh: Annotated[
        list[str] | None,
        typer.Option(
            "--ssh",
            metavar="DESTINATION",
            help="A machine of the fleet; repeat for more. None: the cluster of this workspace.",
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the cluster.")] = "fleet",
) -> None:
    """Read a running fleet cluster into a workspace.

    Only looks: nothing on the cluster changes.

    Example: coreos-kit adopt web --ssh core@198.51.100.11
    """
    from coreos_kit.cli import show_adopt, wiring
    from coreos_kit.ops.adopt import adopted, project_name, write_workspace
    from coreos_kit.ops.workspace import render_and_link

    with wiring.open_fleet(ctx.obj, ssh or []) as (cluster, driver):
        found = adopted(name, project_name(directory), cluster, driver.observe([]))
    write_workspace(directory, found)
    project = wiring.open_project(replace(ctx.obj, project=directory))
    render_and_link(project, project.clusters[name])
    show_adopt.adopted(ctx.obj, directory, found)


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command("adopt")(adopt_command)
