"""Each ghost: when it is found, what is said of it, what would mend it, and when nobody can tell."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from coreos_kit.chain import Evidence
from coreos_kit.errors import Unreachable
from coreos_kit.ghosts import find_ghosts, find_unseen
from coreos_kit.model.cluster import (
    EtcdEntry,
    Observation,
    ObservedContainer,
    ObservedMachine,
    ObservedUnit,
    Scheduler,
)
from coreos_kit.model.ghosts import DeleteKey, Ghost, GhostKind, RemoveContainer, RewriteUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, EtcdApi, EtcdSettings, MachineEntry
from coreos_kit.model.services import KeyForm, LoadBalancer, Registration, Service
from coreos_kit.ports import Probe, WatcherWord
from coreos_kit.units.stamp import stamped

PREFIX = "/services/web"
KEY, BACKEND = f"{PREFIX}/192.0.2.1", "192.0.2.1:7777"
FIX, WATCH = "coreos-kit verify --fix", "coreos-kit registrations --watch"
MAIN, SIDEKICK, LB = "web@7777.service", "web-discovery@7777.service", "lb.service"

SERVICE = Service("web", "web", "run", 80, ("7777",), registration=Registration(PREFIX))
CLUSTER = Cluster(
    "lab",
    PROFILES["debian"],
    DriverKind.SYSTEMD,
    tuple(MachineEntry(f"core-{n}", f"core-{n}", private_ip=f"192.0.2.{n}") for n in (1, 2, 3)),
    (SERVICE,),
    (LoadBalancer("lb", "lb", upstream="web"),),
    private_network="192.0.2.0/24",
)
FLEET = {
    MAIN: "Conflicts=lb.service",
    SIDEKICK: f"MachineOf={MAIN}",
    LB: "",
}


def text_of(name: str, *, service: str = "web", body: str = "sleep 1") -> str:
    return (
        f"[Service]\nExecStart=/bin/{body}\n\n[X-Fleet]\n{FLEET.get(name, '')}\n"
        f"\n[X-CoreosKit]\nProject=web\nService={service}\n"
    )


def unit(name: str, machine: str = "core-1", **other: Any) -> ObservedUnit:
    values = {"text": stamped(text_of(name)), "active_state": "active", "service": "web", **other}
    values.setdefault("fragment_path", f"/etc/systemd/system/{name}")
    return ObservedUnit(
        UnitName.parse(name),
        machine,
        load_state="loaded",
        sub_state="running",
        project="web",
        is_older_than_file=values.pop("is_older_than_file", False),
        **values,
    )


def container(name: str, of: str = "", state: str = "running", project: str = "web") -> ObservedContainer:
    return ObservedContainer(name, "f00d" * 16, state, "", "", project, of)


def machine(
    number: int, *units: ObservedUnit, containers: Sequence[ObservedContainer] = ()
) -> ObservedMachine:
    return ObservedMachine(
        f"core-{number}",
        f"{number:032x}",
        "boot",
        f"192.0.2.{number}",
        f"198.51.100.{number}",
        {},
        units,
        tuple(containers),
    )


WEB = machine(1, unit(MAIN), unit(SIDEKICK), containers=[container("web.7777", MAIN)])
BALANCER = machine(2, unit(LB, "core-2", service="lb"), containers=[container("lb", LB)])
SPARE = machine(3)
ENTRY = EtcdEntry(KEY, BACKEND, 25, 30)
PROBE = Probe({BACKEND: ""}, frozenset({BACKEND}))
DESIRED = (
    DesiredUnit(UnitName.parse(MAIN), text_of(MAIN), "web", UnitKind.MAIN),
    DesiredUnit(UnitName.parse(SIDEKICK), text_of(SIDEKICK), "web", UnitKind.SIDEKICK),
    DesiredUnit(UnitName.parse(LB), text_of(LB, service="lb"), "lb", UnitKind.LOAD_BALANCER),
)


def evidence(
    *machines: ObservedMachine,
    also: Sequence[EtcdEntry] = (),
    silent: Sequence[str] = (),
    probe: Probe = PROBE,
    **other: Any,
) -> Evidence:
    """All is well, but for what is said otherwise; machines take the place of those of their name."""
    seen = {found.name: found for found in (WEB, BALANCER, SPARE, *machines) if found.name not in silent}
    unreachable = {name: Unreachable(f"{name} does not answer") for name in silent}
    return Evidence(
        **{
            "project": "web",
            "cluster": CLUSTER,
            "observed": Observation(seen, unreachable),
            "entries": {PREFIX: (ENTRY, *also)},
            "probes": {"lb": probe},
            "desired": DESIRED,
            **other,
        }
    )


def only(kind: GhostKind, what: Evidence) -> Ghost:
    found = find_ghosts(what)
    assert [ghost.kind for ghost in found] == [kind], found
    assert all((found[0].subject, found[0].expected, found[0].seen, found[0].remedy))
    return found[0]


def stray(key: str, value: str, left: float | None = None, granted: float | None = None) -> Evidence:
    return evidence(also=[EtcdEntry(f"{PREFIX}/{key}", value, left, granted)])


def test_a_healthy_cluster_has_none() -> None:
    assert find_ghosts(evidence()) == ()
    assert find_unseen(evidence()) == ()


@pytest.mark.parametrize("name", ["core-1", "core-2", "core-3"])
def test_a_machine_that_says_nothing_makes_no_ghost(name: str) -> None:
    assert find_ghosts(evidence(silent=[name])) == ()


def haunted(**other: Any) -> Evidence:
    return evidence(replace(SPARE, **other))


def heard(**said: Any) -> Evidence:
    return evidence(probe=replace(PROBE, watcher=WatcherWord(**said)))


def keyed(value: str, left: float | None) -> Evidence:
    return stray("192.0.2.3", value, left, left and 30)


def under_fleet(what: Evidence) -> Evidence:
    return replace(what, observed=replace(what.observed, scheduler=Scheduler("1.0.0", "core-1")))


GONE = unit("gone.service", "core-3", service="gone")
EDITED = unit(MAIN, "core-3", text=stamped(text_of(MAIN)).replace("sleep 1", "sleep 2"))


@pytest.mark.parametrize(
    ("kind", "what", "may_pass"),
    [
        (GhostKind.KEY_WITHOUT_UNIT, keyed("192.0.2.3:7777", left=10), True),
        (GhostKind.KEY_WITHOUT_UNIT, keyed("192.0.2.3:7777", left=29), True),
        (GhostKind.KEY_WITHOUT_UNIT, keyed("192.0.2.3:7777", left=None), False),
        (GhostKind.NONSENSE, keyed("x", left=29), True),
        (GhostKind.NONSENSE, keyed("x", left=None), False),
        (GhostKind.UNKNOWN_MACHINE, keyed("192.0.2.9:7777", left=10), True),
        (GhostKind.UNKNOWN_MACHINE, keyed("192.0.2.9:7777", left=29), False),
        (GhostKind.OTHER_API, evidence(other_entries={PREFIX: (EtcdEntry(KEY, BACKEND, 25),)}), True),
        (GhostKind.OTHER_API, evidence(other_entries={PREFIX: (EtcdEntry(KEY, BACKEND),)}), False),
        (GhostKind.POOL_WITHOUT_KEY, evidence(probe=Probe({}, frozenset({BACKEND, "192.0.2.3:1"}))), True),
        (GhostKind.BALANCER_DEAF, heard(etcd_problem="refused"), True),
        (GhostKind.BALANCER_CONFIGURATION, heard(configuration_problem="x.conf:1 bad"), True),
        (GhostKind.BALANCER_CONFIGURATION, heard(configuration_differs=("conf.d/x.conf",)), True),
        (GhostKind.CONTAINER_WITHOUT_UNIT, haunted(containers=(container("left", MAIN),)), False),
        (GhostKind.UNIT_NOT_CONFIGURED, haunted(units=(GONE,)), False),
        (GhostKind.UNIT_NOT_CONFIGURED, under_fleet(haunted(units=(GONE,))), True),
        (GhostKind.UNIT_EDITED, haunted(units=(EDITED,)), False),
        (GhostKind.SAME_MACHINE_ID, haunted(machine_id=WEB.machine_id), False),
    ],
)
def test_what_time_alone_may_take_away(kind: GhostKind, what: Evidence, may_pass: bool) -> None:
    assert {ghost.may_pass for ghost in find_ghosts(what) if ghost.kind is kind} == {may_pass}


# Registrations


def test_a_key_without_a_unit_is_deleted_if_it_still_holds_its_value() -> None:
    ghost = only(GhostKind.KEY_WITHOUT_UNIT, stray("192.0.2.3", "192.0.2.3:7777"))

    assert (ghost.machine, ghost.subject) == ("core-3", f"{PREFIX}/192.0.2.3")
    assert ghost.expected == "web@7777.service on core-3"
    assert ghost.seen == ("192.0.2.3:7777; it does not stand there; without a TTL: it would stay for ever")
    assert ghost.remedy == FIX
    assert ghost.mend == DeleteKey(f"{PREFIX}/192.0.2.3", "192.0.2.3:7777")


@pytest.mark.parametrize(
    ("left", "granted", "said", "is_mended"),
    [
        (29, 30, "renewed 1 s ago, 29 s left", False),
        (18, 30, "renewed 12 s ago, 18 s left", False),
        (17, 30, "not renewed for 13 s, 17 s left", True),
        (17, None, "not renewed for 13 s, 17 s left", True),
        (3500, 3600, "not renewed for 100 s, 3500 s left", True),
    ],
)
def test_a_key_that_somebody_renews_is_left(
    left: float, granted: float | None, said: str, is_mended: bool
) -> None:
    ghost = only(GhostKind.KEY_WITHOUT_UNIT, stray("192.0.2.3", "192.0.2.3:7777", left, granted))

    assert ghost.seen.endswith(said)
    assert (ghost.mend is not None, ghost.remedy) == (is_mended, FIX if is_mended else WATCH)


@pytest.mark.parametrize(
    ("kind", "key", "value", "machine", "expected"),
    [
        (GhostKind.WRONG_MACHINE, "192.0.2.3", BACKEND, "core-1", f"{BACKEND} at {KEY}"),
        (GhostKind.WRONG_PORT, "192.0.2.3", "192.0.2.3:8888", "core-3", "one of the instances 7777"),
        (GhostKind.OUTSIDE_NETWORK, "x", "169.254.169.254:80", "", "an address inside 192.0.2.0/24"),
        (GhostKind.OUTSIDE_NETWORK, "x", "198.51.100.1:80", "", "an address inside 192.0.2.0/24"),
        (GhostKind.NONSENSE, "x", "1.2.3.4:80; }", "", f"address:port directly below {PREFIX}"),
        (GhostKind.NONSENSE, "a/b", BACKEND, "", f"address:port directly below {PREFIX}"),
        (GhostKind.NONSENSE, "x", "", "", f"address:port directly below {PREFIX}"),
        (GhostKind.NONSENSE, "", BACKEND, "", f"address:port directly below {PREFIX}"),
        (
            GhostKind.UNKNOWN_MACHINE,
            "192.0.2.9",
            "192.0.2.9:7777",
            "",
            "a machine of lab: core-1 192.0.2.1, core-2 192.0.2.2, core-3 192.0.2.3",
        ),
    ],
)
def test_a_registration_that_can_not_be_right_is_named(
    kind: GhostKind, key: str, value: str, machine: str, expected: str
) -> None:
    ghost = only(kind, stray(key, value))

    assert (ghost.machine, ghost.expected) == (machine, expected)
    assert ghost.mend == DeleteKey(f"{PREFIX}/{key}", value)


def test_the_key_of_a_unit_that_stands_is_the_chains_to_judge() -> None:
    wrong = replace(ENTRY, value="192.0.2.1:8888", ttl_left_s=None)

    assert find_ghosts(evidence(entries={PREFIX: (wrong,)}, probe=Probe({}, frozenset()))) == ()


def test_what_a_stranger_renews_is_units_on_a_machine_that_is_configured_no_more() -> None:
    ghost = only(GhostKind.UNKNOWN_MACHINE, stray("192.0.2.9", "192.0.2.9:7777", 29, 30))

    assert "coreos-kit deploy --evacuate" in ghost.remedy
    assert ghost.mend is None


def test_an_address_may_be_that_of_a_machine_that_says_nothing() -> None:
    entries = tuple(replace(entry, private_ip="") for entry in CLUSTER.machines)
    what = evidence(
        silent=["core-3"],
        cluster=replace(CLUSTER, machines=entries),
        also=[EtcdEntry(f"{PREFIX}/192.0.2.9", "192.0.2.9:7777")],
    )

    assert find_ghosts(what) == ()


def test_a_silent_machines_key_is_a_ghost_as_soon_as_nobody_renews_it() -> None:
    fresh = EtcdEntry(f"{PREFIX}/192.0.2.3", "192.0.2.3:7777", 29, 30)

    assert find_ghosts(evidence(silent=["core-3"], also=[fresh])) == ()
    ghost = only(GhostKind.NOT_RENEWED, evidence(silent=["core-3"], also=[replace(fresh, ttl_left_s=10)]))
    assert (ghost.machine, ghost.expected, ghost.mend) == ("core-3", "renewed within 12 s", None)


def test_of_a_machine_that_only_the_scheduler_still_sees_a_key_may_be_somebodys() -> None:
    fresh = EtcdEntry(f"{PREFIX}/192.0.2.3", "192.0.2.3:7777", 29, 30)
    seen = {machine.name: machine for machine in (WEB, BALANCER, SPARE)}
    dark = Observation(seen, {"core-3": Unreachable("core-3 is silent")}, Scheduler("1.0.0", "core-1"))

    assert find_ghosts(evidence(observed=dark, also=[fresh])) == ()
    ghost = only(GhostKind.NOT_RENEWED, evidence(observed=dark, also=[replace(fresh, ttl_left_s=10)]))
    assert (ghost.machine, ghost.mend) == ("core-3", None)


def test_a_key_of_address_and_port_is_known_as_such() -> None:
    both = replace(SERVICE, registration=Registration(PREFIX, KeyForm.IP_PORT))
    entry = EtcdEntry(f"{PREFIX}/192.0.2.1-7777", BACKEND, 25, 30)

    assert find_ghosts(evidence(cluster=replace(CLUSTER, services=(both,)), entries={PREFIX: (entry,)})) == ()


def test_hostile_text_is_escaped_and_cut_and_still_deleted_as_it_is() -> None:
    value = "\x1b[2J" + "x" * 1_000_000

    ghost = only(GhostKind.NONSENSE, stray("a\nb", value))

    assert len(ghost.seen) < 300
    assert "\x1b" not in ghost.seen
    assert "\n" not in ghost.subject
    assert ghost.mend == DeleteKey(f"{PREFIX}/a\nb", value)


def test_a_value_that_is_no_text_can_not_be_compared_and_is_left() -> None:
    assert only(GhostKind.NONSENSE, stray("x", "\ufffd")).mend is None


@pytest.mark.parametrize(
    ("api", "words"),
    [(EtcdApi.V3, "env ETCDCTL_API=2 etcdctl rm"), (EtcdApi.V2, "env ETCDCTL_API=3 etcdctl del")],
)
def test_a_registration_in_the_other_api_is_named_with_the_command_that_removes_it(
    api: EtcdApi, words: str
) -> None:
    cluster = replace(CLUSTER, etcd=EtcdSettings(api=api))

    ghost = only(GhostKind.OTHER_API, evidence(cluster=cluster, other_entries={PREFIX: (ENTRY,)}))

    assert (ghost.machine, ghost.subject) == ("core-1", KEY)
    assert ghost.seen == f"{BACKEND} in its {api.other} API"
    assert ghost.remedy == f"coreos-kit ssh core-1 -- {words} {KEY}"
    assert ghost.mend is None


def test_a_hostile_key_of_the_other_api_never_gets_into_a_command() -> None:
    entry = EtcdEntry(f"{PREFIX}/$(reboot)", BACKEND)

    assert only(GhostKind.OTHER_API, evidence(other_entries={PREFIX: (entry,)})).remedy == WATCH


def test_an_other_api_that_can_not_be_read_is_unknown() -> None:
    assert find_unseen(evidence(other_error="it wants a login")) == (
        "registrations in etcd's other API: it wants a login",
    )
    assert find_unseen(evidence(other_error="down", etcd_error="down", entries={})) == ()


# Balancers


def test_a_pool_entry_without_a_key() -> None:
    ghost = only(
        GhostKind.POOL_WITHOUT_KEY, evidence(probe=Probe({}, frozenset({BACKEND, "192.0.2.3:7777"})))
    )

    assert (ghost.machine, ghost.subject) == ("core-2", "lb 192.0.2.3:7777")
    assert ghost.remedy == "coreos-kit restart lb.service"


def test_a_server_that_the_watcher_says_it_holds_is_no_ghost() -> None:
    held = WatcherWord(held=frozenset({"192.0.2.3:7777"}))
    probe = Probe({}, frozenset({BACKEND, "192.0.2.3:7777"}), watcher=held)

    assert find_ghosts(evidence(probe=probe)) == ()


def test_without_registrations_nothing_is_said_of_the_pool() -> None:
    assert find_ghosts(evidence(entries={}, etcd_error="down")) == ()


def test_a_balancer_that_does_not_follow_etcd_is_named_where_others_can_read_it() -> None:
    probe = replace(PROBE, watcher=WatcherWord(etcd_problem="unreachable since noon: refused"))

    ghost = only(GhostKind.BALANCER_DEAF, evidence(probe=probe))

    assert (ghost.machine, ghost.remedy) == ("core-2", "coreos-kit logs lb.service")
    assert find_ghosts(evidence(probe=probe, entries={}, etcd_error="down")) == ()


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        (WatcherWord(configuration_problem="x.conf:1 bad"), "the last good configuration: x.conf:1 bad"),
        (WatcherWord(configuration_differs=("conf.d/x.conf",)), "not as Nginx runs them: conf.d/x.conf"),
    ],
)
def test_a_balancer_that_does_not_run_what_its_files_say(word: WatcherWord, seen: str) -> None:
    ghost = only(GhostKind.BALANCER_CONFIGURATION, evidence(probe=replace(PROBE, watcher=word)))

    assert (ghost.machine, ghost.subject, ghost.seen) == ("core-2", "lb", seen)


# Containers


def test_a_container_with_our_label_and_no_unit_is_removed_by_its_id() -> None:
    ghost = only(GhostKind.CONTAINER_WITHOUT_UNIT, evidence(machine(3, containers=[container("left", MAIN)])))

    assert (ghost.machine, ghost.subject, ghost.remedy) == ("core-3", "left", FIX)
    assert ghost.expected == "web@7777.service on core-3"
    assert ghost.mend == RemoveContainer("core-3", "f00d" * 16, "left")


def test_a_container_that_may_be_the_last_that_serves_is_left_to_a_deploy() -> None:
    """Somebody took its unit file away, and systemd has heard of it; the container runs on, in the pool."""
    alone = replace(WEB, units=tuple(unit for unit in WEB.units if str(unit.name) != MAIN))
    ghosts = [
        ghost for ghost in find_ghosts(evidence(alone)) if ghost.kind is GhostKind.CONTAINER_WITHOUT_UNIT
    ]

    assert [(ghost.subject, ghost.remedy, ghost.mend) for ghost in ghosts] == [
        ("web.7777", "coreos-kit deploy", None)
    ]
    assert ghosts[0].seen == "web.7777 is running, and its unit does not stand anywhere"


def test_a_container_with_a_units_name_and_no_label_is_reported_and_left() -> None:
    ghost = only(
        GhostKind.CONTAINER_WITHOUT_UNIT,
        evidence(machine(3, containers=[container("web.7777", project="")])),
    )

    assert ghost.mend is None
    assert ghost.remedy == "coreos-kit ssh core-3 -- sudo docker rm -f web.7777"


@pytest.mark.parametrize(
    "foreign",
    [
        container("web.7777", MAIN, project="other"),
        container("cache", project=""),
        container("web.7777", MAIN, "exited"),
        container("web.7777", project="", state="created"),
    ],
)
def test_somebody_elses_container_and_one_that_has_ended_are_none(foreign: ObservedContainer) -> None:
    assert find_ghosts(evidence(machine(3, containers=[foreign]))) == ()


def test_a_container_that_was_renamed_is_still_its_units() -> None:
    renamed = replace(WEB, containers=(container("other-name", MAIN),))

    assert find_ghosts(evidence(renamed)) == ()


def test_containers_that_can_not_be_listed_are_no_ghosts_and_unknown() -> None:
    unlabelled = container("web.7777", project="")
    blind = evidence(replace(SPARE, engine_error="docker is down", containers=(unlabelled,)))

    assert find_ghosts(blind) == ()
    assert find_unseen(blind) == ("containers without a unit on core-3: docker is down",)


def test_of_a_machine_that_says_nothing_its_containers_are_not_told_apart() -> None:
    fleets = Observation(
        {"core-3": replace(SPARE, engine_error="core-3 is silent")}, {"core-3": Unreachable("silent")}
    )

    assert find_unseen(evidence(observed=fleets)) == ()


# Units


def test_a_unit_on_two_machines_belongs_where_it_is_active() -> None:
    back = machine(3, unit(MAIN, "core-3", active_state="inactive"), unit(SIDEKICK, "core-3"))

    found = find_ghosts(evidence(back))

    assert [(ghost.kind, ghost.machine, ghost.subject) for ghost in found] == [
        (GhostKind.UNIT_TWICE, "core-3", MAIN),
        (GhostKind.UNIT_TWICE, "core-3", SIDEKICK),
    ]
    assert found[0].expected == "web@7777.service on core-1 only"
    assert {ghost.remedy for ghost in found} == {"coreos-kit deploy"}


def test_a_unit_that_its_conflicts_forbid_there_is_on_the_wrong_machine() -> None:
    both = machine(1, *WEB.units, unit(LB, "core-1", service="lb"))

    found = find_ghosts(evidence(both, replace(BALANCER, units=(), containers=())))

    assert {ghost.kind for ghost in found} == {GhostKind.UNIT_MISPLACED}
    assert {ghost.machine for ghost in found} == {"core-1"}


def test_without_a_placement_a_unit_on_two_machines_is_found_all_the_same() -> None:
    twin = replace(machine(3, unit(MAIN, "core-3")), machine_id=SPARE.machine_id.replace("3", "2"))

    found = find_ghosts(evidence(twin))
    stopped = replace(WEB, units=(unit(MAIN, active_state="inactive"), *WEB.units[1:]))
    other_way_round = find_ghosts(evidence(twin, stopped))

    assert [(ghost.kind, ghost.machine) for ghost in found] == [
        (GhostKind.SAME_MACHINE_ID, "core-3"),
        (GhostKind.UNIT_TWICE, "core-3"),
    ]
    assert [ghost.machine for ghost in other_way_round if ghost.kind is GhostKind.UNIT_TWICE] == ["core-1"]


def test_a_unit_that_is_not_configured_is_named_with_what_removes_it() -> None:
    more = machine(3, unit("web@8888.service", "core-3"), unit("gone.service", "core-3", service="gone"))

    found = {ghost.subject: ghost for ghost in find_ghosts(evidence(more))}

    assert {ghost.kind for ghost in found.values()} == {GhostKind.UNIT_NOT_CONFIGURED}
    assert found["web@8888.service"].remedy == "coreos-kit deploy"
    assert found["gone.service"].remedy == "coreos-kit deploy --allow-remove gone"


def test_the_key_of_a_unit_that_is_configured_no_more_has_a_unit() -> None:
    more = machine(3, unit("web@8888.service", "core-3"))
    entry = EtcdEntry(f"{PREFIX}/192.0.2.3", "192.0.2.3:8888", 25, 30)

    assert only(GhostKind.UNIT_NOT_CONFIGURED, evidence(more, also=[entry])).subject == "web@8888.service"


def test_without_rendered_units_those_that_stand_can_not_be_judged() -> None:
    more = machine(3, unit("web@8888.service", "core-3"))
    what = evidence(more, desired=None, render_error="service@.service.j2:3: bad")

    assert find_ghosts(what) == ()
    assert find_unseen(what) == ("units that stand where they should not: service@.service.j2:3: bad",)


def test_somebody_elses_units_are_none() -> None:
    foreign = tuple(replace(unit(name, "core-3"), project="other", text="x") for name in (MAIN, "a.service"))

    assert find_ghosts(evidence(replace(SPARE, units=foreign))) == ()


def test_a_machine_that_only_the_scheduler_knows_is_named_with_its_units() -> None:
    stranger = replace(machine(9, unit("web@7777.service", "core-9")), name="core-9")

    found = find_ghosts(evidence(replace(WEB, units=()), stranger, entries={PREFIX: ()}, probe=Probe({})))

    assert [(ghost.kind, ghost.machine) for ghost in found] == [
        (GhostKind.UNKNOWN_MACHINE, "core-9"),
        (GhostKind.CONTAINER_WITHOUT_UNIT, "core-1"),
    ]


def test_two_machines_with_one_machine_id() -> None:
    ghost = only(GhostKind.SAME_MACHINE_ID, evidence(replace(SPARE, machine_id=WEB.machine_id)))

    assert (ghost.machine, ghost.seen) == ("core-3", "core-1 has it, too")
    assert ghost.remedy.startswith("coreos-kit ssh core-3 -- ")


# Edits


def edited(text: str = "", **other: Any) -> Evidence:
    text = text or stamped(text_of(MAIN)).replace("sleep 1", "sleep 2")
    return evidence(replace(WEB, units=(unit(MAIN, text=text, **other), unit(SIDEKICK))))


def test_an_edit_that_does_not_run_yet_is_written_back() -> None:
    ghost = only(GhostKind.UNIT_EDITED, edited(is_older_than_file=True))

    assert (ghost.machine, ghost.subject, ghost.remedy) == ("core-1", MAIN, FIX)
    assert ghost.seen == "edited: -ExecStart=/bin/sleep 1 +ExecStart=/bin/sleep 2"
    assert ghost.mend == RewriteUnit("core-1", UnitName.parse(MAIN), stamped(text_of(MAIN)))


@pytest.mark.parametrize(
    "other",
    [
        {"is_older_than_file": False},
        {"is_older_than_file": True, "active_state": "activating"},
        {"is_older_than_file": True, "fragment_path": f"/run/fleet/units/{MAIN}"},
    ],
)
def test_an_edit_that_may_run_or_is_not_the_kits_file_is_left_to_deploy(other: dict[str, Any]) -> None:
    ghost = only(GhostKind.UNIT_EDITED, edited(**other))

    assert (ghost.mend, ghost.remedy) == (None, "coreos-kit deploy")


def test_an_edit_of_the_file_that_fleet_wrote_is_mended_by_making_the_unit_anew() -> None:
    own_file = stamped(text_of(MAIN)).replace("sleep 1", "sleep 2")
    path = f"/run/fleet/units/{MAIN}"

    ghost = only(GhostKind.UNIT_EDITED, edited(stamped(text_of(MAIN)), own_file=own_file, fragment_path=path))

    assert ghost.seen == "edited: -ExecStart=/bin/sleep 1 +ExecStart=/bin/sleep 2"
    assert ghost.remedy == f"coreos-kit destroy --yes {MAIN} && coreos-kit deploy"
    assert ghost.mend is None


def test_an_edit_that_fleet_keeps_as_well_is_deploys_to_mend() -> None:
    by_hand = stamped(text_of(MAIN)).replace("sleep 1", "sleep 2")
    path = f"/run/fleet/units/{MAIN}"

    ghost = only(GhostKind.UNIT_EDITED, edited(by_hand, own_file=by_hand, fragment_path=path))

    assert (ghost.remedy, ghost.mend) == ("coreos-kit deploy", None)


def test_what_is_not_active_can_be_written_back_whenever_it_ran() -> None:
    assert only(GhostKind.UNIT_EDITED, edited(active_state="failed")).mend is not None


def test_an_edit_of_a_text_that_nobody_knows_any_more_is_left_to_deploy() -> None:
    old = stamped(text_of(MAIN, body="sleep 77")).replace("sleep 77", "sleep 2")

    ghost = only(GhostKind.UNIT_EDITED, edited(old, is_older_than_file=True))

    assert (ghost.seen, ghost.mend, ghost.remedy) == ("it was edited", None, "coreos-kit deploy")


def test_another_instance_still_knows_the_deployed_text_when_the_configuration_has_moved_on() -> None:
    moved_on = tuple(replace(unit, text=unit.text.replace("sleep 1", "sleep 9")) for unit in DESIRED)
    other = machine(3, unit("web@8888.service", "core-3", text=stamped(text_of(MAIN))))
    what = replace(edited(is_older_than_file=True), desired=moved_on)
    what = replace(
        what, observed=replace(what.observed, machines={**what.observed.machines, "core-3": other})
    )

    found = next(ghost for ghost in find_ghosts(what) if ghost.kind is GhostKind.UNIT_EDITED)

    assert found.mend == RewriteUnit("core-1", UnitName.parse(MAIN), stamped(text_of(MAIN)))


def test_a_unit_with_secrets_is_written_back_with_the_names_of_their_files() -> None:
    rendered = text_of(MAIN, body="sleep --env-file /etc/coreos-kit/web/web.env")
    deployed = stamped(rendered.replace("web.env", f"web.{'0a' * 8}.env"))
    what = edited(deployed.replace("sleep", "sleep 2"), is_older_than_file=True)

    ghost = only(
        GhostKind.UNIT_EDITED, replace(what, desired=(replace(DESIRED[0], text=rendered), *DESIRED[1:]))
    )

    assert ghost.mend == RewriteUnit("core-1", UnitName.parse(MAIN), deployed)


def test_a_configuration_that_is_not_deployed_yet_is_no_edit() -> None:
    moved_on = tuple(replace(unit, text=unit.text.replace("sleep 1", "sleep 9")) for unit in DESIRED)

    assert find_ghosts(evidence(desired=moved_on)) == ()


def test_a_unit_without_a_digest_was_edited_or_is_not_of_this_kit() -> None:
    ghost = only(GhostKind.UNIT_EDITED, edited(text_of(MAIN), is_older_than_file=True))

    assert ghost.seen.startswith("it carries no digest")
    assert ghost.mend is None


def test_a_file_that_systemd_has_not_read_since_it_was_written() -> None:
    ghost = only(
        GhostKind.UNIT_EDITED, edited(stamped(text_of(MAIN)), needs_reload=True, is_older_than_file=True)
    )

    running = edited(stamped(text_of(MAIN)), needs_reload=True, is_older_than_file=False)

    assert ghost.seen == "systemd has not read its file since it was written"
    assert ghost.mend is not None
    assert only(GhostKind.UNIT_EDITED, running).remedy == "coreos-kit deploy"


def test_a_drop_in_is_named_with_the_command_that_removes_it_and_left() -> None:
    path = f"/etc/systemd/system/{MAIN}.d/own.conf"

    ghost = only(GhostKind.UNIT_EDITED, edited(stamped(text_of(MAIN)), drop_ins=(path,)))

    assert ghost.seen == f"also {path}"
    assert ghost.remedy == f"coreos-kit ssh core-1 -- sudo sh -c 'rm {path} && systemctl daemon-reload'"
    assert ghost.mend is None


def test_a_hostile_drop_in_never_gets_into_a_command() -> None:
    ghost = only(GhostKind.UNIT_EDITED, edited(stamped(text_of(MAIN)), drop_ins=("/etc/x' ; reboot '",)))

    assert ghost.remedy == "coreos-kit ssh core-1"
