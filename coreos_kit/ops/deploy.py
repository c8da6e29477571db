"""Deploy: make the cluster what the configuration says, wave by wave; say what stands where if that fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from coreos_kit.errors import DeployFailed, Interrupted, KitError, LockLost, RolledBack, Unreachable
from coreos_kit.model.chain import State, Verdict
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitKind
from coreos_kit.ops.bringing import pull_images, write_environments
from coreos_kit.ops.machine_files import remove_files, write_files
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.rollout.footing import Footing
from coreos_kit.ops.rollout.ledger import Ledger
from coreos_kit.ops.rollout.let_in import let_in_forgotten
from coreos_kit.ops.rollout.listening import Listener, Listeners
from coreos_kit.ops.rollout.pools import Pools
from coreos_kit.ops.rollout.rolling import guarded_services, roll
from coreos_kit.ops.rollout.undo import go_back
from coreos_kit.ops.rollout.wave import as_it_came
from coreos_kit.ops.rollout.work import Work
from coreos_kit.ops.session import Session
from coreos_kit.ops.verify import verify
from coreos_kit.planning import follows_other_etcd, refuse_downtime

DEFAULT_TIMEOUT_S = 90
AGAIN = "Mend the cause and run deploy again: it goes on from what stands."
SETTLE_S = 20  # for the balancer to follow what has been registered


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How a plan is carried out; `timeout_s` bounds the wait for each instance."""

    timeout_s: int = DEFAULT_TIMEOUT_S
    allow_downtime: bool = False
    roll_back: bool = True


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What was done: the steps in order, and the sidekicks that an earlier deploy had left held out."""

    prepared: Prepared
    steps: tuple[Step, ...]
    let_in: Mapping[str, tuple[UnitName, ...]] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was done at all."""
        plan = self.prepared.plan
        return bool(self.steps or plan.environments or plan.files)


def deploy(
    session: Session,
    prepared: Prepared,
    options: DeployOptions | None = None,
    listeners: Sequence[Listener] = (),
) -> DeployResult:
    """Carry out a plan, with `listeners` told of every step.

    Images are on their machines before anything is stopped. Where a step fails, what was changed is put
    back: `RolledBack` (exit 5), or `DeployFailed` (exit 6) with a table of what stands where. Running it
    again, with a fresh plan, finishes the work.
    """
    options, heard = options or DeployOptions(), Listeners(listeners)
    plan = prepared.plan
    refuse_downtime(plan, allowed=options.allow_downtime)
    if plan.is_empty:
        heard.before_files()
        return DeployResult(prepared, (), _let_in(session, prepared))
    if prepared.etcd_error is not None and _starts_sidekicks(prepared):
        raise Unreachable(
            "etcd can't be asked whether what is deployed registers, so nothing was touched",
            details=[str(prepared.etcd_error), *prepared.etcd_error.details],
            hint=prepared.etcd_error.hint or "Look at etcd first: coreos-kit machines",
        )
    footing = Footing(prepared.observed, session.progress)
    work = Work(
        session,
        prepared.observed,
        options.timeout_s,
        heard,
        Pools(session, prepared.observed, follows_other_etcd(plan.waves)),
        footing.look,
        guarded_services(session.cluster, prepared.observed, plan),
        is_awaited=lambda *_: True,
    )
    ledger = Ledger(plan.waves)
    try:
        pull_images(session, prepared)
        heard.before_files()
        let_in = _let_in(session, prepared)
        write_environments(session, prepared)
        write_files(session, plan.files, prepared.contents)
        try:
            places = roll(work, plan.waves, ledger)
        except KitError as error:
            if not options.roll_back or isinstance(error, LockLost):  # who has it may be at work by now
                raise DeployFailed(
                    f"the deploy stopped: {error}",
                    details=[*error.details, *ledger.lines(_try_observe(work))],
                    hint=error.hint or AGAIN,
                ) from error
            raise _rolled_back(replace(work, look=footing.look_at_boot), ledger, error) from error
        heard.before_files()
        remove_files(session, plan.files)
    except KeyboardInterrupt:
        raise Interrupted(
            "the deploy was interrupted",
            details=[*ledger.lines()],
            hint="Run deploy again: it goes on from what stands.",
        ) from None
    except DeployFailed:
        raise
    except KitError as error:
        raise DeployFailed(
            f"the deploy stopped: {error}",
            details=[*error.details, *ledger.lines()],
            hint=error.hint or AGAIN,
        ) from error
    return DeployResult(replace(prepared, plan=as_it_came(plan, places)), tuple(ledger.done), let_in)


