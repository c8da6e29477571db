"""init, render, link, lint: the workspace on disk. None of them needs a cluster, or root."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from coreos_kit.cli.options import OutputOpt

CheckOpt = Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if anything is behind.")]


def init_command(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to; it is made if need be.", show_default=False)
    ] = Path(),
) -> None:
    """Write a workspace, rendered and linked.

    Example: coreos-kit init web
    """
    from coreos_kit.cli import show_workspace, wiring
    from coreos_kit.ops.workspace import init, render_and_link

    written = init(directory)
    project = wiring.open_project(replace(ctx.obj, project=directory))
    render_and_link(project, wiring.configured_cluster(ctx.obj, project))
    show_workspace.initialised(ctx.obj, written)


def render_command(
    ctx: typer.Context,
    check: CheckOpt = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what differs.")] = False,
    output: OutputOpt = None,
) -> None:
    """Write templates/ and static/ from unit_templates/.

    Example: coreos-kit render --check --diff
    """
    from coreos_kit.cli import show_workspace, wiring
    from coreos_kit.ops.render import apply_render, plan_render

    project = wiring.open_project(ctx.obj)
    changes = plan_render(project, wiring.configured_cluster(ctx.obj, project), output)
    if not check:
        apply_render(changes)
    show_workspace.rendered(ctx.obj, changes, diff=diff, check=check)
    raise typer.Exit(1 if check and not changes.is_empty else 0)


def link_command(ctx: typer.Context, check: CheckOpt = False) -> None:
    """Make instances/ match the configuration.

    Example: coreos-kit link
    """
    from coreos_kit.cli import show_workspace, wiring
    from coreos_kit.ops.link import apply_links, plan_links

    project = wiring.open_project(ctx.obj)
    changes = plan_links(project, wiring.configured_cluster(ctx.obj, project))
    if not check:
        apply_links(project.root, changes)
    show_workspace.linked(ctx.obj, changes, check=check)
    raise typer.Exit(1 if check and not changes.is_empty else 0)


def lint_command(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH…]", help="Unit files or folders. None: those of the workspace."),
    ] = None,
) -> None:
    """Check unit files, by themselves and beside each other.

    Parsing, names, systemd's rules, fleet's rules of [X-Fleet], and that sidekicks fit their units.

    Example: coreos-kit lint templates static
    """
    from coreos_kit.cli import show_workspace, wiring
    from coreos_kit.ops.behind import behind
    from coreos_kit.ops.lint import lint, lint_workspace

    if paths:
        found = lint(paths)
    else:
        project = wiring.open_project(ctx.obj)
        found = lint_workspace(project.root)
        show_workspace.warned(behind(project))
    show_workspace.linted(ctx.obj, found)
    raise typer.Exit(0 if found.ok else 1)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("init")(init_command)
    app.command("render")(render_command)
    app.command("link")(link_command)
    app.command("lint")(lint_command)
