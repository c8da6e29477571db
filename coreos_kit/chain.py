"""The verdict on each link of each chain, from what was seen. Pure; nothing is looked at here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coreos_kit.balancer.pool import shown
from coreos_kit.model.chain import Chain, Link, LinkName, State, Verdict
from coreos_kit.model.cluster import EtcdEntry, Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.holding import Holding
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.project import Cluster, HealthKind, LoadBalancer, Registration, Service
from coreos_kit.ports import Probe

RENEWAL_GRACE_S = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that `verify` has looked at; `None` or a missing key means that it could not be looked at."""

    project: str
    cluster: Cluster
    observed: Observation
    entries: Mapping[str, tuple[EtcdEntry, ...]] = field(default_factory=dict)  # by prefix
    etcd_error: str = ""
    probes: Mapping[str, Probe] = field(
        default_factory=dict
    )  # by place of a balancer, as `balancer_places` names it; "machine:NAME" where there is none
    probe_errors: Mapping[str, str] = field(default_factory=dict)
    other_entries: Mapping[str, tuple[EtcdEntry, ...]] = field(default_factory=dict)  # of the other API
    other_error: str = ""
    holding: Holding = field(default_factory=Holding)
    desired: tuple[DesiredUnit, ...] | None = None  # as rendered today; None: it can't be rendered
    render_error: str = ""


def judge(evidence: Evidence) -> Verdict:
    """Return the chain of every configured instance and balancer; the workspace's own units have one link."""
    cluster = evidence.cluster
    chains = (
        *(chain for service in cluster.services for chain in _service_chains(evidence, service)),
        *(chain for balancer in cluster.load_balancers for chain in _balancer_chains(evidence, balancer)),
        *(
            Chain(
                unit.name,
                machine.name if machine else "",
                _held_links(evidence, machine, [unit.name]) or (_unit_link(evidence, machine, [unit.name]),),
            )
            for unit in evidence.desired or ()
            if unit.kind is UnitKind.EXTRA
            for machine in _places_or_nowhere(evidence, unit.name)
        ),
    )
    return Verdict(
        chains=tuple(chain.with_causes() for chain in chains),
        unreachable=tuple(
            f"{name}: {error}"
            for name, error in sorted(evidence.observed.unreachable.items())
            if not _is_given_up(evidence.observed, name)
        ),
    )


def _is_given_up(observed: Observation, machine: str) -> bool:
    """Whether the cluster's own scheduler counts on a machine no more: then nothing of ours is there."""
    return observed.scheduler is not None and machine not in observed.machines


def _unseen_machines(observed: Observation) -> list[str]:
    """Return the machines on which a unit may stand that is seen nowhere; a scheduler knows of all."""
    return [] if observed.scheduler else sorted(observed.unreachable)


def container_name(unit: UnitName) -> str:
    """Return the name that a unit gives its container, e.g. ``apache.7777`` for ``apache@7777.service``."""
    return f"{unit.prefix}.{unit.instance}" if unit.instance else unit.prefix


def places(evidence: Evidence, unit: UnitName) -> list[ObservedMachine]:
    """Return the machines on which the project's unit of that name stands."""
    return [
        machine
        for _, machine in sorted(evidence.observed.machines.items())
        if any(seen.name == unit and seen.project == evidence.project for seen in machine.units)
    ]


def balancer_places(
    evidence: Evidence, balancer: LoadBalancer
) -> Mapping[str, tuple[UnitName, ObservedMachine]]:
    """Return where a balancer stands, by the words that tell its places apart: for one, its name."""
    found = [(unit, machine) for unit in balancer.units() for machine in places(evidence, unit)]
    if len(found) == 1 and not balancer.may_be_several:
        return {balancer.name: found[0]}
    return {f"{unit.stem} on {machine.name}": (unit, machine) for unit, machine in found}


def _places_or_nowhere(evidence: Evidence, unit: UnitName) -> Sequence[ObservedMachine | None]:
    return places(evidence, unit) or [None]


def _service_chains(evidence: Evidence, service: Service) -> Iterator[Chain]:
    for instance in service.instances:
        main = service.template.instantiate(instance)
        sidekick = service.sidekick.instantiate(instance) if service.sidekick else None
        for machine in _places_or_nowhere(evidence, main):
            units = [main, *([sidekick] if sidekick else [])]
            if held := _held_links(evidence, machine, units):
                yield Chain(main, machine.name if machine else "", held)
                continue
            links = [
                _unit_link(evidence, machine, units),
                _container_link(evidence, machine, main),
            ]
            if service.registration and sidekick:
                links += _registration_links(evidence, machine, service.registration, instance, sidekick)
            if service.health.kind is not HealthKind.NONE and instance.isdigit():
                links.append(_backend_link(evidence, machine, service, instance))
            if service.registration:
                links += _balancer_links(evidence, machine, service, instance)
            yield Chain(main, machine.name if machine else "", tuple(links))


