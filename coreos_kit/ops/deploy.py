"""Deploy: make the cluster what the configuration says, wave by wave; say what stands where if that fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coreos_kit.errors import DeployFailed, Interrupted, KitError, Unreachable
from coreos_kit.model.chain import State, Verdict
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitKind, Verb
from coreos_kit.model.project import HealthKind, Registration, Service
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.session import Session
from coreos_kit.ops.verify import verify
from coreos_kit.parallel import on_each
from coreos_kit.planning import change_of
from coreos_kit.ports import Change, Check, UnitOutcome
from coreos_kit.units.pin import pinned_digests

DEFAULT_TIMEOUT_S = 90
SETTLE_S = 20  # for the balancer to follow what has been registered


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What was done: the steps in order."""

    prepared: Prepared
    steps: tuple[Step, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done at all."""
        return bool(self.steps) or bool(self.prepared.plan.environments)


def deploy(session: Session, prepared: Prepared, *, timeout_s: int = DEFAULT_TIMEOUT_S) -> DeployResult:
    """Carry out a plan; `timeout_s` bounds the wait for each instance.

    Images are on their machines before anything is stopped. Raises `DeployFailed` (exit 6) with a table of
    what stands where. Running it again, with a fresh plan, finishes the work.
    """
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
    try:
        _write_environments(session, prepared)
        for wave in plan.waves:
            results = on_each([step.machine for step in wave], _Stepper(session, prepared, wave, timeout_s))
            failed = [error for error in results.values() if isinstance(error, KitError)]
            done += [step for step in wave if not isinstance(results[step.machine], KitError)]
            if failed:
                raise failed[0]
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
    return DeployResult(prepared, tuple(done))


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
    for change in prepared.plan.changes:
        if change.after is not None and change.verb is not Verb.RESTART:
            digests = pinned_digests(change.after, images[change.name])
            wanted.setdefault(change.machine, set()).update(
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
        raise failures[0]


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


class _Stepper:
    """Does the steps of one wave, each on its machine."""

    def __init__(self, session: Session, prepared: Prepared, wave: Sequence[Step], timeout_s: int) -> None:
        self._session = session
        self._prepared = prepared
        self._steps = {step.machine: step for step in wave}
        self._timeout_s = timeout_s
        self._kinds = {unit.name: unit.kind for unit in prepared.desired}

    def __call__(self, machine: str) -> None:
        step = self._steps[machine]
        self._session.progress(f"{machine}: {_described(step)}")
        outcomes = self._session.driver.apply(change_of(step))
        started = [change.name for change in step.changes if change.verb is not Verb.REMOVE] + list(
            step.restarts
        )
        removed = {change.name for change in step.changes if change.verb is Verb.REMOVE}
        for outcome in outcomes:
            if outcome.name in removed and outcome.active_state not in ("inactive", "failed"):
                state = f"{outcome.active_state} ({outcome.sub_state})"
                raise KitError(f"{machine}: {outcome.name} does not stop: it is {state}")
        if started:
            self._wait(machine, started)

    def _wait(self, machine: str, units: Sequence[UnitName]) -> None:
        session = self._session
        deadline = session.clock.now() + self._timeout_s
        for main in [unit for unit in units if self._kinds.get(unit) is not UnitKind.SIDEKICK]:
            group = [main, *(unit for unit in units if self._is_sidekick_of(unit, main))]
            left = max(1, int(deadline - session.clock.now()))
            outcomes, up = session.driver.wait_until_up(
                machine, group, self._check(machine, main), timeout_s=left
            )
            if not up:
                raise _did_not_come(machine, outcomes, self._check(machine, main))
        for unit in units:
            self._wait_for_registration(machine, unit, deadline)

    def _service_of(self, unit: UnitName) -> Service | None:
        return next((service for service in self._session.cluster.services if unit in service.units()), None)

    def _is_sidekick_of(self, unit: UnitName, main: UnitName) -> bool:
        return (
            self._kinds.get(unit) is UnitKind.SIDEKICK
            and unit.instance == main.instance
            and self._service_of(unit) == self._service_of(main)
        )

    def _check(self, machine: str, unit: UnitName) -> Check | None:
        service = self._service_of(unit)
        if service is None or service.health.kind is HealthKind.NONE or not (unit.instance or "").isdigit():
            return None
        address = f"{self._prepared.observed.machines[machine].private_ip}:{unit.instance}"
        return Check(service.health.kind, address, service.health.path, service.health.timeout_s)

    def _wait_for_registration(self, machine: str, unit: UnitName, deadline: float) -> None:
        service = self._service_of(unit)
        if service is None or service.registration is None or self._kinds.get(unit) is not UnitKind.SIDEKICK:
            return
        session, registration = self._session, service.registration
        address = self._prepared.observed.machines[machine].private_ip
        key, value = registration.key_for(address, unit.instance or ""), f"{address}:{unit.instance}"
        while True:
            seen = _value_of(session, registration, key)
            if seen == value:
                return
            if session.clock.now() >= deadline:
                found = f"it holds {seen}" if seen else "there is no such key"
                raise KitError(
                    f"{machine}: {unit} did not register {key} within {self._timeout_s} s; {found}",
                    hint=f"See why: coreos-kit logs {unit}",
                )
            session.clock.sleep(0.2)


def _value_of(session: Session, registration: Registration, key: str) -> str | None:
    return next(
        (entry.value for entry in session.store().entries(registration.prefix) if entry.key == key), None
    )


def _described(step: Step) -> str:
    by_verb: dict[Verb, list[str]] = {}
    for change in step.changes:
        by_verb.setdefault(change.verb, []).append(str(change.name))
    return ", ".join(f"{verb} {' '.join(names)}" for verb, names in by_verb.items())


def _did_not_come(machine: str, outcomes: Sequence[UnitOutcome], check: Check | None) -> KitError:
    ill = next((outcome for outcome in outcomes if outcome.active_state != "active"), None)
    if ill is None:
        asked = (
            f"{check.kind} check of {check.address}{check.path if check.kind is HealthKind.HTTP else ''}"
            if check
            else "check"
        )
        first = outcomes[0]
        return KitError(
            f"{machine}: {first.name} is active, but the {asked} does not pass", details=first.journal
        )
    state = f"{ill.active_state} ({ill.sub_state}), result {ill.result}"
    return KitError(
        f"{machine}: {ill.name} did not come up: it is {state}",
        details=ill.journal,
        hint=f"See more: coreos-kit logs {ill.name}",
    )