def _rolled_back(work: Work, ledger: Ledger, error: KitError) -> DeployFailed:
    """Go back, and return what to raise: whether everything stands as before, or what stands where."""
    work.session.progress(f"going back, because {error}")
    work.heard.going_back(error)
    try:
        go_back(work, ledger)
        if seen := _try_observe(work):
            let_in_forgotten(work.session, seen)  # of a step that could not begin, say
    except (KitError, KeyboardInterrupt) as second:
        why = "it was interrupted" if isinstance(second, KeyboardInterrupt) else str(second)
        again = why == str(error)  # a machine that is gone has nothing new to say
        return DeployFailed(
            f"the deploy stopped: {error}; going back stopped as well{'' if again else f': {why}'}",
            details=[
                *error.details,
                *(() if again else getattr(second, "details", ())),
                *ledger.lines(_try_observe(work)),
            ],
            hint=AGAIN,
        )
    return RolledBack(
        f"the deploy stopped and was rolled back: {error}",
        details=[*error.details, *ledger.lines()],
        hint=error.hint or "Mend the cause and run deploy again.",
    )


def _try_observe(work: Work) -> Observation | None:
    try:
        return work.session.driver.observe(list(work.pools.units))
    except KitError:
        return None


def _let_in(session: Session, prepared: Prepared) -> Mapping[str, tuple[UnitName, ...]]:
    return let_in_forgotten(session, prepared.observed) if prepared.etcd_error is None else {}


def _starts_sidekicks(prepared: Prepared) -> bool:
    sidekicks = {unit.name for unit in prepared.desired if unit.kind is UnitKind.SIDEKICK}
    return any(change.name in sidekicks and change.after is not None for change in prepared.plan.changes)


def check(session: Session, prepared: Prepared, result: DeployResult) -> Verdict:
    """Verify what a deploy left; raise `DeployFailed` where the chain does not hold.

    What a machine that was skipped or evacuated keeps from sight is reported, not held against the deploy, as
    long as no other is silent now; nor is what was no part of its plan: an instance that is not deployed yet
    when a machine is drained.
    """
    verdict = _verify(session, prepared, result)
    broken = _broken(prepared, verdict)
    if not broken:
        return verdict
    first = next(iter(session.cluster.services), None)
    templates = [template for template in (first.template, first.sidekick) if template] if first else []
    globs = " ".join(f"'{template.stem}*'" for template in templates)
    raise DeployFailed(
        "what was deployed does not hold together"
        if result.changed
        else "nothing had to change, but the chain does not hold",
        details=broken,
        hint=f"Look at it: coreos-kit verify; coreos-kit logs {globs}".rstrip(),
    )


def _broken(prepared: Prepared, verdict: Verdict) -> list[str]:
    wanted, was_silent = {unit.name for unit in prepared.desired}, prepared.observed.unreachable
    is_known = all(line.partition(": ")[0] in was_silent for line in verdict.unreachable)
    return [
        f"{link.state}: {link.name} of {chain.unit} on {chain.machine or 'no machine'}: {link.seen}"
        for chain in verdict.chains
        if chain.unit in wanted
        for link in chain.links
        if link.state is State.BROKEN or (link.state is State.UNKNOWN and not (was_silent and is_known))
    ]


def _verify(session: Session, prepared: Prepared, result: DeployResult) -> Verdict:
    if not result.changed and not result.let_in:  # what runs may have come up a moment ago, though
        return verify(
            session,
            wait_s=SETTLE_S,
            observed=prepared.observed,
            until=lambda verdict: not _broken(prepared, verdict),
        )
    try:
        return verify(session, wait_s=SETTLE_S)
    except KitError as error:
        if not result.changed:
            raise
        raise DeployFailed(
            f"what was deployed can't be verified: {error}",
            details=error.details,
            hint=error.hint or "Look at it: coreos-kit verify",
        ) from error