def _balancer_chains(evidence: Evidence, balancer: LoadBalancer) -> Iterator[Chain]:
    for unit in balancer.units():
        for machine in _places_or_nowhere(evidence, unit):
            links = _held_links(evidence, machine, [unit]) or (
                _unit_link(evidence, machine, [unit]),
                _container_link(evidence, machine, unit),
            )
            yield Chain(unit, machine.name if machine else "", links)


def _held_links(
    evidence: Evidence, machine: ObservedMachine | None, units: Sequence[UnitName]
) -> tuple[Link, ...]:
    """Return what there is to say of a unit that is held and stopped; nothing of one that is not, or runs."""
    unit = units[0]
    if unit not in evidence.holding.held:
        return ()
    where = machine.name if machine else ""
    stopped = ("inactive", "failed")
    if machine and any(seen.name in units and seen.active_state not in stopped for seen in machine.units):
        return ()
    seen = f"held{evidence.holding.held[unit]}" + ("" if machine else "; it stands on no machine")
    link = Link(LinkName.UNIT, State.HELD, where, f"{unit} stopped", seen, f"coreos-kit start {unit}")
    name = container_name(unit)
    if machine and any(one.name == name and one.state == "running" for one in machine.containers):
        expected, remedy = f"no container {name} while its unit is held", f"coreos-kit ssh {where}"
        return (link, Link(LinkName.CONTAINER, State.BROKEN, where, expected, "it is running", remedy))
    return (link,)


def _unit_link(evidence: Evidence, machine: ObservedMachine | None, units: Sequence[UnitName]) -> Link:
    expected = f"{' and '.join(str(unit) for unit in units)} active"
    if machine is None:
        if unseen := _unseen_machines(evidence.observed):
            silent = ", ".join(unseen)
            return Link(
                LinkName.UNIT,
                State.UNKNOWN,
                "",
                expected,
                f"it stands on no machine that can be seen; {silent} can't be",
            )
        return Link(LinkName.UNIT, State.BROKEN, "", expected, "it stands on no machine", "coreos-kit deploy")
    present = {unit.name: unit for unit in machine.units}
    ill = [
        _described(unit, present.get(unit))
        for unit in units
        if not (unit in present and present[unit].is_active)
    ]
    if ill:
        return Link(
            LinkName.UNIT,
            State.BROKEN,
            machine.name,
            expected,
            "; ".join(ill),
            f"coreos-kit start {units[0]}",
        )
    return Link(LinkName.UNIT, State.OK, machine.name, expected, "active")


def _described(name: UnitName, unit: ObservedUnit | None) -> str:
    return f"{name} is {unit.active_state} ({unit.sub_state})" if unit else f"{name} is not there"


def _container_link(evidence: Evidence, machine: ObservedMachine | None, unit: UnitName) -> Link:
    name = container_name(unit)
    expected = f"container {name} running"
    if machine is None:
        if _unseen_machines(evidence.observed):
            seen = "its unit stands on no machine that can be seen"
            return Link(LinkName.CONTAINER, State.UNKNOWN, "", expected, seen)
        seen = "its unit stands on no machine"
        return Link(LinkName.CONTAINER, State.BROKEN, "", expected, seen, "coreos-kit deploy")
    if machine.engine_error:
        return Link(
            LinkName.CONTAINER,
            State.UNKNOWN,
            machine.name,
            expected,
            machine.engine_error,
            f"coreos-kit ssh {machine.name}",
        )
    found = next((container for container in machine.containers if container.name == name), None)
    if found is None or found.state != "running":
        seen = f"it is {found.state}" if found else "there is no such container"
        return Link(
            LinkName.CONTAINER, State.BROKEN, machine.name, expected, seen, f"coreos-kit restart {unit}"
        )
    return Link(LinkName.CONTAINER, State.OK, machine.name, expected, "running")


