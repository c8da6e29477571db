"""history, rollback."""

from typing import Annotated

import typer

from coreos_kit.cli.deploying import TimeoutOpt, planning_options
from coreos_kit.cli.options import (
    AllowDowntimeOpt,
    AllowRemoveOpt,
    EvacuateOpt,
    LockWaitOpt,
    NoRollbackOpt,
    SkipOpt,
    YesOpt,
)

NumberArg = Annotated[int | None, typer.Argument(metavar="[N]", min=1, help="A release's number.")]


def history_command(ctx: typer.Context, number: NumberArg = None) -> None:
    """List the releases, or show one and what it changed.

    And the deploys that failed. The last ten of each are kept. Of one, it is also said whether the machines
    vouch for it, as rollback wants.

    Example: coreos-kit history 3
    """
    from coreos_kit.cli import output, show_history, wiring

    with wiring.open_session(ctx.obj, progress=output.quiet) as session:
        found = show_history.find(session, number)
    found(ctx.obj, session.cluster)


def rollback_command(
    ctx: typer.Context,
    number: NumberArg = None,
    yes: YesOpt = False,
    timeout: TimeoutOpt = 90,
    lock_wait: LockWaitOpt = 0,
    skip: SkipOpt = None,
    evacuate: EvacuateOpt = None,
    allow_remove: AllowRemoveOpt = None,
    allow_downtime: AllowDowntimeOpt = False,
    no_rollback: NoRollbackOpt = False,
) -> None:
    """Go back to the release before, or to another.

    A rolling deploy of the texts that were deployed then, recorded as a new release.

    Example: coreos-kit rollback 3 --yes
    """
    from coreos_kit.cli import confirming, output, show, show_rollout, wiring
    from coreos_kit.ops.carrying_out import carry_out
    from coreos_kit.ops.deploy import DeployOptions
    from coreos_kit.ops.lock import refuse_held
    from coreos_kit.ops.rollback import find_target
    from coreos_kit.planning import refuse_downtime

    planning = planning_options(skip, evacuate, allow_remove)
    with wiring.open_session(ctx.obj, progress=output.say) as session:
        target = find_target(session, number)
        prepared = target.prepare(planning)
        refuse_held(prepared.lock, wait_s=lock_wait)
        refuse_downtime(prepared.plan, allowed=allow_downtime)
        show.going_back(ctx.obj, target.release)
        confirming.confirm_plan(ctx.obj, prepared.plan, yes=yes)
        changed = confirming.plan_that_changed(ctx.obj, yes=yes)
        how = DeployOptions(timeout, allow_downtime, not no_rollback)
        order = target.order(session, planning, changed, lock_wait, how)
        with show_rollout.following(session.clock) as rollout:
            done = carry_out(target.session, prepared, order, [rollout])
    show.went_back(ctx.obj, session.cluster, target.release, done)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("history")(history_command)
    app.command("rollback")(rollback_command)
