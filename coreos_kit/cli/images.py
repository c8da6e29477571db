"""image build|push|list."""

from typing import Annotated

import typer

_group = typer.Typer(help="Build, push and list images.", no_args_is_help=True, rich_markup_mode=None)

NamesArg = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME…]", help="Images. None: all that have sources.")
]
OnOpt = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="MACHINE",
        help="Use this machine's engine instead of the workstation's.",
        show_default=False,
    ),
]


@_group.command("build")
def build_command(ctx: typer.Context, names: NamesArg = None, on: OnOpt = None) -> None:
    """Build images with docker or podman, here or on a machine.

    A machine gets the sources over SSH.

    Example: coreos-kit image build --on core-1
    """
    from coreos_kit.cli import show_images, wiring
    from coreos_kit.ops.images import build

    with wiring.open_builder(ctx.obj, on) as (project, cluster, builder):
        built = build(project, cluster, names or [], builder, show_images.progress(ctx.obj))
    show_images.built(ctx.obj, cluster, built)


@_group.command("push")
def push_command(ctx: typer.Context, names: NamesArg = None, on: OnOpt = None) -> None:
    """Push images to their registry, and say their digests.

    Or to the cluster's push_to, where it has one.

    Example: coreos-kit image push apache --on core-1
    """
    from coreos_kit.cli import show_images, wiring
    from coreos_kit.ops.images import push

    with wiring.open_builder(ctx.obj, on) as (project, cluster, builder):
        pushed = push(project, cluster, names or [], builder, show_images.progress(ctx.obj))
    show_images.pushed(ctx.obj, cluster, pushed)


@_group.command("list")
def list_command(ctx: typer.Context, on: OnOpt = None) -> None:
    """List the images that the cluster's units run.

    With --on, also whether that machine has them.

    Example: coreos-kit image list --json
    """
    from coreos_kit.cli import show_images, wiring
    from coreos_kit.ops.images import list_images

    with wiring.try_builder(ctx.obj, on) as (project, cluster, builder):
        listed = list_images(project, cluster, builder)
    show_images.listed(ctx.obj, cluster, listed)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(_group, name="image")
