"""One wave of a deploy: its steps at once, each waited for until its units are up, well and registered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Plan, Step, UnitKind, Verb
from coreos_kit.model.project import HealthKind, Registration, Service
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.session import Session
from coreos_kit.parallel import on_each
from coreos_kit.planning import change_of
from coreos_kit.ports import Check, UnitOutcome

POLL_S = 0.2

Places = Mapping[UnitName, tuple[str, ...]]  # the machines on which units came up, by name


class Wave:
    """The steps of one wave. Where the cluster places units itself, they may come up elsewhere."""

    def __init__(self, session: Session, prepared: Prepared, steps: Sequence[Step], timeout_s: int) -> None:
        self._session = session
        self._steps = {step.machine: step for step in steps}
        self._timeout_s = timeout_s
        self._kinds = {unit.name: unit.kind for unit in prepared.desired}
        self._address_of = {name: machine.private_ip for name, machine in prepared.observed.machines.items()}
        self._services = {unit: service for service in session.cluster.services for unit in service.units()}

    def run(self) -> Mapping[str, Places | KitError]:
        """Make the changes and wait; return where each step's units came up, or what went wrong with it.

        Keyed by the steps' machines. The number of round trips doesn't grow with the units.
        """
        for machine, step in self._steps.items():
            self._session.progress(f"{machine or 'the cluster'}: {_described(step)}")
        answers = self._session.driver.apply_all(
            [change_of(step) for step in self._steps.values()], timeout_s=self._timeout_s
        )
        deadline = self._session.clock.now() + self._timeout_s
        came: dict[str, Places | KitError] = {}
        for machine, step in self._steps.items():
            answer = answers[machine]
            came[machine] = answer if isinstance(answer, KitError) else _places(step, answer)
        self._fail(came, self._wait_until_up(came, deadline))
        self._fail(came, self._wait_for_registrations(came, deadline))
        return came

    def _fail(self, came: dict[str, Places | KitError], failures: Mapping[UnitName, KitError]) -> None:
        for machine, step in self._steps.items():
            if not isinstance(came[machine], KitError):
                came[machine] = next(
                    (failures[unit] for unit in step.units if unit in failures), came[machine]
                )

    def _wait_until_up(
        self, came: Mapping[str, Places | KitError], deadline: float
    ) -> Mapping[UnitName, KitError]:
        """Wait on each machine for what came up there."""
        there: dict[str, list[UnitName]] = {}
        for unit, machine in _standing(came):
            there.setdefault(machine, []).append(unit)
        results = on_each(there, lambda machine: self._wait_on(machine, there[machine], deadline))
        return {
            unit: result
            for machine, result in results.items()
            if isinstance(result, KitError)
            for unit in there[machine]
        }

    def _wait_on(self, machine: str, units: Sequence[UnitName], deadline: float) -> None:
        session = self._session
        checks = {unit: check for unit in units if (check := self._check(machine, unit))}
        left = max(1, int(deadline - session.clock.now()))
        outcomes, up = session.driver.wait_until_up(machine, units, list(checks.values()), timeout_s=left)
        if up:
            return
        if ill := next((outcome for outcome in outcomes if outcome.active_state != "active"), None):
            raise _did_not_come(machine, ill)
        for unit, check in checks.items():  # only now is it worth a round trip to ask which one it was
            outcomes, up = session.driver.wait_until_up(machine, [unit], [check], timeout_s=1)
            if not up:
                raise _does_not_answer(machine, unit, check, outcomes)

    def _check(self, machine: str, unit: UnitName) -> Check | None:
        service = self._services.get(unit)
        if (
            service is None
            or self._kinds.get(unit) is UnitKind.SIDEKICK
            or service.health.kind is HealthKind.NONE
            or not (unit.instance or "").isdigit()
        ):
            return None
        address = f"{self._address_of.get(machine, '')}:{unit.instance}"
        return Check(service.health.kind, address, service.health.path, service.health.timeout_s)

    def _wait_for_registrations(
        self, came: Mapping[str, Places | KitError], deadline: float
    ) -> Mapping[UnitName, KitError]:
        awaited = {
            (unit, machine): service.registration
            for unit, machine in _standing(came)
            if (service := self._registering(unit)) and service.registration
        }
        session = self._session
        while awaited:
            seen = {
                entry.key: entry.value
                for prefix in sorted({registration.prefix for registration in awaited.values()})
                for entry in session.store().entries(prefix)
            }
            awaited = {
                place: registration
                for place, registration in awaited.items()
                if seen.get(self._key(place, registration)) != self._value(place)
            }
            if session.clock.now() >= deadline:
                return {
                    place[0]: self._did_not_register(place, self._key(place, registration), seen)
                    for place, registration in awaited.items()
                }
            if awaited:
                session.clock.sleep(POLL_S)
        return {}

    def _registering(self, unit: UnitName) -> Service | None:
        return self._services.get(unit) if self._kinds.get(unit) is UnitKind.SIDEKICK else None

    def _key(self, place: tuple[UnitName, str], registration: Registration) -> str:
        unit, machine = place
        return registration.key_for(self._address_of.get(machine, ""), unit.instance or "")

    def _value(self, place: tuple[UnitName, str]) -> str:
        unit, machine = place
        return f"{self._address_of.get(machine, '')}:{unit.instance}"

    def _did_not_register(self, place: tuple[UnitName, str], key: str, seen: Mapping[str, str]) -> KitError:
        found = f"it holds {seen[key]}" if key in seen else "there is no such key"
        return KitError(
            f"{place[1]}: {place[0]} did not register {key} within {self._timeout_s} s; {found}",
            hint=f"See why: coreos-kit logs {place[0]}",
        )


def as_it_came(plan: Plan, places: Places) -> Plan:
    """Return the plan with the machines on which units came up, where the cluster chose others."""

    def moved(step: Step) -> Step:
        changes = tuple(
            replace(change, machine=places[change.name][0])
            if change.verb is not Verb.REMOVE
            and change.name in places
            and change.machine not in places[change.name]
            else change
            for change in step.changes
        )
        return replace(step, changes=changes)

    return replace(
        plan,
        waves=tuple(tuple(moved(step) for step in wave) for wave in plan.waves),
        placements={**plan.placements, **places},
    )


def _standing(came: Mapping[str, Places | KitError]) -> Iterator[tuple[UnitName, str]]:
    for places in came.values():
        if not isinstance(places, KitError):
            yield from ((unit, machine) for unit, machines in places.items() for machine in machines)


def _places(step: Step, outcomes: Sequence[UnitOutcome]) -> Places | KitError:
    """Say where the step's units are; an error for one that does not stop, or was placed nowhere."""
    removed = {change.name for change in step.changes if change.verb is Verb.REMOVE}
    places: dict[UnitName, tuple[str, ...]] = {}
    for outcome in outcomes:
        if outcome.name in removed and outcome.active_state not in ("inactive", "failed"):
            state = f"{outcome.active_state} ({outcome.sub_state})"
            return KitError(
                f"{outcome.machine}: {outcome.name} does not stop: it is {state}", details=outcome.journal
            )
    for outcome in outcomes:
        if outcome.name in removed or outcome.name not in step.units:
            continue
        if not outcome.machine:
            return KitError(
                f"{outcome.name} was placed on no machine: it is {outcome.active_state}",
                details=outcome.journal,
                hint="Add a machine, or loosen the service's conflicts or machine_metadata.",
            )
        if outcome.machine not in places.get(outcome.name, ()):
            places[outcome.name] = (*places.get(outcome.name, ()), outcome.machine)
    return places


def _described(step: Step) -> str:
    by_verb: dict[Verb, list[str]] = {}
    for change in step.changes:
        by_verb.setdefault(change.verb, []).append(str(change.name))
    return ", ".join(f"{verb} {' '.join(names)}" for verb, names in by_verb.items())


def _did_not_come(machine: str, ill: UnitOutcome) -> KitError:
    state = f"{ill.active_state} ({ill.sub_state}), result {ill.result}"
    return KitError(
        f"{machine}: {ill.name} did not come up: it is {state}",
        details=ill.journal,
        hint=f"See more: coreos-kit logs {ill.name}",
    )


def _does_not_answer(machine: str, unit: UnitName, check: Check, outcomes: Sequence[UnitOutcome]) -> KitError:
    asked = f"{check.kind} check of {check.address}{check.path if check.kind is HealthKind.HTTP else ''}"
    return KitError(
        f"{machine}: {unit} is active, but the {asked} does not pass",
        details=[line for outcome in outcomes for line in outcome.journal],
    )