def _registration_links(
    evidence: Evidence,
    machine: ObservedMachine | None,
    registration: Registration,
    instance: str,
    sidekick: UnitName,
) -> Iterator[Link]:
    where = machine.name if machine else ""
    address = machine.private_ip if machine else ""
    names = (LinkName.KEY, LinkName.VALUE, LinkName.TTL)
    if not address:
        seen = "its machine's private address is not known" if machine else "its unit stands on no machine"
        yield from (
            Link(name, State.UNKNOWN, where, f"a registration below {registration.prefix}", seen)
            for name in names
        )
        return
    key, value = registration.key_for(address, instance), f"{address}:{instance}"
    newest = registration.renew_s + RENEWAL_GRACE_S
    expectations = dict(zip(names, (key, value, f"renewed within {newest} s"), strict=True))
    entries = evidence.entries.get(registration.prefix)
    if entries is None:
        seen = evidence.etcd_error or "etcd was not asked"
        yield from (Link(name, State.UNKNOWN, where, expectations[name], seen) for name in names)
        return
    remedy = f"coreos-kit restart {sidekick}"
    entry = next((entry for entry in entries if entry.key == key), None)
    if entry is None:
        yield Link(LinkName.KEY, State.BROKEN, where, key, "there is no such key", remedy)
        yield from (
            Link(name, State.UNKNOWN, where, expectations[name], "there is no key to look at")
            for name in names[1:]
        )
        return
    yield Link(LinkName.KEY, State.OK, where, key, "present")
    right = entry.value == value
    yield Link(
        LinkName.VALUE,
        State.OK if right else State.BROKEN,
        where,
        value,
        shown(entry.value),
        "" if right else remedy,
    )
    yield _ttl_link(where, entry, registration, remedy)


def _ttl_link(machine: str, entry: EtcdEntry, registration: Registration, remedy: str) -> Link:
    newest = registration.renew_s + RENEWAL_GRACE_S
    expected = f"renewed within {newest} s"
    if entry.ttl_left_s is None:
        return Link(
            LinkName.TTL, State.BROKEN, machine, expected, "it has no TTL: it would stay for ever", remedy
        )
    granted = entry.ttl_granted_s if entry.ttl_granted_s is not None else registration.ttl_s
    age = granted - entry.ttl_left_s
    seen = f"renewed {max(0, age):.0f} s ago, {entry.ttl_left_s:.0f} s of {granted:.0f} s left"
    fresh = age <= newest
    return Link(
        LinkName.TTL, State.OK if fresh else State.BROKEN, machine, expected, seen, "" if fresh else remedy
    )


def _backend_link(
    evidence: Evidence, machine: ObservedMachine | None, service: Service, instance: str
) -> Link:
    where = machine.name if machine else ""
    if machine is None or not machine.private_ip:
        return Link(
            LinkName.BACKEND, State.UNKNOWN, where, f"port {instance} answers", "there is no address to ask"
        )
    address = f"{machine.private_ip}:{instance}"
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


def _balancer_links(
    evidence: Evidence, machine: ObservedMachine | None, service: Service, instance: str
) -> Iterator[Link]:
    asked = [
        place
        for balancer in evidence.cluster.load_balancers
        if balancer.upstream == service.name
        for place in _running_places(evidence, balancer)
    ]
    if not asked:
        return
    where = machine.name if machine else ""
    address = f"{machine.private_ip}:{instance}" if machine and machine.private_ip else ""
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
        "coreos-kit restart",
    )
    yield _worst(
        Link(LinkName.REQUEST, State.OK, where, expected[LinkName.REQUEST], "reached"),
        {(name, unit): _judge_request(evidence, name, address) for name, unit in asked},
        "coreos-kit logs",
    )


_Place = tuple[str, UnitName]  # of a balancer: what it is called, and its unit
_Judged = tuple[State, str]


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
    answered = sum(code != 0 for code in probe.codes)
    if not answered:
        return State.BROKEN, f"{name} answered none of {len(probe.codes)} requests"
    served = ", ".join(f"{backend} {count}" for backend, count in sorted(probe.served.items()))
    return State.BROKEN, f"of {len(probe.codes)} requests {served or 'none came to a backend'}"


def _worst(fine: Link, judged: Mapping[_Place, _Judged], remedy: str) -> Link:
    """Return the link as the worst of the balancers has it; the remedy is for the first of those."""
    for state in (State.BROKEN, State.UNKNOWN):
        if ill := {unit: text for (_, unit), (found, text) in judged.items() if found is state}:
            seen = "; ".join(text for found, text in judged.values() if found is state)
            return replace(fine, state=state, seen=seen, remedy=f"{remedy} {next(iter(ill))}")
    return fine
