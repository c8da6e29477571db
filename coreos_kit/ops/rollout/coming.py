"""How what starts comes: its units up and well, registered, and in the running pool of every balancer."""

from collections.abc import Callable, Collection, Mapping, Sequence

from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import HealthKind, is_port
from coreos_kit.ops.rollout.work import Instance, Work
from coreos_kit.parallel import on_each
from coreos_kit.ports import Check, UnitOutcome

POLL_S = 0.2
_PORT_TAKEN = "port is already allocated"  # docker, seen with 20.10

Places = Mapping[UnitName, tuple[str, ...]]  # the machines on which units came up, by name
Failures = Mapping[UnitName, KitError]


class Coming:
    """Waits for what was started, until a deadline; the number of round trips doesn't grow with the units."""

    def __init__(self, work: Work, deadline: float) -> None:
        self._work = work
        self._deadline = deadline

    def wait_until_up(self, places: Places) -> Failures:
        """Wait on each machine for what came up there."""
        there: dict[str, list[UnitName]] = {}
        for unit, machines in places.items():
            for machine in machines:
                there.setdefault(machine, []).append(unit)
        results = on_each(there, lambda machine: self._wait_on(machine, there[machine]))
        return {
            unit: result
            for machine, result in results.items()
            if isinstance(result, KitError)
            for unit in there[machine]
        }

    def _wait_on(self, machine: str, units: Sequence[UnitName]) -> None:
        session = self._work.session
        checks = {unit: check for unit in units if (check := self._check(machine, unit))}
        left = max(1, int(self._left_s))
        outcomes, up = session.driver.wait_until_up(machine, units, list(checks.values()), timeout_s=left)
        if up:
            return
        if ill := next((outcome for outcome in outcomes if outcome.active_state != "active"), None):
            raise _did_not_come(machine, ill)
        if not checks:  # there is only systemd's word, which has changed all the time
            raise _did_not_stay(machine, outcomes)
        for unit, check in checks.items():  # only now is it worth a round trip to ask which one it was
            outcomes, up = session.driver.wait_until_up(machine, [unit], [check], timeout_s=1)
            if not up:
                raise _does_not_answer(machine, unit, check, outcomes)

    @property
    def _left_s(self) -> float:
        return max(0, self._deadline - self._work.session.clock.now())

    def _check(self, machine: str, unit: UnitName) -> Check | None:
        instance = self._work.instance(unit, machine)
        if (
            instance is None
            or unit != instance.main
            or instance.service.health.kind is HealthKind.NONE
            or not is_port(instance.name)
        ):
            return None
        return Check.of(instance.service.health, instance.server)

    def wait_until_registered(self, places: Places) -> Failures:
        """Wait until etcd has the registration of each sidekick that came up."""
        awaited = {
            instance: registration
            for instance in self._registering(places)
            if (registration := instance.service.registration)
        }
        session = self._work.session
        while awaited:
            try:
                seen = self._registered({registration.prefix for registration in awaited.values()})
            except Unreachable:  # it may be choosing another leader
                if not self._left_s:
                    raise
                session.clock.sleep(POLL_S)
                continue
            awaited = {
                instance: registration
                for instance, registration in awaited.items()
                if seen.get(instance.key) != instance.server
            }
            if not self._left_s:
                return {
                    instance.sidekick: self._did_not_register(instance, seen)
                    for instance in awaited
                    if instance.sidekick
                }
            if awaited:
                session.clock.sleep(POLL_S)
        return {}

    def _registered(self, prefixes: Collection[str]) -> Mapping[str, str]:
        store = self._work.session.store()
        return {entry.key: entry.value for prefix in sorted(prefixes) for entry in store.entries(prefix)}

    def wait_until_in_pool(self, places: Places) -> Failures:
        """Wait until every balancer lists each instance that came up, and each new balancer serves."""
        failures: dict[UnitName, KitError] = {}
        pools = self._work.pools
        pools.took_place(places)
        registering = self._registering(places)
        for service in dict.fromkeys(instance.service.name for instance in registering):
            ours = [instance for instance in registering if instance.service.name == service]
            servers = [instance.server for instance in ours]
            if error := _attempt(
                lambda ours=ours, servers=servers: pools.wait_until_listed(  # type: ignore[misc]
                    ours[0].service, servers, self._left_s
                )
            ):
                failures |= {instance.sidekick: error for instance in ours if instance.sidekick}
        for unit in pools.units & places.keys():
            for machine in places[unit]:
                if error := _attempt(
                    lambda unit=unit, machine=machine: pools.wait_until_serving(  # type: ignore[misc]
                        unit, machine, self._left_s
                    )
                ):
                    failures[unit] = error
        return failures

    def _registering(self, places: Places) -> list[Instance]:
        return [
            instance
            for unit, machines in places.items()
            for machine in machines
            if (instance := self._work.instance(unit, machine)) and unit == instance.sidekick
        ]

    def _did_not_register(self, instance: Instance, seen: Mapping[str, str]) -> KitError:
        key = instance.key
        found = f"it holds {seen[key]}" if key in seen else "there is no such key"
        return KitError(
            f"{instance.machine}: {instance.sidekick} did not register {key}"
            f" within {self._work.timeout_s} s; {found}",
            hint=f"See why: coreos-kit logs {instance.sidekick}",
        )


def _attempt(wait: Callable[[], None]) -> KitError | None:
    try:
        wait()
    except KitError as error:
        return error
    return None


def _did_not_come(machine: str, ill: UnitOutcome) -> KitError:
    state = f"{ill.active_state} ({ill.sub_state}), result {ill.result}"
    return KitError(
        f"{machine}: {ill.name} did not come up: it is {state}",
        details=ill.journal,
        hint=_hint(machine, [ill]),
    )


def _did_not_stay(machine: str, outcomes: Sequence[UnitOutcome]) -> KitError:
    names = ", ".join(str(outcome.name) for outcome in outcomes)
    return KitError(
        f"{machine}: {names} came up and did not stay up",
        details=[line for outcome in outcomes for line in outcome.journal],
        hint=_hint(machine, outcomes),
    )


def _hint(machine: str, outcomes: Sequence[UnitOutcome]) -> str:
    """Say what to look at next. A power cut at the wrong moment leaves docker with a port that nobody has."""
    if any(_PORT_TAKEN in line for outcome in outcomes for line in outcome.journal):
        return (
            f"See who has the port: coreos-kit ssh {machine} -- sudo docker ps. If it is no container, "
            f"docker holds it for one that is gone: coreos-kit ssh {machine} -- sudo systemctl restart docker"
        )
    return f"See more: coreos-kit logs {outcomes[0].name}" if outcomes else ""


def _does_not_answer(machine: str, unit: UnitName, check: Check, outcomes: Sequence[UnitOutcome]) -> KitError:
    asked = f"{check.kind} check of {check.address}{check.path if check.kind is HealthKind.HTTP else ''}"
    return KitError(
        f"{machine}: {unit} is active, but the {asked} does not pass",
        details=[line for outcome in outcomes for line in outcome.journal],
    )
