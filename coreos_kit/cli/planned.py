"""Plans kept in files: plan --out, deploy --plan."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from coreos_kit.cli.output import say
from coreos_kit.errors import UsageError
from coreos_kit.ops.checkout import refuse_older
from coreos_kit.ops.plan import Prepared, prepare
from coreos_kit.ops.plan_file import prepare_as_recorded, read_plan, record_of, write_plan
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions


def keep(session: Session, prepared: Prepared, options: PlanOptions, out: Path | None) -> None:
    """Write the plan to a file, if there is to be one."""
    if out is None:
        return
    write_plan(out, record_of(session, prepared, options))
    say(f"the plan is in {out}; deploy --plan {out} does exactly that, or refuses")


def planner(
    session: Session, options: PlanOptions, file: Path | None, *, older: bool
) -> Callable[[], Prepared]:
    """Return what makes the plan of a deploy: a new one, or the one of a file as long as it fits.

    Each time it refuses a checkout that is older than what is deployed by then, unless `older` allows it.
    """
    if file is None:
        make = partial(prepare, session, options)
    elif options == PlanOptions():
        make = partial(prepare_as_recorded, session, file, read_plan(file))
    else:
        raise UsageError(
            "--plan brings --skip, --evacuate and --allow-remove with it",
            hint="Leave them out, or make the plan again with them: coreos-kit plan --out FILE",
        )

    def planned() -> Prepared:
        made = make()
        refuse_older(session, made.current, allowed=older)
        return made

    return planned
