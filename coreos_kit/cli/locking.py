"""lock show, lock release."""

from typing import Annotated

import typer

_group = typer.Typer(help="See who is at work on a cluster.", no_args_is_help=True, rich_markup_mode=None)


@_group.callback()
def _lock() -> None:
    """See who is at work on a cluster."""


@_group.command("show")
def show_command(ctx: typer.Context) -> None:
    """Show who holds the lock, since when, and for what.

    Example: coreos-kit lock show
    """
    from coreos_kit.cli import output, show_lock, wiring
    from coreos_kit.ops.lock import who_holds

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        held = who_holds(session)
    show_lock.held(ctx.obj, session.cluster, held)


@_group.command("release")
def release_command(
    ctx: typer.Context, force: Annotated[bool, typer.Option("--force", help="Don't ask.")] = False
) -> None:
    """Take the lock away from whoever holds it.

    Only where its holder is dead or hangs: one that is at work stops at its next step.

    Example: coreos-kit lock release
    """
    from coreos_kit.cli import output, show_lock, wiring
    from coreos_kit.ops.lock import release, who_holds

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        held = who_holds(session)
        show_lock.confirm_release(held, force=force)
        release(session, held)
    show_lock.released(ctx.obj, session.cluster, held)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(_group, name="lock")
