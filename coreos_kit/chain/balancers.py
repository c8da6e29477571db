"""The links at the balancers' end: the backend that answers, the pools that list it, the request."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from coreos_kit.chain.evidence import Evidence, balancer_places
from coreos_kit.model.chain import Link, LinkName, State
from coreos_kit.model.cluster import ObservedMachine
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import HealthKind, LoadBalancer, Service, server_of

_Place = tuple[str, UnitName]  # of a balancer: what it is called, and its unit
_Judged = tuple[State, str]
_SERVER_ERROR = 500
_LOOK = "coreos-kit machines"  # a balancer that could not be asked: what is with its machine?


def backend_link(
    evidence: Evidence, machine: ObservedMachine | None, service: Service, instance: str
) -> Link:
    """Judge whether an instance answers its health check, wherever it was asked from."""
    where = machine.name if machine else ""
    if machine is None or not machine.private_ip:
        return Link(
            LinkName.BACKEND, State.UNKNOWN, where, f"port {instance} answers", "there is no address to ask"
        )
    address = server_of(machine.private_ip, instance)
    check = service.health
    expected = f"{address} answers its {check.kind} check" + (
        f" of {check.path}" if check.kind is HealthKind.HTTP else ""
    )
    asked = {
        name: probe.backends[address] for name, probe in evidence.probes.items() if address in probe.backends
    }
    if not asked:
        errors = "; ".join(evidence.probe_errors.values())
        return Link(LinkName.BACKEND, State.UNKNOWN, where, expected, errors or "it was not asked")
    failures = [f"asked from {name}: {said}" for name, said in sorted(asked.items()) if said]
    if failures:
        return Link(
            LinkName.BACKEND,
            State.BROKEN,
            where,
            expected,
            "; ".join(failures),
            f"coreos-kit logs {service.template.instantiate(instance)}",
        )
    return Link(LinkName.BACKEND, State.OK, where, expected, "answers")


def balancer_links(
    evidence: Evidence, machine: ObservedMachine | None, service: Service, instance: str
) -> Iterator[Link]:
    """Judge pool and request, as the worst of the balancers that run has them; nothing without a balancer."""
    asked = [
        place
        for balancer in evidence.cluster.load_balancers
        if balancer.upstream == service.name
        for place in _running_places(evidence, balancer)
    ]
    if not asked:
        return
    where = machine.name if machine else ""
    address = server_of(machine.private_ip, instance) if machine and machine.private_ip else ""
    names = " and ".join(name for name, _ in asked)
    expected = {
        LinkName.POOL: f"{names} {'lists' if len(asked) == 1 else 'list'} {address or instance}",
        LinkName.REQUEST: f"a request through {names} reaches {address or instance}",
    }
    if not address:
        yield from (
            Link(name, State.UNKNOWN, where, text, "there is no address to look for")
            for name, text in expected.items()
        )
        return
    yield _worst(
        Link(LinkName.POOL, State.OK, where, expected[LinkName.POOL], "is listed"),
        {(name, unit): _judge_pool(evidence, name, address) for name, unit in asked},
        lambda name, unit: f"coreos-kit restart {unit}" if name in evidence.probes else _LOOK,
    )
    yield _worst(
        Link(LinkName.REQUEST, State.OK, where, expected[LinkName.REQUEST], "reached"),
        {(name, unit): _judge_request(evidence, name, address) for name, unit in asked},
        lambda name, unit: f"coreos-kit logs {unit}" if name in evidence.probes else _LOOK,
    )


def _running_places(evidence: Evidence, balancer: LoadBalancer) -> list[_Place]:
    """Return where it runs. Of one that does not, its own links tell; without any, it can't be asked."""
    found = balancer_places(evidence, balancer)
    running = [
        (name, unit)
        for name, (unit, machine) in found.items()
        if any(seen.name == unit and seen.is_active for seen in machine.units)
    ]
    return (
        running
        or [(name, unit) for name, (unit, _) in found.items()]
        or [(balancer.name, balancer.units()[0])]
    )


def _judge_pool(evidence: Evidence, name: str, address: str) -> _Judged:
    probe = evidence.probes.get(name)
    if probe is None:
        return State.UNKNOWN, evidence.probe_errors.get(name, f"{name} was not looked at")
    if probe.pool is None:
        return State.UNKNOWN, f"the pool of {name} can't be told: {probe.pool_error or 'it said nothing'}"
    if address not in probe.pool:
        return State.BROKEN, f"{name} has {', '.join(sorted(probe.pool)) or 'an empty pool'}"
    return State.OK, ""


def _judge_request(evidence: Evidence, name: str, address: str) -> _Judged:
    probe = evidence.probes.get(name)
    if probe is None:
        return State.UNKNOWN, evidence.probe_errors.get(name, f"{name} was not looked at")
    if address in probe.served:
        return State.OK, ""
    if not any(probe.codes):
        return State.BROKEN, f"{name} answered none of {len(probe.codes)} requests"
    if probe.log_error:
        return State.UNKNOWN, f"the log of {name}, which tells who served, can't be read: {probe.log_error}"
    served = ", ".join(f"{backend} {count}" for backend, count in sorted(probe.served.items()))
    errors = Counter(code for code in probe.codes if code >= _SERVER_ERROR)
    said = "".join(f"; {count} answered with {code}" for code, count in sorted(errors.items()))
    return State.BROKEN, f"of {len(probe.codes)} requests {served or 'none was answered by a backend'}{said}"


def _worst(fine: Link, judged: Mapping[_Place, _Judged], remedy: Callable[[str, UnitName], str]) -> Link:
    """Return the link as the worst of the balancers has it; the remedy is for the first of those."""
    for state in (State.BROKEN, State.UNKNOWN):
        if ill := [place for place, (found, _) in judged.items() if found is state]:
            seen = "; ".join(text for found, text in judged.values() if found is state)
            return replace(fine, state=state, seen=seen, remedy=remedy(*ill[0]))
    return fine
