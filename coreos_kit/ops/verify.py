"""Verify: look at every link between a unit and a request that reaches it, and judge what was seen."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from coreos_kit.chain import Evidence, balancer_places, judge, places
from coreos_kit.errors import KitError, Refused
from coreos_kit.ghosts import find_ghosts, find_unseen
from coreos_kit.model.chain import Verdict
from coreos_kit.model.cluster import EtcdEntry, Observation
from coreos_kit.model.holding import Holding
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.model.project import Cluster
from coreos_kit.model.services import (
    HealthKind,
    Service,
    container_name,
    is_port,
    server_of,
)
from coreos_kit.ops.holding import try_read_holding
from coreos_kit.ops.releases import read_history
from coreos_kit.ops.session import Session
from coreos_kit.parallel import on_each
from coreos_kit.planning.keeping import is_any_twice
from coreos_kit.ports import Check, Probe, ProbeOrder
from coreos_kit.units.render import desired_units

REQUESTS_PER_BACKEND = 3
POLL_S = 0.5


def verify(
    session: Session,
    *,
    wait_s: float = 0,
    observed: Observation | None = None,
    until: Callable[[Verdict], bool] = lambda verdict: verdict.ok,
) -> Verdict:
    """Judge the chain and what is beside it; with `wait_s`, look again until all holds or the time is over.

    Where nothing is left that time may mend, it comes back at once. Changes nothing, but sends a few requests
    through each balancer. `observed` saves the first look at the machines, where one was taken a moment ago.
    """
    deadline = session.clock.now() + wait_s
    while True:
        evidence = gather(session, observed)
        verdict = replace(judge(evidence), ghosts=find_ghosts(evidence), unseen=find_unseen(evidence))
        observed = None
        if until(verdict) or not verdict.may_come_right or session.clock.now() >= deadline:
            return verdict
        session.clock.sleep(POLL_S)


def gather(session: Session, observed: Observation | None = None) -> Evidence:
    """Look at machines and etcd at once, then at the balancers; three round trips, however many units.

    Where a pool has a server that is not registered, etcd is asked again: it may have come in between.
    """
    cluster = session.cluster
    prefixes = sorted({service.registration.prefix for service in cluster.services if service.registration})
    with ThreadPoolExecutor(max_workers=2) as pool:
        asking = pool.submit(read_etcd, session, prefixes)
        asking_other = pool.submit(_read_other_api, session, prefixes)
        desired, render_error = _render(session)
        seen = observed or session.driver.observe(configured_units(cluster))
        probes, errors = _probe(session, _orders(Evidence(session.project.name, cluster, seen)))
        entries, etcd_error, holding = asking.result()
        other_entries, other_error = asking_other.result()
    registered = {entry.value for found in entries.values() for entry in found}
    if entries and any((probe.pool or frozenset()) - registered for probe in probes.values()):
        entries, etcd_error = read_registrations(session, prefixes)
    return Evidence(
        session.project.name,
        cluster,
        seen,
        entries,
        etcd_error,
        probes,
        errors,
        other_entries,
        other_error,
        holding,
        desired,
        render_error,
        _recorded(session, desired or (), seen),
    )


def configured_units(cluster: Cluster) -> list[UnitName]:
    """Return every unit that the configuration names: instances, sidekicks, balancers."""
    return [
        *(unit for service in cluster.services for unit in service.units()),
        *(unit for balancer in cluster.load_balancers for unit in balancer.units()),
    ]


def read_registrations(
    session: Session, prefixes: Sequence[str]
) -> tuple[Mapping[str, tuple[EtcdEntry, ...]], str]:
    """Return the registrations below each prefix, or why etcd could not be asked; never raises for that."""
    if not prefixes:
        return {}, ""
    try:
        store = session.store()
        return {prefix: store.entries(prefix) for prefix in prefixes}, ""
    except KitError as error:
        return {}, str(error)


def read_etcd(
    session: Session, prefixes: Sequence[str]
) -> tuple[Mapping[str, tuple[EtcdEntry, ...]], str, Holding]:
    """Return the registrations and what is held still; where that is not known, nothing is."""
    entries, error = read_registrations(session, prefixes)
    return entries, error, Holding() if error else try_read_holding(session)[0]


def _recorded(
    session: Session, desired: Sequence[DesiredUnit], observed: Observation
) -> Mapping[UnitName, Collection[str]]:
    """Return where the last deploy put each unit, where that decides anything; the history is long to read.

    Where etcd can't be asked it is not known, and a plan would not know it either.
    """
    if observed.scheduler is not None or not is_any_twice(session.project.name, desired, observed):
        return {}
    try:
        return read_history(session).places
    except KitError:
        return {}


def _read_other_api(
    session: Session, prefixes: Sequence[str]
) -> tuple[Mapping[str, tuple[EtcdEntry, ...]], str]:
    """Return what stands below each prefix in the API that the balancer does not read."""
    if session.other_store is None or not prefixes:
        return {}, ""
    try:
        store = session.other_store()
        return {prefix: store.entries(prefix) for prefix in prefixes}, ""
    except Refused:
        return {}, ""  # it is not served, so nothing stands there
    except KitError as error:
        return {}, str(error)


def _render(session: Session) -> tuple[tuple[DesiredUnit, ...] | None, str]:
    """Return what the configuration asks for today, or why that can't be told."""
    try:
        return desired_units(session.project, session.cluster, session.sources), ""
    except KitError as error:
        return None, str(error)


def _orders(evidence: Evidence) -> Mapping[str, ProbeOrder]:
    """Say what to look at from where: each balancer's backends from its machine, the rest from their own."""
    orders: dict[str, ProbeOrder] = {}
    covered: set[str] = set()
    for balancer in evidence.cluster.load_balancers:
        service = evidence.cluster.service(balancer.upstream)
        if service is None:
            continue
        checks = _checks(evidence, service)
        for name, (unit, where) in balancer_places(evidence, balancer).items():
            covered.add(service.name)
            host = balancer.answers_at(public_ip=where.public_ip, private_ip=where.private_ip)
            orders[name] = ProbeOrder(
                where.name,
                tuple(check for check in checks if check.kind is not HealthKind.NONE),
                container_name(unit),
                f"{host}:{balancer.port}",
                REQUESTS_PER_BACKEND * max(1, len(checks)),
            )
    alone: dict[str, list[Check]] = {}
    for service in evidence.cluster.services:
        if service.name not in covered and service.health.kind is not HealthKind.NONE:
            for machine, check in _checks_by_machine(evidence, service):
                alone.setdefault(machine, []).append(check)
    return orders | {f"machine:{name}": ProbeOrder(name, tuple(checks)) for name, checks in alone.items()}


def _checks(evidence: Evidence, service: Service) -> list[Check]:
    return [check for _, check in _checks_by_machine(evidence, service)]


def _checks_by_machine(evidence: Evidence, service: Service) -> list[tuple[str, Check]]:
    return [
        (machine.name, Check.of(service.health, server_of(machine.private_ip, instance)))
        for instance in service.instances
        if is_port(instance)
        for machine in places(evidence, service.template.instantiate(instance))
        if machine.private_ip
    ]


def _probe(
    session: Session, orders: Mapping[str, ProbeOrder]
) -> tuple[Mapping[str, Probe], Mapping[str, str]]:
    results = on_each(list(orders), lambda name: session.prober.probe(orders[name]))
    return (
        {name: result for name, result in results.items() if isinstance(result, Probe)},
        {name: str(result) for name, result in results.items() if isinstance(result, KitError)},
    )
