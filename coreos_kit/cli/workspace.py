"""init, render, link, lint: the workspace on disk. None of them needs a cluster, or root."""

from pathlib import Path
from typing import Annotated

import typer

from coreos_kit.cli.options import OutputOpt

CheckOpt = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if anything is behind.")]


def init_command(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to; it is made if need be.", show_default=False)
    ] = Path(),
) -> None:
    """Write a workspace: the configuration, the templates of the units, the images' sources, all rendered and linked.

    Example: coreos-kit init web
    """
    from coreos_kit.cli import show_workspace
    from coreos_kit.ops.workspace import init

    show_workspace.initialised(directory, init(directory))


def render_command(
    ctx: typer.Context,
    check: CheckOpt = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what differs.")] = False,
    output: OutputOpt = None,
) -> None:
    """Write templates/ and static/ from the configuration and unit_templates/.

    Example: coreos-kit render --check --diff
    """
    from coreos_kit.cli import show_workspace, wiring  # noqa: F401
    from coreos_kit.ops.render import apply_render, plan_render

    project = wiring.open_project(ctx.obj)
    cluster = wiring.configured_cluster(ctx.obj, project)
    changes = plan_render(project, cluster, output)
    show_workspace.rendered(ctx.obj, changes, diff=diff, check=check)
    raise typer.Exit(1 if check and changes.drift else 0 if check else apply_render(changes))


def link_command(ctx: typer.Context, check: CheckOpt = False) -> None:
    """Make instances/ match the configuration: one relative link for each instance and its sidekick.

    Example: coreos-kit link
    """
    from coreos_kit.cli import show_workspace, wiring  # noqa: F401


def lint_command(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH…]", help="Unit files or folders. None: what the workspace renders."),
    ] = None,
) -> None:
    """Check unit files: parsing, names, fleet's rules of [X-Fleet], and that sidekicks fit their units.

    Example: coreos-kit lint templates static
    """


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("init")(init_command)
    app.command("render")(render_command)
    app.command("link")(link_command)
    app.command("lint")(lint_command)
