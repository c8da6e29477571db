"""status, machines, registrations, logs, ssh: looking at a cluster."""

from typing import Annotated

import typer

from coreos_kit.cli.options import WatchOpt


def status_command(ctx: typer.Context, watch: WatchOpt = False) -> None:
    """Show machines, units, registrations and pools.

    Example: coreos-kit status --watch
    """
    from coreos_kit.cli import output, show_status, watching, wiring
    from coreos_kit.ops.status import status

    with (
        wiring.open_session(ctx.obj, progress=output.quiet) as session,
        watching.ended_by_hand(wanted=watch),
    ):
        for seen in watching.looks(lambda: status(session), session.clock, again=watch):
            show_status.status(ctx.obj, session.cluster, seen, clear=watch)
    raise typer.Exit(4 if seen.observed.unreachable or seen.etcd_error else 0)


def machines_command(ctx: typer.Context) -> None:
    """List the machines: addresses, units, system, cordons.

    Example: coreos-kit machines --json
    """
    from coreos_kit.cli import output, show_status, wiring
    from coreos_kit.ops.status import machines

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        seen = machines(session)
    show_status.machines(ctx.obj, session.cluster, seen)
    raise typer.Exit(4 if seen.observed.unreachable else 0)


def registrations_command(ctx: typer.Context, watch: WatchOpt = False) -> None:
    """List the registrations in etcd and the time they have left.

    Example: coreos-kit registrations --watch
    """
    from coreos_kit.cli import output, show_status, watching, wiring
    from coreos_kit.ops.status import registrations

    with (
        wiring.open_session(ctx.obj, progress=output.quiet) as session,
        watching.ended_by_hand(wanted=watch),
    ):
        for entries in watching.looks(lambda: registrations(session), session.clock, again=watch):
            show_status.registrations(ctx.obj, session.cluster, entries, clear=watch)


def logs_command(
    ctx: typer.Context,
    units: Annotated[
        list[str] | None, typer.Argument(metavar="[UNIT…]", help="Units; globs work. None: all.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")
    ] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines of each machine.")] = 50,
) -> None:
    """Show the journals of all machines, merged by time.

    Example: coreos-kit logs 'apache@*' -f
    """
    from coreos_kit.cli import output, show_logs, watching, wiring

    with (
        wiring.open_session(ctx.obj, progress=output.quiet) as session,
        watching.ended_by_hand(wanted=follow),
    ):
        complete = show_logs.show(ctx.obj, session, units or [], lines=lines, follow=follow)
    raise typer.Exit(0 if complete else 4)


def ssh_command(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="MACHINE|UNIT", help="Where to; a unit means the machine that it is on.")
    ],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND…]", help="None: a login shell.")
    ] = None,
) -> None:
    """Open a shell on a machine, or run a command there.

    Ends with the command's own exit code; 255 says that the kit could not run it.

    Example: coreos-kit ssh core-1 -- docker ps
    """
    from coreos_kit.cli import ssh

    raise typer.Exit(ssh.run(ctx.obj, target, command or []))


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("status")(status_command)
    app.command("machines")(machines_command)
    app.command("registrations")(registrations_command)
    app.command("logs")(logs_command)
    app.command("ssh")(ssh_command)
