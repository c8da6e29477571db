"""cordon, uncordon, drain."""

from functools import partial

import typer

from coreos_kit.cli.deploying import TimeoutOpt
from coreos_kit.cli.options import AllowDowntimeOpt, LockWaitOpt, MachineArg, SkipOpt, WhyOpt, YesOpt


def cordon_command(ctx: typer.Context, machine: MachineArg, why: WhyOpt = "") -> None:
    """Let nothing new onto a machine; what is there stays.

    Deploys place nothing on it until it is uncordoned.

    Example: coreos-kit cordon core-1 --why 'new disk on Friday'
    """
    from coreos_kit.cli import output, show_holding, wiring
    from coreos_kit.ops.cordons import cordon

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        found = cordon(session, machine, why)
    show_holding.cordoned(ctx.obj, session.cluster, found)


def uncordon_command(ctx: typer.Context, machine: MachineArg) -> None:
    """Let new units onto a machine again.

    Nothing moves back by itself.

    Example: coreos-kit uncordon core-1
    """
    from coreos_kit.cli import output, show_holding, wiring
    from coreos_kit.ops.cordons import uncordon

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        found = uncordon(session, machine)
    show_holding.uncordoned(ctx.obj, session.cluster, found)


def drain_command(
    ctx: typer.Context,
    machine: MachineArg,
    yes: YesOpt = False,
    timeout: TimeoutOpt = 90,
    lock_wait: LockWaitOpt = 0,
    skip: SkipOpt = None,
    allow_downtime: AllowDowntimeOpt = False,
    why: WhyOpt = "",
) -> None:
    """Cordon a machine and move its units elsewhere.

    One instance at a time, as deploy does it, with the texts that run now. What no other machine can take
    stays, is named with each machine's reason, and ends this with 1.

    Example: coreos-kit drain core-1 --why 'new disk'
    """
    from coreos_kit.cli import confirming, output, show_holding, show_rollout, wiring
    from coreos_kit.ops.carrying_out import Order
    from coreos_kit.ops.deploy import DeployOptions
    from coreos_kit.ops.drain import drain, prepare_drain
    from coreos_kit.ops.lock import refuse_held
    from coreos_kit.planning import PlanOptions, refuse_downtime

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        again = partial(prepare_drain, session, machine, PlanOptions(skip=frozenset(skip or ())))
        prepared = again()
        refuse_held(prepared.lock, wait_s=lock_wait)
        refuse_downtime(prepared.plan, allowed=allow_downtime)
        show_holding.confirm_drain(ctx.obj, prepared.plan, machine, yes=yes)
        changed = confirming.plan_that_changed(ctx.obj, yes=yes)
        how = DeployOptions(timeout, allow_downtime)
        order = Order(f"coreos-kit drain {machine}", again, changed, lock_wait, how)
        with show_rollout.following(session.clock) as rollout:
            drained = drain(session, machine, why, prepared, order, [rollout])
    show_holding.drained(ctx.obj, session.cluster, drained)
    raise typer.Exit(drained.exit_code)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("cordon")(cordon_command)
    app.command("uncordon")(uncordon_command)
    app.command("drain")(drain_command)
