"""Each link of the chain: when it holds, when it is broken, and when nobody can say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from coreos_kit.chain import Evidence, judge
from coreos_kit.errors import Unreachable
from coreos_kit.model.chain import Link, LinkName, State, Verdict
from coreos_kit.model.cluster import (
    EtcdEntry,
    Observation,
    ObservedContainer,
    ObservedMachine,
    ObservedUnit,
)
from coreos_kit.model.ghosts import Ghost, GhostKind
from coreos_kit.model.holding import Holding, Mark
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, EtcdSettings, MachineEntry
from coreos_kit.model.services import (
    Health,
    HealthKind,
    KeyForm,
    LoadBalancer,
    Registration,
    Requirements,
    Service,
)
from coreos_kit.ports import Probe

PREFIX = "/services/web"
BACKEND = "192.0.2.1:7777"
KEY = f"{PREFIX}/192.0.2.1"
SERVICE = Service("web", "web", "run", 80, ("7777",), registration=Registration(PREFIX))
BALANCER = LoadBalancer("lb", "lb", upstream="web")
GOOD_PROBE = Probe({BACKEND: ""}, frozenset({BACKEND}), "", (200, 200), {BACKEND: 2})


def unit(name: str, machine: str, active: str = "active", sub: str = "running") -> ObservedUnit:
    return ObservedUnit(
        UnitName.parse(name), machine, "", "loaded", active, sub, f"/etc/systemd/system/{name}", project="web"
    )


def container(name: str, state: str = "running") -> ObservedContainer:
    return ObservedContainer(name, "c0", state, "", "")


def machine(
    name: str, number: int, units: list[ObservedUnit], *containers: ObservedContainer
) -> ObservedMachine:
    return ObservedMachine(
        name,
        f"{number:032x}",
        "boot",
        f"192.0.2.{number}",
        f"198.51.100.{number}",
        {},
        tuple(units),
        containers,
    )


def cluster(
    services: tuple[Service, ...] = (SERVICE,), balancers: tuple[LoadBalancer, ...] = (BALANCER,)
) -> Cluster:
    machines = tuple(MachineEntry(name, name) for name in ("core-1", "core-2"))
    return Cluster("lab", PROFILES["debian"], DriverKind.SYSTEMD, machines, services, balancers)


WEB = machine(
    "core-1",
    1,
    [unit("web@7777.service", "core-1"), unit("web-discovery@7777.service", "core-1")],
    container("web.7777"),
)
LB = machine("core-2", 2, [unit("lb.service", "core-2")], container("lb"))
ENTRY = EtcdEntry(KEY, BACKEND, 25, 30)


def evidence(
    *machines: ObservedMachine,
    entry: EtcdEntry | None = ENTRY,
    probe: Probe | None = GOOD_PROBE,
    silent: tuple[str, ...] = (),
    of: Cluster | None = None,
    **other: Any,
) -> Evidence:
    """All is well, but for what is said otherwise."""
    seen = {found.name: found for found in machines or (WEB, LB)}
    unreachable = {name: Unreachable(f"{name} does not answer") for name in silent}
    return Evidence(
        **{
            "project": "web",
            "cluster": of or cluster(),
            "observed": Observation(seen, unreachable),
            "entries": {PREFIX: (entry,) if entry else ()},
            "probes": {"lb": probe} if probe else {},
            **other,
        }
    )


def links(verdict: Verdict, of: str = "web@7777.service") -> Mapping[str, Link]:
    return {
        link.name.value: link for chain in verdict.chains if str(chain.unit) == of for link in chain.links
    }


def link(name: str, what: Evidence, of: str = "web@7777.service") -> Link:
    return links(judge(what), of)[name]


def test_a_chain_that_holds_has_eight_links_and_a_balancer_two() -> None:
    verdict = judge(evidence())

    assert list(links(verdict)) == [name.value for name in LinkName]
    assert list(links(verdict, "lb.service")) == ["unit", "container"]
    assert {found.state for found in verdict.links} == {State.OK}
    assert (verdict.ok, verdict.exit_code) == (True, 0)


def test_a_link_that_holds_says_what_was_expected_and_seen_and_needs_no_remedy() -> None:
    said = {
        name: (found.expected, found.seen, found.remedy) for name, found in links(judge(evidence())).items()
    }

    assert said == {
        "unit": ("web@7777.service and web-discovery@7777.service active", "active", ""),
        "container": ("container web.7777 running", "running", ""),
        "key": (KEY, "present", ""),
        "value": (BACKEND, BACKEND, ""),
        "ttl": ("renewed within 12 s", "renewed 5 s ago, 25 s of 30 s left", ""),
        "backend": (f"{BACKEND} answers its http check of /", "answers", ""),
        "pool": (f"lb lists {BACKEND}", "is listed", ""),
        "request": (f"a request through lb reaches {BACKEND}", "reached", ""),
    }


@pytest.mark.parametrize(
    ("units", "seen"),
    [
        (
            [
                unit("web@7777.service", "core-1", "failed", "failed"),
                unit("web-discovery@7777.service", "core-1"),
            ],
            "web@7777.service is failed (failed)",
        ),
        (
            [
                unit("web@7777.service", "core-1"),
                unit("web-discovery@7777.service", "core-1", "inactive", "dead"),
            ],
            "web-discovery@7777.service is inactive (dead)",
        ),
        (
            [unit("web@7777.service", "core-1", "activating", "auto-restart")],
            "web@7777.service is activating (auto-restart); web-discovery@7777.service is not there",
        ),
    ],
)
def test_a_unit_or_sidekick_that_is_not_active_breaks_the_unit_link(
    units: list[ObservedUnit], seen: str
) -> None:
    found = link("unit", evidence(replace(WEB, units=tuple(units)), LB))

    assert (found.state, found.machine, found.seen) == (State.BROKEN, "core-1", seen)
    is_there = len(units) == 2
    assert found.remedy == ("coreos-kit start web@7777.service" if is_there else "coreos-kit deploy")


@pytest.mark.parametrize("name", ["web@7777.service", "web-discovery@7777.service"])
def test_a_unit_whose_file_is_gone_is_broken_though_systemd_runs_it_on(name: str) -> None:
    lost = [
        replace(found, text=None, project="") if str(found.name) == name else found for found in WEB.units
    ]
    found = link("unit", evidence(replace(WEB, units=tuple(lost)), LB))

    assert (found.state, found.machine) == (State.BROKEN, "core-1")
    assert found.seen == f"the file of {name} is gone; systemd goes on with what it had read"
    assert found.remedy == "coreos-kit ssh core-1 -- sudo systemctl daemon-reload, then: coreos-kit deploy"


def test_a_unit_that_stands_nowhere_is_broken_and_deploy_is_the_remedy() -> None:
    verdict = judge(evidence(replace(WEB, units=()), LB))

    found = links(verdict)["unit"]
    assert (found.state, found.seen, found.remedy) == (
        State.BROKEN,
        "it stands on no machine",
        "coreos-kit deploy",
    )
    assert verdict.chains[0].machine == ""
    assert verdict.exit_code == 1


def test_a_unit_that_may_stand_on_a_silent_machine_is_unknown_in_every_link() -> None:
    verdict = judge(evidence(LB, silent=("core-1",), entry=ENTRY))

    assert {found.state for found in links(verdict).values()} == {State.UNKNOWN}
    assert links(verdict)["unit"].seen == "it stands on no machine that can be seen; core-1 can't be"
    assert verdict.unreachable == ("core-1: core-1 does not answer",)
    assert verdict.exit_code == 4


def test_a_unit_of_which_only_fleet_still_says_that_it_is_active_is_unknown() -> None:
    """fleet repeats what a machine said last until that expires: one without power is active for 30 s."""
    verdict = judge(evidence(WEB, LB, silent=("core-1",)))

    found = links(verdict)["unit"]
    assert (found.state, found.seen) == (State.UNKNOWN, "fleet says active, and core-1 can't be asked")
    assert verdict.exit_code == 4


def test_somebody_elses_unit_of_the_same_name_is_not_ours() -> None:
    foreign = tuple(replace(found, project="other") for found in WEB.units)

    assert link("unit", evidence(replace(WEB, units=foreign), LB)).seen == "it stands on no machine"


@pytest.mark.parametrize(
    ("containers", "seen"),
    [((), "there is no such container"), ((container("web.7777", "exited"),), "it is exited")],
)
def test_a_container_that_does_not_run_is_broken(
    containers: tuple[ObservedContainer, ...], seen: str
) -> None:
    found = link("container", evidence(replace(WEB, containers=containers), LB))

    assert (found.state, found.seen, found.remedy) == (
        State.BROKEN,
        seen,
        "coreos-kit restart web@7777.service",
    )


def test_containers_that_can_not_be_listed_are_unknown() -> None:
    found = link("container", evidence(replace(WEB, containers=(), engine_error="docker is not running"), LB))

    assert (found.state, found.seen) == (State.UNKNOWN, "docker is not running")
    assert found.remedy == "coreos-kit ssh core-1"


def test_a_missing_key_is_broken_and_what_rests_on_it_unknown() -> None:
    found = links(judge(evidence(entry=None)))

    assert found["key"].state is State.BROKEN
    assert found["key"].remedy == "coreos-kit restart web-discovery@7777.service"
    assert {found["value"].state, found["ttl"].state} == {State.UNKNOWN}
    assert found["value"].seen == "there is no key to look at"


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_what_a_machine_without_etcd_does_not_register_is_mended_by_starting_its_etcd(state: str) -> None:
    without = evidence(replace(WEB, etcd_state=state), LB, entry=None)

    assert link("key", without).remedy == "coreos-kit ssh core-1 -- sudo systemctl start etcd.service"


def test_where_the_sidekicks_have_an_etcd_elsewhere_their_machines_own_does_not_matter() -> None:
    elsewhere = replace(cluster(), etcd=EtcdSettings(endpoints=("http://192.0.2.9:2379",)))
    without = evidence(replace(WEB, etcd_state="inactive"), LB, entry=None, of=elsewhere)

    assert link("key", without).remedy == "coreos-kit restart web-discovery@7777.service"


def test_another_instances_value_is_broken() -> None:
    found = link("value", evidence(entry=replace(ENTRY, value="192.0.2.1:8888")))

    assert (found.state, found.expected, found.seen) == (State.BROKEN, BACKEND, "192.0.2.1:8888")
    assert found.remedy == "coreos-kit restart web-discovery@7777.service"


@pytest.mark.parametrize(
    ("left", "granted", "state"),
    [
        (30, 30, State.OK),
        (18, 30, State.OK),
        (17.9, 30, State.BROKEN),
        (0, 30, State.BROKEN),
        (20, None, State.OK),
    ],
)
def test_a_key_is_fresh_until_renew_plus_two_seconds(
    left: float, granted: float | None, state: State
) -> None:
    assert link("ttl", evidence(entry=EtcdEntry(KEY, BACKEND, left, granted))).state is state


def test_a_ttl_left_longer_than_granted_is_not_a_negative_age() -> None:
    assert link("ttl", evidence(entry=EtcdEntry(KEY, BACKEND, 31, 30))).seen.startswith("renewed 0 s ago")


def test_a_key_without_a_ttl_is_broken() -> None:
    found = link("ttl", evidence(entry=EtcdEntry(KEY, BACKEND)))

    assert (found.state, found.seen) == (State.BROKEN, "it has no TTL: it would stay for ever")


def test_without_etcd_its_three_links_are_unknown_with_the_reason() -> None:
    verdict = judge(evidence(entries={}, etcd_error="etcd does not answer"))

    found = links(verdict)
    assert {found[name].state for name in ("key", "value", "ttl")} == {State.UNKNOWN}
    assert {found[name].seen for name in ("key", "value", "ttl")} == {"etcd does not answer"}
    assert found["pool"].state is State.OK
    assert verdict.exit_code == 4


def test_without_a_private_address_nothing_of_the_registration_is_known() -> None:
    found = links(judge(evidence(replace(WEB, private_ip=""), LB)))

    assert {found[name].state for name in ("key", "value", "ttl", "backend", "pool", "request")} == {
        State.UNKNOWN
    }


def test_a_backend_that_does_not_answer_is_broken_and_its_log_the_remedy() -> None:
    found = link("backend", evidence(probe=replace(GOOD_PROBE, backends={BACKEND: "connection refused"})))

    assert (found.state, found.seen) == (State.BROKEN, "asked from lb: connection refused")
    assert found.remedy == "coreos-kit logs web@7777.service"


def test_a_backend_without_an_address_was_not_asked_whatever_else_answers() -> None:
    found = link("backend", evidence(replace(WEB, private_ip=""), LB))

    assert (found.state, found.seen) == (State.UNKNOWN, "there is no address to ask")


def test_what_no_balancer_could_be_asked_is_unknown() -> None:
    found = links(judge(evidence(probe=None, probe_errors={"lb": "core-2 does not answer"})))

    assert {found[name].state for name in ("backend", "pool", "request")} == {State.UNKNOWN}
    assert {found[name].seen for name in ("backend", "pool", "request")} == {"core-2 does not answer"}


def test_what_was_not_asked_is_unknown() -> None:
    found = links(judge(evidence(probe=None)))

    assert found["backend"].seen == "it was not asked"
    assert found["pool"].seen == "lb was not looked at"


def test_a_backend_that_the_pool_lacks_is_broken() -> None:
    found = link("pool", evidence(probe=replace(GOOD_PROBE, pool=frozenset({"192.0.2.9:1"}))))
    empty = link("pool", evidence(probe=replace(GOOD_PROBE, pool=frozenset())))

    assert (found.state, found.seen) == (State.BROKEN, "lb has 192.0.2.9:1")
    assert found.remedy == "coreos-kit restart lb.service"
    assert empty.seen == "lb has an empty pool"


def test_a_pool_that_can_not_be_told_is_unknown_never_ok() -> None:
    found = link("pool", evidence(probe=replace(GOOD_PROBE, pool=None, pool_error="no answer at its door")))

    assert (found.state, found.seen) == (State.UNKNOWN, "the pool of lb can't be told: no answer at its door")


@pytest.mark.parametrize(
    ("codes", "served", "seen"),
    [
        ((0, 0), {}, "lb answered none of 2 requests"),
        ((200, 200), {"192.0.2.9:1": 2}, "of 2 requests 192.0.2.9:1 2"),
        ((503, 503), {}, "of 2 requests none was answered by a backend; 2 answered with 503"),
        ((502, 200), {"192.0.2.9:1": 1}, "of 2 requests 192.0.2.9:1 1; 1 answered with 502"),
    ],
)
def test_a_backend_that_no_request_reaches_is_broken(
    codes: tuple[int, ...], served: Mapping[str, int], seen: str
) -> None:
    found = link("request", evidence(probe=replace(GOOD_PROBE, codes=codes, served=served)))

    assert (found.state, found.seen, found.remedy) == (State.BROKEN, seen, "coreos-kit logs lb.service")


def test_who_served_is_unknown_where_the_log_that_tells_it_can_not_be_read() -> None:
    blind = replace(GOOD_PROBE, served={}, log_error="no such driver")

    found = link("request", evidence(probe=blind))

    assert found.state is State.UNKNOWN
    assert found.seen == "the log of lb, which tells who served, can't be read: no such driver"
    assert link("request", evidence(probe=replace(blind, codes=(0, 0)))).state is State.BROKEN


def test_every_balancer_of_a_service_has_to_list_it() -> None:
    two = cluster(balancers=(BALANCER, replace(BALANCER, name="lb2")))
    other = machine(
        "core-2", 2, [unit("lb.service", "core-2"), unit("lb2.service", "core-2")], container("lb")
    )

    def pool(second: Probe | None) -> Link:
        probes = {"lb": GOOD_PROBE} | ({"lb2": second} if second else {})
        return link("pool", evidence(WEB, other, of=two, probes=probes))

    assert pool(GOOD_PROBE).state is State.OK
    assert pool(GOOD_PROBE).expected == f"lb and lb2 list {BACKEND}"
    assert (pool(None).state, pool(None).seen) == (State.UNKNOWN, "lb2 was not looked at")
    assert pool(replace(GOOD_PROBE, pool=frozenset())).seen == "lb2 has an empty pool"


SEVERAL = replace(BALANCER, instances=("east", "west"))
EVERYWHERE = replace(BALANCER, requirements=Requirements(is_global=True))


def balancers(*active: tuple[str, str, str]) -> list[ObservedMachine]:
    return [
        machine(f"core-{n}", n, [unit(name, f"core-{n}", state)], container(of))
        for n, (name, of, state) in enumerate(active, start=2)
    ]


def of_several(east: Probe | None, west: Probe | None, state: str = "active") -> Evidence:
    there = balancers(("lb@east.service", "lb.east", "active"), ("lb@west.service", "lb.west", state))
    probes = {"lb@east on core-2": east, "lb@west on core-3": west}
    found = {name: probe for name, probe in probes.items() if probe}
    return evidence(WEB, *there, of=cluster(balancers=(SEVERAL,)), probes=found)


def test_each_balancer_of_several_has_a_chain_of_its_own() -> None:
    verdict = judge(of_several(GOOD_PROBE, GOOD_PROBE))

    assert verdict.ok
    assert [(str(chain.unit), chain.machine) for chain in verdict.chains[1:]] == [
        ("lb@east.service", "core-2"),
        ("lb@west.service", "core-3"),
    ]


def test_each_balancer_of_several_has_to_list_a_backend_and_to_send_requests_to_it() -> None:
    empty = replace(GOOD_PROBE, pool=frozenset(), served={})

    pool = link("pool", of_several(GOOD_PROBE, empty))
    request = link("request", of_several(GOOD_PROBE, empty))

    assert (pool.state, pool.seen) == (State.BROKEN, "lb@west on core-3 has an empty pool")
    assert pool.expected == f"lb@east on core-2 and lb@west on core-3 list {BACKEND}"
    assert pool.remedy == "coreos-kit restart lb@west.service"
    assert (request.state, request.seen) == (
        State.BROKEN,
        "of 2 requests none was answered by a backend; follows from pool",
    )


def test_of_a_balancer_that_does_not_run_its_own_links_tell_and_no_pool() -> None:
    verdict = judge(of_several(GOOD_PROBE, None, "failed"))

    assert links(verdict)["pool"].state is State.OK
    assert links(verdict, "lb@west.service")["unit"].state is State.BROKEN


def test_another_unit_that_runs_beside_a_balancer_that_does_not_is_no_balancer() -> None:
    east, west = balancers(("lb@east.service", "lb.east", "active"), ("lb@west.service", "lb.west", "failed"))
    beside = replace(west, units=(*west.units, unit("other.service", west.name)))
    seen = evidence(
        WEB, east, beside, of=cluster(balancers=(SEVERAL,)), probes={"lb@east on core-2": GOOD_PROBE}
    )

    assert {link.state for name, link in links(judge(seen)).items() if name in ("pool", "request")} == {
        State.OK
    }


def test_without_any_balancer_that_runs_the_pool_is_not_ok() -> None:
    there = balancers(("lb@east.service", "lb.east", "failed"), ("lb@west.service", "lb.west", "failed"))

    found = link("pool", evidence(WEB, *there, of=cluster(balancers=(SEVERAL,)), probes={}))

    assert (found.state, found.seen) == (
        State.UNKNOWN,
        "lb@east on core-2 was not looked at; lb@west on core-3 was not looked at",
    )


def test_a_global_balancer_is_judged_on_each_of_its_machines() -> None:
    there = balancers(("lb.service", "lb", "active"), ("lb.service", "lb", "active"))
    probes = {"lb on core-2": GOOD_PROBE, "lb on core-3": replace(GOOD_PROBE, pool=frozenset())}

    what = evidence(WEB, *there, of=cluster(balancers=(EVERYWHERE,)), probes=probes)

    assert link("pool", what).seen == "lb on core-3 has an empty pool"
    assert [chain.machine for chain in judge(what).chains] == ["core-1", "core-2", "core-3"]


# What is held

MARK = Mark("anna on desk", "2026-11-26T11:00:00Z", "new disk")
HOLDING = Holding(held={UnitName.parse("web@7777.service"): MARK, UnitName.parse("lb.service"): MARK})
STOPPED = machine(
    "core-1",
    1,
    [
        unit("web@7777.service", "core-1", "inactive", "dead"),
        unit("web-discovery@7777.service", "core-1", "inactive", "dead"),
    ],
)


def test_a_unit_that_is_held_has_one_link_that_is_held() -> None:
    verdict = judge(evidence(STOPPED, LB, entry=None, holding=HOLDING))

    (only,) = links(verdict).values()
    assert (only.state, only.machine) == (State.HELD, "core-1")
    assert only.seen == "held by anna on desk since 2026-11-26T11:00:00Z: new disk"
    assert only.remedy == "coreos-kit start web@7777.service"
    assert (verdict.ok, verdict.exit_code, verdict.count(State.HELD)) == (True, 0, 1)


def test_without_a_hold_the_same_is_broken() -> None:
    assert judge(evidence(STOPPED, LB, entry=None)).exit_code == 1


def test_what_is_held_and_runs_is_judged_as_what_runs() -> None:
    verdict = judge(evidence(holding=HOLDING))

    assert verdict.ok
    assert len(verdict.links) == 10


def test_a_held_unit_that_stands_nowhere_is_held() -> None:
    (only,) = links(judge(evidence(LB, entry=None, holding=HOLDING))).values()

    assert (only.state, only.machine) == (State.HELD, "")
    assert only.seen.endswith("; it stands on no machine")


def test_a_container_that_runs_beside_a_held_unit_is_broken() -> None:
    running = replace(STOPPED, containers=(container("web.7777"),))
    others = replace(STOPPED, containers=(container("web.7777", "exited"), container("other")))

    found, fine = (
        links(judge(evidence(here, LB, entry=None, holding=HOLDING))) for here in (running, others)
    )

    assert {name: link.state for name, link in found.items()} == {
        "unit": State.HELD,
        "container": State.BROKEN,
    }
    assert list(fine) == ["unit"]


def test_a_held_balancer_is_not_missed_by_its_backends_where_another_runs() -> None:
    there = balancers(("lb@east.service", "lb.east", "active"), ("lb@west.service", "lb.west", "inactive"))
    west = replace(there[1], containers=())
    held = Holding(held={UnitName.parse("lb@west.service"): MARK})
    probes = {"lb@east on core-2": GOOD_PROBE}

    verdict = judge(
        evidence(WEB, there[0], west, of=cluster(balancers=(SEVERAL,)), probes=probes, holding=held)
    )

    assert verdict.ok
    assert links(verdict, "lb@west.service")["unit"].state is State.HELD


def test_broken_weighs_more_than_unknown() -> None:
    two = cluster(balancers=(BALANCER, replace(BALANCER, name="lb2")))
    broken = replace(GOOD_PROBE, pool=frozenset())

    assert link("pool", evidence(of=two, probes={"lb": broken})).state is State.BROKEN
    assert judge(evidence(of=two, probes={"lb": broken})).exit_code == 1


def test_a_service_without_registration_has_neither_key_nor_pool() -> None:
    alone = replace(SERVICE, registration=None)
    probes = {"machine:core-1": Probe({BACKEND: ""})}

    found = links(judge(evidence(of=cluster((alone,), ()), probes=probes)))

    assert list(found) == ["unit", "container", "backend"]
    assert {link.state for link in found.values()} == {State.OK}


def test_a_service_without_balancer_has_no_pool_and_no_request() -> None:
    probes = {"machine:core-1": Probe({BACKEND: ""})}

    found = links(judge(evidence(of=cluster(balancers=()), probes=probes)))

    assert list(found) == ["unit", "container", "key", "value", "ttl", "backend"]


def test_a_service_without_health_check_has_no_backend_link() -> None:
    found = links(judge(evidence(of=cluster((replace(SERVICE, health=Health(HealthKind.NONE)),)))))

    assert "backend" not in found


def test_an_instance_named_by_a_word_has_no_port_to_ask() -> None:
    word = replace(SERVICE, instances=("blue",), registration=None)
    web = machine("core-1", 1, [unit("web@blue.service", "core-1")], container("web.blue"))

    found = links(judge(evidence(web, LB, of=cluster((word,)))), "web@blue.service")

    assert list(found) == ["unit", "container"]


def test_a_service_on_several_machines_has_a_chain_for_each() -> None:
    everywhere = replace(SERVICE, registration=Registration(PREFIX, KeyForm.IP))
    second = machine(
        "core-2",
        2,
        [
            unit("web@7777.service", "core-2"),
            unit("web-discovery@7777.service", "core-2", "failed", "failed"),
        ],
        container("web.7777"),
    )
    entries = {PREFIX: (ENTRY, EtcdEntry(f"{PREFIX}/192.0.2.2", "192.0.2.2:7777", 25, 30))}

    verdict = judge(evidence(WEB, second, of=cluster((everywhere,), ()), entries=entries))

    assert [(str(chain.unit), chain.machine) for chain in verdict.chains] == [
        ("web@7777.service", "core-1"),
        ("web@7777.service", "core-2"),
    ]
    assert [chain.links[0].state for chain in verdict.chains] == [State.OK, State.BROKEN]
    assert [chain.links[2].expected for chain in verdict.chains] == [KEY, f"{PREFIX}/192.0.2.2"]


def test_a_balancer_that_stands_nowhere_is_broken() -> None:
    found = links(judge(evidence(WEB, replace(LB, units=()))), "lb.service")

    assert {link.state for link in found.values()} == {State.BROKEN}


def test_a_key_of_ip_and_port_is_looked_for_as_such() -> None:
    both = replace(SERVICE, registration=Registration(PREFIX, KeyForm.IP_PORT))

    assert link("key", evidence(of=cluster((both,)))).expected == f"{PREFIX}/192.0.2.1-7777"


def test_a_silent_machine_alone_is_enough_not_to_be_ok() -> None:
    verdict = judge(evidence(WEB, LB, silent=("core-3",)))

    assert {found.state for found in verdict.links} == {State.OK}
    assert (verdict.ok, verdict.exit_code) == (False, 4)


def test_a_cluster_with_nothing_configured_is_not_proven() -> None:
    verdict = judge(evidence(of=cluster((), ())))

    assert (verdict.ok, verdict.exit_code) == (False, 1)


def test_broken_beside_unknown_exits_1() -> None:
    assert judge(evidence(entry=None, silent=("core-3",))).exit_code == 1


def test_whatever_is_broken_has_a_remedy_that_is_a_command_or_names_its_cause() -> None:
    ill = replace(WEB, containers=(), units=tuple(replace(u, active_state="failed") for u in WEB.units))
    probe = Probe({BACKEND: "refused"}, frozenset(), "", (0,), {})
    found = [
        link
        for what in (
            evidence(ill, LB, entry=None, probe=probe),
            evidence(entry=EtcdEntry(KEY, "x")),
            evidence(replace(WEB, units=()), LB),
        )
        for link in judge(what).links
        if link.state is State.BROKEN
    ]

    assert {link.name for link in found} == set(LinkName)
    assert all(link.remedy.startswith("coreos-kit ") or "; follows from " in link.seen for link in found)


def test_only_the_first_broken_link_has_a_remedy() -> None:
    ill = replace(WEB, containers=(), units=tuple(replace(u, active_state="failed") for u in WEB.units))

    found = judge(evidence(ill, LB, entry=None, probe=Probe({BACKEND: "refused"}, frozenset(), "", (0,), {})))

    broken = [link for link in found.chains[0].links if link.state is State.BROKEN]
    assert [link.name for link in broken if link.remedy] == ["unit"]
    assert broken[-1].seen.endswith("; follows from backend")


STAYS = Ghost(GhostKind.UNIT_EDITED, "core-1", "web@7777.service", "as deployed", "edited", "deploy")
PASSES = replace(STAYS, kind=GhostKind.POOL_WITHOUT_KEY, may_pass=True)
HOLDS = judge(evidence())


@pytest.mark.parametrize(
    ("verdict", "may_come_right"),
    [
        (HOLDS, False),
        (replace(HOLDS, ghosts=(STAYS,)), False),
        (replace(HOLDS, ghosts=(STAYS, PASSES)), True),
        (replace(HOLDS, unseen=("the other API: down",)), True),
        (replace(HOLDS, unreachable=("core-3: down",)), True),
        (replace(judge(evidence(entry=None)), ghosts=(STAYS,)), True),
        (replace(judge(evidence(probe=None)), ghosts=(STAYS,)), True),
    ],
)
def test_time_may_mend_links_and_what_was_not_seen_and_some_ghosts(
    verdict: Verdict, may_come_right: bool
) -> None:
    assert verdict.may_come_right is may_come_right
