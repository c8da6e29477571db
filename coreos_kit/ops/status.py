"""Status: one look at machines, units, registrations and pools."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import EtcdEntry, Observation, ObservedUnit
from coreos_kit.model.holding import Holding
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import container_name
from coreos_kit.ops.holding import try_read_holding
from coreos_kit.ops.session import Session
from coreos_kit.ops.verify import configured_units, read_etcd
from coreos_kit.parallel import on_each
from coreos_kit.ports import Probe, ProbeOrder

Registrations = Mapping[str, tuple[EtcdEntry, ...]]  # by prefix


@dataclass(frozen=True, slots=True)
class Pool:
    """One balancer's running pool; `servers` is None where it can't be told."""

    balancer: str
    unit: UnitName
    machine: str
    servers: tuple[str, ...] | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it at one moment."""

    observed: Observation
    units: tuple[ObservedUnit, ...]  # the project's, in natural order
    missing: tuple[UnitName, ...]  # configured, but seen on no machine
    registrations: Registrations
    etcd_error: str
    pools: tuple[Pool, ...]
    holding: Holding
    held: frozenset[UnitName]  # sidekicks with their units


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines, and which of them are cordoned, or why that is not known."""

    observed: Observation
    holding: Holding
    etcd_error: str


def machines(session: Session) -> Machines:
    """Look once at machines and etcd."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        asking = pool.submit(try_read_holding, session)
        observed = session.driver.observe([])
        return Machines(observed, *asking.result())


def status(session: Session) -> Status:
    """Look once; what can't be seen is said, and costs nothing else."""
    prefixes = registration_prefixes(session)
    with ThreadPoolExecutor(max_workers=2) as pool:
        looking = pool.submit(session.driver.observe, configured_units(session.cluster))
        asking = pool.submit(read_etcd, session, prefixes)
        observed, (entries, etcd_error, holding) = looking.result(), asking.result()
    units = project_units(session, observed)
    seen = {unit.name for unit in units}
    return Status(
        observed=observed,
        units=units,
        missing=tuple(name for name in configured_units(session.cluster) if name not in seen),
        registrations=entries,
        etcd_error=etcd_error,
        pools=tuple(read_pools(session, observed)),
        holding=holding,
        held=_with_sidekicks(session, holding),
    )


def _with_sidekicks(session: Session, holding: Holding) -> frozenset[UnitName]:
    sidekicks = {
        service.sidekick.instantiate(instance)
        for service in session.cluster.services
        for instance in service.instances
        if service.sidekick and service.template.instantiate(instance) in holding.held
    }
    return frozenset({*holding.held, *sidekicks})


def registrations(session: Session) -> Registrations:
    """Return the registrations below every prefix; raises `Unreachable` where etcd is."""
    return {prefix: session.store().entries(prefix) for prefix in registration_prefixes(session)}


def registration_prefixes(session: Session) -> list[str]:
    """Return the folders of etcd that the cluster's sidekicks write to."""
    return sorted(
        {service.registration.prefix for service in session.cluster.services if service.registration}
    )


def project_units(session: Session, observed: Observation) -> tuple[ObservedUnit, ...]:
    """Return every unit of the project that was seen, by name, then by machine."""
    standing = [unit for machine in observed.machines.values() for unit in machine.units]
    units = [unit for unit in (*standing, *observed.unplaced) if unit.project == session.project.name]
    return tuple(sorted(units, key=lambda unit: (unit.name, unit.machine)))


def read_pools(session: Session, observed: Observation) -> list[Pool]:
    """Ask every balancer that stands somewhere for its running pool, all at once."""
    named = {unit: one.name for one in session.cluster.load_balancers for unit in one.units()}
    where = [
        (seen.name, seen.machine)
        for seen in project_units(session, observed)
        if seen.name in named and seen.machine
    ]
    answers = on_each(
        where, lambda place: session.prober.probe(ProbeOrder(place[1], (), container_name(place[0])))
    )
    return [_pool(named[unit], unit, machine, answer) for (unit, machine), answer in answers.items()]


def _pool(balancer: str, unit: UnitName, machine: str, answer: Probe | KitError) -> Pool:
    if isinstance(answer, KitError):
        return Pool(balancer, unit, machine, None, str(answer))
    servers = tuple(sorted(answer.pool)) if answer.pool is not None else None
    return Pool(balancer, unit, machine, servers, answer.pool_error)
