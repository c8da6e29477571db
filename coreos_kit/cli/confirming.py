"""Plans that somebody has to agree to before they are carried out."""

from collections.abc import Callable

from coreos_kit.cli import show_plan
from coreos_kit.cli.asking import confirm
from coreos_kit.cli.output import say
from coreos_kit.cli.settings import Settings
from coreos_kit.model.plan import Plan
from coreos_kit.ops.carrying_out import refuse_changed
from coreos_kit.ops.plan import Prepared


def confirm_plan(settings: Settings, made: Plan, *, yes: bool) -> None:
    """Show a plan and ask whether to carry it out; one with nothing to do needs neither."""
    show_plan.plan_to_confirm(settings, made)
    if not made.is_empty:
        confirm("Do this?", yes=yes)


def plan_that_changed(settings: Settings, *, yes: bool) -> Callable[[Prepared], None]:
    """Return what happens when the plan is not the confirmed one any more; with --yes any will do."""

    def go_on(fresh: Prepared) -> None:
        say("the cluster has changed since this was planned; now the plan is:")
        show_plan.plan_to_confirm(settings, fresh.plan)

    return go_on if yes else refuse_changed
