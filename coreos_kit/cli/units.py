"""start, stop, restart, destroy."""

import typer

from coreos_kit.cli.options import UnitsArg, YesOpt


def start_command(ctx: typer.Context, units: UnitsArg) -> None:
    """Start units wherever they stand.

    Fails, with the journal, if one does not come up.

    Example: coreos-kit start apache@7777
    """
    from coreos_kit.cli import show, show_status, wiring
    from coreos_kit.ops.units import find, start

    with wiring.open_session(ctx.obj, progress=show.progress) as session:
        result = start(session, find(session, units))
    show_status.units(ctx.obj, session.cluster, result)


def stop_command(ctx: typer.Context, units: UnitsArg) -> None:
    """Stop units; sidekicks deregister and drain first.

    The next deploy starts them again.

    Example: coreos-kit stop 'apache@*'
    """
    from coreos_kit.cli import show, show_status, wiring
    from coreos_kit.ops.units import find, stop

    with wiring.open_session(ctx.obj, progress=show.progress) as session:
        result = stop(session, find(session, units))
    show_status.units(ctx.obj, session.cluster, result)


def restart_command(ctx: typer.Context, units: UnitsArg) -> None:
    """Restart units one after the other.

    Each is active again before the next is stopped.

    Example: coreos-kit restart apache@7777 apache@8888
    """
    from coreos_kit.cli import show, show_status, wiring
    from coreos_kit.ops.units import find, restart

    with wiring.open_session(ctx.obj, progress=show.progress) as session:
        result = restart(session, find(session, units))
    show_status.units(ctx.obj, session.cluster, result)


def destroy_command(ctx: typer.Context, units: UnitsArg, yes: YesOpt = False) -> None:
    """Stop units and remove them from their machines.

    An instance goes together with its sidekick. What is still configured, the next deploy makes again.

    Example: coreos-kit destroy apache@8888 --yes
    """
    from coreos_kit.cli import show, show_status, wiring
    from coreos_kit.cli.asking import confirm
    from coreos_kit.ops.units import destroy, find, with_sidekicks

    with wiring.open_session(ctx.obj, progress=show.progress) as session:
        found = with_sidekicks(session, find(session, units))
        confirm(f"Destroy {', '.join(f'{unit.name} on {unit.machine}' for unit in found)}?", yes=yes)
        result = destroy(session, found)
    show_status.units(ctx.obj, session.cluster, result)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("start")(start_command)
    app.command("stop")(stop_command)
    app.command("restart")(restart_command)
    app.command("destroy")(destroy_command)
