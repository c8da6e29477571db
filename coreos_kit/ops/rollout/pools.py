"""The balancers' running pools, while instances leave and come back: asked until they say what is awaited."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeGuard

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import HealthKind, LoadBalancer, Service, Watcher, container_name, server_of
from coreos_kit.ops.session import Session
from coreos_kit.parallel import on_each
from coreos_kit.ports import Check, Probe, ProbeOrder

POLL_S = 0.3
FOLLOW_S = 5  # within which a watcher that is told of every change has followed it
_UNWELL = frozenset({0, 502, 503, 504})  # what a balancer answers that reaches no backend


@dataclass(frozen=True, slots=True)
class Balancer:
    """One balancer that runs on one machine."""

    unit: UnitName
    machine: str
    address: str  # host:port on which it listens
    follows_s: int  # how long it may take until it has followed etcd

    def __str__(self) -> str:
        return f"{self.unit} on {self.machine}"


class Pools:
    """What the balancers of each service list. Those that do not run are not asked.

    Nor are those that are `elsewhere`: they follow another etcd until they have been replaced.
    """

    def __init__(self, session: Session, observed: Observation, elsewhere: Collection[UnitName] = ()) -> None:
        self._session = session
        self._observed = observed
        self._given_up: set[Balancer] = set()
        self._standing = {
            (unit.name, name) for name, machine in observed.machines.items() for unit in machine.units
        }
        self._elsewhere = set(elsewhere)
        self._units = {
            unit: balancer for balancer in session.cluster.load_balancers for unit in balancer.units()
        }
        self._machines = {
            unit: tuple(found.machine for found in observed.units(unit) if found.is_active)
            for unit in self._units
        }

    @property
    def units(self) -> Set[UnitName]:
        """The configured balancers' units."""
        return self._units.keys()

    def took_place(self, places: Mapping[UnitName, tuple[str, ...]]) -> None:
        """Learn where units came up."""
        for unit, machines in places.items():
            self._standing.update((unit, machine) for machine in machines)
            if unit in self._units:
                self._machines[unit] = tuple(sorted({*self._machines[unit], *machines}))
                self._given_up = {balancer for balancer in self._given_up if balancer.unit != unit}
                self._elsewhere.discard(unit)

    def left(self, unit: UnitName, machine: str) -> None:
        """Learn that a unit has stopped on a machine: nobody waits for it any more."""
        if unit in self._units:
            self._machines[unit] = tuple(name for name in self._machines[unit] if name != machine)

    def wait_until_dropped(self, service: Service, server: str, ttl_s: int) -> None:
        """Wait until no balancer lists a server; raise `KitError` for one that does when a TTL is over."""
        self._wait(
            service,
            lambda probe: server not in (probe.pool or ()),
            lambda _: f"still lists {server}, though its sidekick was asked to deregister it",
            ttl_s,
        )

    def wait_until_listed(self, service: Service, servers: Collection[str], timeout_s: float) -> None:
        """Wait until every balancer lists all servers; raise `KitError` for one that does not in time."""
        wanted = frozenset(servers)
        self._wait(
            service,
            lambda probe: wanted <= (probe.pool or frozenset()),
            lambda probe: (
                f"does not list {', '.join(sorted(wanted - (probe.pool or frozenset())))},"
                " though it is registered"
            ),
            timeout_s,
        )

    def wait_until_spared(self, service: Service, server: str, timeout_s: float) -> None:
        """Wait until every balancer that lists a server could do without; raise `KitError` if none can.

        What counts is an instance that is listed, and that answers its check from the balancer's machine;
        not a server that only a stray key stands for. Where no balancer that runs can be asked, it is one
        that is registered.
        """
        others = self._servers(service) - {server}
        checks = _checks(service, others)

        def can_spare(probe: Probe) -> bool:
            pool = probe.pool or frozenset()
            return server not in pool or any(not probe.backends.get(other) for other in pool & others)

        self._wait(
            service,
            can_spare,
            lambda _: f"lists nothing that is well besides {server}, which was to be taken out",
            timeout_s,
            checks,
        )
        balancers = self._of(service)
        if balancers and self._given_up.issuperset(balancers):
            self._refuse_the_last_registered(service, server)

    def _refuse_the_last_registered(self, service: Service, server: str) -> None:
        if service.registration is None:
            return
        entries = self._session.store().entries(service.registration.prefix)
        if {entry.value for entry in entries} == {server}:
            raise KitError(
                f"no balancer can be asked, and nothing is registered besides {server},"
                " which was to be taken out",
                hint="Look at the machines first: coreos-kit machines; coreos-kit registrations",
            )

    def wait_until_serving(self, unit: UnitName, machine: str, timeout_s: float) -> None:
        """Wait until a balancer that has just started tells its pool, and reaches a backend if it has any."""
        configured = self._units[unit]

        def serves(probe: Probe) -> bool:
            return not probe.pool or not _UNWELL.intersection(probe.codes)

        self._ask_until(
            [self._at(unit, configured, machine)],
            serves,
            lambda _: "runs, but a request sent to it reaches no backend",
            timeout_s,
            requests=1,
        )

    def _wait(
        self,
        service: Service,
        is_so: Callable[[Probe], bool],
        complaint: Callable[[Probe], str],
        timeout_s: float,
        checks: Sequence[Check] = (),
    ) -> None:
        balancers = [balancer for balancer in self._of(service) if balancer not in self._given_up]
        self._ask_until(balancers, is_so, complaint, timeout_s, checks)

    def _ask_until(
        self,
        balancers: Sequence[Balancer],
        is_so: Callable[[Probe], bool],
        complaint: Callable[[Probe], str],
        timeout_s: float,
        checks: Sequence[Check] = (),
        requests: int = 0,
    ) -> None:
        """Ask until all agree. One that can't be asked in all that time is said, and not waited for again."""
        session = self._session
        pending = list(balancers)
        deadline = session.clock.now() + timeout_s + max((one.follows_s for one in pending), default=0)
        while pending:
            answers = on_each(pending, lambda one: session.prober.probe(_order(one, checks, requests)))
            told = {one: answer for one, answer in answers.items() if _tells(answer)}
            refusing = {one: answer for one, answer in told.items() if not is_so(answer)}
            pending = [one for one in answers if one in refusing or one not in told]
            if not pending:
                return
            if session.clock.now() < deadline:
                session.clock.sleep(POLL_S)
                continue
            for one in (one for one in pending if one not in told):
                self._given_up.add(one)
                session.progress(
                    f"{one} can't be asked for its pool, so nobody waits for it: {_why(answers[one])}"
                )
            for one, answer in refusing.items():
                raise KitError(
                    f"{one} {complaint(answer)}",
                    hint=f"See what it follows: coreos-kit status; coreos-kit logs {one.unit.stem}",
                )
            return

    def _of(self, service: Service) -> list[Balancer]:
        return [
            self._at(unit, balancer, machine)
            for unit, balancer in self._units.items()
            if balancer.upstream == service.name and unit not in self._elsewhere
            for machine in self._machines[unit]
        ]

    def _at(self, unit: UnitName, balancer: LoadBalancer, machine: str) -> Balancer:
        there = self._observed.machines.get(machine)
        host = "127.0.0.1"
        if there:
            host = balancer.answers_at(public_ip=there.public_ip, private_ip=there.private_ip)
        polls_s = balancer.confd.interval_s if balancer.watcher is Watcher.CONFD else 0
        return Balancer(unit, machine, f"{host}:{balancer.port}", FOLLOW_S + polls_s)

    def _servers(self, service: Service) -> frozenset[str]:
        """Return what each instance of a service that stands somewhere is called in the pools."""
        machines = self._observed.machines
        return frozenset(
            server_of(machines[machine].private_ip, unit.instance or "")
            for unit, machine in self._standing
            if unit.is_instance and unit.template == service.template and machine in machines
        )


def _checks(service: Service, servers: Collection[str]) -> list[Check]:
    """Ask instances for their health, wherever the balancer looks from."""
    if service.health.kind is HealthKind.NONE:
        return []
    return [Check.of(service.health, server) for server in sorted(servers)]


def _order(balancer: Balancer, checks: Sequence[Check], requests: int) -> ProbeOrder:
    return ProbeOrder(
        balancer.machine, tuple(checks), container_name(balancer.unit), balancer.address, requests
    )


def _tells(answer: Probe | KitError) -> TypeGuard[Probe]:
    return isinstance(answer, Probe) and answer.pool is not None


def _why(answer: Probe | KitError) -> str:
    return str(answer) if isinstance(answer, KitError) else answer.pool_error or "it tells no pool"
