"""balancer preview."""

import typer

_group = typer.Typer(help="Look into the load balancers.", no_args_is_help=True, rich_markup_mode=None)


@_group.callback()
def _balancer() -> None:
    """Look into the load balancers."""


@_group.command("preview")
def preview_command(ctx: typer.Context) -> None:
    """Show the pool that the registrations would give.

    Servers marked + are not in the running pool yet, those marked - still are.

    Example: coreos-kit balancer preview
    """
    from coreos_kit.cli import output, show_preview, wiring
    from coreos_kit.ops.preview import preview

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        previews = preview(session)
    show_preview.preview(ctx.obj, session.cluster, previews)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(_group, name="balancer")
