"""start, stop, restart, destroy."""

from typing import Annotated

import typer

from coreos_kit.cli.options import UnitsArg, WhyOpt, YesOpt


def start_command(ctx: typer.Context, units: UnitsArg) -> None:
    """Start units wherever they stand.

    Fails, with the journal, if one does not come up. What was held is held no more.

    Example: coreos-kit start apache@7777
    """
    from coreos_kit.cli import output, show_holding, wiring
    from coreos_kit.ops.holds import start_again

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        found = start_again(session, units)
    show_holding.started(ctx.obj, session.cluster, found)


def stop_command(
    ctx: typer.Context,
    units: UnitsArg,
    hold: Annotated[
        bool, typer.Option("--hold", help="Let them stay stopped, through deploys and boots, until started.")
    ] = False,
    why: WhyOpt = "",
) -> None:
    """Stop units; sidekicks deregister and drain first.

    Says first if a service is down from then on. The next deploy starts them again, unless they are held.

    Example: coreos-kit stop 'apache@*'
    """
    from coreos_kit.cli import output, show_holding, wiring
    from coreos_kit.ops.holds import stop_and_hold, stop_until_deploy
    from coreos_kit.ops.units import find_to_stop

    stop = {False: stop_until_deploy, True: stop_and_hold}[hold]
    with wiring.open_session(ctx.obj, progress=output.say) as session:
        found = stop(session, find_to_stop(session, units), why)
    show_holding.stopped(ctx.obj, session.cluster, found)


def restart_command(ctx: typer.Context, units: UnitsArg) -> None:
    """Restart units one after the other.

    Each leaves the balancers' pools before it stops, and is back in them before the next one.

    Example: coreos-kit restart apache@7777 apache@8888
    """
    from coreos_kit.cli import output, show_units, wiring
    from coreos_kit.ops.holds import restart_unless_held
    from coreos_kit.ops.units import find

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        result = restart_unless_held(session, find(session, units))
    show_units.units(ctx.obj, session.cluster, result)


def destroy_command(ctx: typer.Context, units: UnitsArg, yes: YesOpt = False) -> None:
    """Stop units and remove them from their machines.

    An instance goes together with its sidekick. What is still configured, the next deploy makes again.

    Example: coreos-kit destroy apache@8888 --yes
    """
    from coreos_kit.cli import output, show_units, wiring
    from coreos_kit.cli.asking import confirm
    from coreos_kit.ops.units import destroy, find_to_stop, with_sidekicks

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        found = with_sidekicks(session, find_to_stop(session, units))
        confirm(f"Destroy {', '.join(f'{unit.name} on {unit.machine}' for unit in found)}?", yes=yes)
        result = destroy(session, found)
    show_units.units(ctx.obj, session.cluster, result)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("start")(start_command)
    app.command("stop")(stop_command)
    app.command("restart")(restart_command)
    app.command("destroy")(destroy_command)
