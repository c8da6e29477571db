"""plan, deploy, verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreos_kit.cli.options import (
    AllowDowntimeOpt,
    AllowRemoveOpt,
    EvacuateOpt,
    LockWaitOpt,
    NoRollbackOpt,
    SkipOpt,
    YesOpt,
)

if TYPE_CHECKING:
    from coreos_kit.planning import PlanOptions

TimeoutOpt = Annotated[
    int, typer.Option("--timeout", metavar="S", min=1, help="How long to wait for each instance.")
]
OlderOpt = Annotated[
    bool, typer.Option("--older", help="Deploy though the checkout is older than what is deployed.")
]


def plan_command(
    ctx: typer.Context,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 if there is anything to do.")
    ] = False,
    skip: SkipOpt = None,
    evacuate: EvacuateOpt = None,
    allow_remove: AllowRemoveOpt = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Keep it there, for deploy --plan FILE.", show_default=False
        ),
    ] = None,
) -> None:
    """Show what deploy would do, and why.

    Unit by unit, with machines and diffs; the order; what each machine's loss would mean. Changes no unit.

    Example: coreos-kit plan --exit-code
    """
    from coreos_kit.cli import output, planned, show_plan, wiring
    from coreos_kit.ops.plan import losses, prepare
    from coreos_kit.ops.recording import refuse_unrecordable

    options = planning_options(skip, evacuate, allow_remove)
    with wiring.open_session(ctx.obj, progress=output.say) as session:
        prepared = prepare(session, options)
        refuse_unrecordable(session, prepared)
    planned.keep(session, prepared, options, out)
    show_plan.plan(ctx.obj, session.cluster, prepared, losses(session, prepared, options))
    raise typer.Exit(1 if exit_code and not prepared.plan.is_empty else 0)


def deploy_command(
    ctx: typer.Context,
    yes: YesOpt = False,
    timeout: TimeoutOpt = 90,
    lock_wait: LockWaitOpt = 0,
    older: OlderOpt = False,
    skip: SkipOpt = None,
    evacuate: EvacuateOpt = None,
    allow_remove: AllowRemoveOpt = None,
    allow_downtime: AllowDowntimeOpt = False,
    no_rollback: NoRollbackOpt = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Do exactly what plan --out wrote there.", show_default=False
        ),
    ] = None,
) -> None:
    """Make the cluster what the configuration says.

    One instance at a time, out of every balancer's pool before it stops, back in it before the next; then
    verify the whole chain. What fails is put back. Safe to repeat.

    Example: coreos-kit deploy --yes
    """
    from coreos_kit.cli import confirming, output, planned, show, show_rollout, wiring
    from coreos_kit.ops.carrying_out import Order, carry_out
    from coreos_kit.ops.deploy import DeployOptions
    from coreos_kit.ops.lock import refuse_held
    from coreos_kit.ops.recording import refuse_unrecordable
    from coreos_kit.planning import refuse_downtime

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        again = planned.planner(session, planning_options(skip, evacuate, allow_remove), plan, older=older)
        prepared = again()
        refuse_held(prepared.lock, wait_s=lock_wait)
        refuse_downtime(prepared.plan, allowed=allow_downtime)
        refuse_unrecordable(session, prepared)
        confirming.confirm_plan(ctx.obj, prepared.plan, yes=yes)
        how = DeployOptions(timeout, allow_downtime, not no_rollback)
        changed = confirming.plan_that_changed(ctx.obj, yes=yes)
        order = Order("coreos-kit deploy", again, changed, lock_wait, how)
        with show_rollout.following(session.clock) as rollout:
            done = carry_out(session, prepared, order, [rollout])
    show.deployed(ctx.obj, session.cluster, done)


def verify_command(
    ctx: typer.Context,
    wait: Annotated[
        int,
        typer.Option(
            "--wait",
            metavar="S",
            min=0,
            help="Look again until all holds, or nothing is left that time mends; so long at most.",
        ),
    ] = 0,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Mend what is safe: stale keys, orphaned containers, edited unit files."),
    ] = False,
    yes: YesOpt = False,
) -> None:
    """Prove the chain from every unit to a request it served.

    And that nothing stands beside it: no key, container, unit or pool entry that it does not explain.

    Exits 0 only if every link holds, 1 if one is broken, 4 if something could not be looked at.

    Example: coreos-kit verify --wait 30
    """
    from coreos_kit.cli import output, show_verify, wiring
    from coreos_kit.ops.checkout import gone_back
    from coreos_kit.ops.mend import Fixed, mend
    from coreos_kit.ops.verify import verify

    with wiring.open_session(ctx.obj, progress=output.say) as session:
        verdict = verify(session, wait_s=wait)
        fixed = mend(session, verdict, show_verify.asking(yes=yes)) if fix else Fixed(verdict)
        is_missing = any(not chain.machine for chain in fixed.verdict.chains)
        note = gone_back(session) if is_missing else ""  # the history is long to read
    show_verify.verdict(ctx.obj, session.cluster, fixed, fix=fix)
    if note:
        output.say(f"note: {note}")
    raise typer.Exit(fixed.verdict.exit_code)


def planning_options(
    skip: list[str] | None, evacuate: list[str] | None, allow_remove: list[str] | None
) -> "PlanOptions":
    """Return what planning is asked to do otherwise."""
    from coreos_kit.planning import PlanOptions

    return PlanOptions(frozenset(skip or ()), frozenset(evacuate or ()), frozenset(allow_remove or ()))


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("plan")(plan_command)
    app.command("deploy")(deploy_command)
    app.command("verify")(verify_command)
