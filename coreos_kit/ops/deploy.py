"""Deploy: make the cluster what the configuration says, wave by wave; say what stands where if that fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from coreos_kit.errors import DeployFailed, Interrupted, KitError, Unreachable
from coreos_kit.model.chain import State, Verdict
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitKind, Verb
from coreos_kit.ops.listening import Listener, Listeners
from coreos_kit.ops.machine_files import remove_files, write_files
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.session import Session
from coreos_kit.ops.verify import verify
from coreos_kit.ops.wave import Wave, as_it_came
from coreos_kit.parallel import on_each
from coreos_kit.ports import Change
from coreos_kit.units.pin import pinned_digests

DEFAULT_TIMEOUT_S = 90
SETTLE_S = 20  # for the balancer to follow what has been registered


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How a plan is carried out; `timeout_s` bounds the wait for each instance."""

    timeout_s: int = DEFAULT_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What was done: the steps in order."""

    prepared: Prepared
    steps: tuple[Step, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done at all."""
        plan = self.prepared.plan
        return bool(self.steps) or bool(plan.environments) or bool(plan.files)


def deploy(
    session: Session,
    prepared: Prepared,
    options: DeployOptions | None = None,
    listeners: Sequence[Listener] = (),
) -> DeployResult:
    """Carry out a plan, with `listeners` told of every step.

    Images are on their machines before anything is stopped. Raises `DeployFailed` (exit 6) with a table of
    what stands where. Running it again, with a fresh plan, finishes the work.
    """
    options, heard = options or DeployOptions(), Listeners(listeners)
    plan = prepared.plan
    if plan.is_empty:
        return DeployResult(prepared, ())
    if prepared.etcd_error is not None and _starts_sidekicks(prepared):
        raise Unreachable(
            "etcd can't be asked whether what is deployed registers, so nothing was touched",
            details=[str(prepared.etcd_error), *prepared.etcd_error.details],
            hint=prepared.etcd_error.hint or "Look at etcd first: coreos-kit machines",
        )
    _pull(session, prepared)
    done: list[Step] = []
    places: dict[UnitName, tuple[str, ...]] = {}
    try:
        _write_environments(session, prepared)
        write_files(session, plan.files, prepared.contents)
        for wave in plan.waves:
            for step in wave:
                heard.before_step(step)
            results = Wave(session, prepared, wave, options.timeout_s).run()
            failed = [error for error in results.values() if isinstance(error, KitError)]
            finished = [step for step in wave if not isinstance(results[step.machine], KitError)]
            for step in finished:
                heard.after_step(step)
            done += finished
            places |= {
                unit: machines
                for result in results.values()
                if not isinstance(result, KitError)
                for unit, machines in result.items()
            }
            if failed:
                raise failed[0]
        remove_files(session, plan.files)
    except KeyboardInterrupt:
        raise Interrupted(
            "the deploy was interrupted",
            details=[*_standing(plan.waves, done)],
            hint="Run deploy again: it goes on from what stands.",
        ) from None
    except KitError as error:
        raise DeployFailed(
            f"the deploy stopped: {error}",
            details=[*error.details, *_standing(plan.waves, done)],
            hint=error.hint or "Mend the cause and run deploy again: it goes on from what stands.",
        ) from error
    return DeployResult(replace(prepared, plan=as_it_came(plan, places)), tuple(done))


def _starts_sidekicks(prepared: Prepared) -> bool:
    sidekicks = {unit.name for unit in prepared.desired if unit.kind is UnitKind.SIDEKICK}
    return any(change.name in sidekicks and change.after is not None for change in prepared.plan.changes)


def check(session: Session, prepared: Prepared, result: DeployResult) -> Verdict:
    """Verify what a deploy left; raise `DeployFailed` where the chain does not hold.

    What a machine that was skipped or evacuated keeps from sight is reported, not held against the deploy.
    """
    verdict = (
        verify(session, wait_s=SETTLE_S) if result.changed else verify(session, observed=prepared.observed)
    )
    broken = [
        f"{link.state}: {link.name} of {chain.unit} on {chain.machine or 'no machine'}: {link.seen}"
        for chain in verdict.chains
        for link in chain.links
        if link.state is State.BROKEN or (link.state is State.UNKNOWN and not prepared.observed.unreachable)
    ]
    if not broken:
        return verdict
    first = next(iter(session.cluster.services), None)
    raise DeployFailed(
        "what was deployed does not hold together"
        if result.changed
        else "nothing had to change, but the chain does not hold",
        details=broken,
        hint="Look at it: coreos-kit verify; coreos-kit logs" + (f" '{first.name}@*'" if first else ""),
    )


def _standing(waves: Sequence[Sequence[Step]], done: Sequence[Step]) -> Iterator[str]:
    """Say of each change whether it was made; `unclear` is the one at which it stopped."""
    reached = True
    for wave in waves:
        begun = reached
        for step in wave:
            state = "done" if step in done else "unclear" if begun else "not begun"
            yield from (
                f"{state}: {change.verb} {change.name} on {change.machine}" for change in step.changes
            )
            reached = reached and step in done


def _pull(session: Session, prepared: Prepared) -> None:
    """Bring the pinned images to every machine that will run them, before anything is stopped."""
    wanted: dict[str, set[str]] = {}
    images = {unit.name: unit.images for unit in prepared.desired}
    observed = prepared.observed
    # A scheduler may put a unit that has to go and come again onto any machine.
    everywhere = sorted(observed.machines.keys() - observed.silent) if observed.scheduler else ()
    for change in prepared.plan.changes:
        if change.after is not None and change.verb is not Verb.RESTART:
            digests = pinned_digests(change.after, images[change.name])
            for machine in everywhere or (change.machine,):
                wanted.setdefault(machine, set()).update(
                    f"{reference}@{digest}" for reference, digest in digests.items()
                )
    if not any(wanted.values()):
        return
    session.progress(f"pulling images on {', '.join(sorted(wanted))}")

    def pull(machine: str) -> None:
        for reference in sorted(wanted[machine]):
            session.engines[machine].pull(reference)

    failures = [error for error in on_each(sorted(wanted), pull).values() if isinstance(error, KitError)]
    if failures:
        raise DeployFailed(
            f"nothing was touched: {failures[0]}", details=failures[0].details, hint=failures[0].hint
        ) from failures[0]


def _write_environments(session: Session, prepared: Prepared) -> None:
    environments = prepared.plan.environments
    if not environments:
        return
    session.progress(
        f"writing {session.cluster.profile.environment_file} on {', '.join(sorted(environments))}"
    )
    results = on_each(
        sorted(environments),
        lambda machine: session.driver.apply(Change(machine, environment=environments[machine])),
    )
    for result in results.values():
        if isinstance(result, KitError):
            raise result
