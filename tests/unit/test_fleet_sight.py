"""fleet's lists beside the machines' own snapshots: what is where, and how it is."""

from dataclasses import replace

from coreos_kit.adapters.fleet.explain import why_nowhere
from coreos_kit.adapters.fleet.lists import FleetMachine, RegistryEntry, UnitState
from coreos_kit.adapters.fleet.sight import Sight, names_of, observation_of, stranger_entry
from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import COREOS
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry

IDS = {f"core-{n}": str(n) * 32 for n in (1, 2, 3)}
APACHE, BALANCER = UnitName.parse("apache@7777.service"), UnitName.parse("nginx_lb.service")
TEXT = (
    "[Service]\nExecStart=/bin/sleep 1\n[X-Fleet]\nConflicts=apache@*.service\n"
    "[X-CoreosKit]\nProject=web\nService=apache\n"
)
CLUSTER = Cluster(
    "lab",
    COREOS,
    DriverKind.FLEET,
    tuple(MachineEntry(f"core-{n}", f"core@198.51.100.{n}", private_ip=f"192.0.2.{n}") for n in (1, 2, 3)),
    (),
    (),
)


def entry(name: UnitName, machine: str = "", desired: str = "launched", state: str = "") -> RegistryEntry:
    return RegistryEntry(
        name, "h", desired, state or (desired if machine else "inactive"), IDS.get(machine, "")
    )


def sight(*entries: RegistryEntry, states: dict[str, tuple[str, str]] | None = None) -> Sight:
    """Return lists of three machines in which every placed unit is active, if `states` says nothing else."""
    return Sight(
        "1.0.0",
        "core-1",
        tuple(FleetMachine(id_, f"192.0.2.{name[-1]}", {"n": name[-1]}) for name, id_ in IDS.items()),
        {found.name: found for found in entries},
        {
            found.name: (
                UnitState(
                    found.name,
                    found.machine_id,
                    "loaded",
                    *(states or {}).get(str(found.name), ("active", "running")),
                    "h",
                ),
            )
            for found in entries
            if found.machine_id
        },
        {"h": TEXT},
    )


def machine(name: str, *units: ObservedUnit) -> ObservedMachine:
    return ObservedMachine(name, IDS[name], "b", f"192.0.2.{name[-1]}", "", {}, units)


def observed(seen: Sight, *machines: ObservedMachine, down: tuple[str, ...] = ()) -> Observation:
    there = {found.name: found for found in machines or [machine(name) for name in IDS if name not in down]}
    names = names_of(CLUSTER, seen, there)
    return observation_of(seen, names, there, {name: Unreachable(f"{name} is silent") for name in down})


def test_a_unit_is_where_fleet_has_it_with_the_text_that_fleet_keeps() -> None:
    found = observed(sight(entry(APACHE, "core-2")))

    (unit,) = found.machines["core-2"].units
    assert (unit.name, unit.machine, unit.active_state, unit.project) == (APACHE, "core-2", "active", "web")
    assert unit.text == TEXT
    assert found.machines["core-2"].metadata == {"n": "2"}


def test_a_machine_that_was_asked_itself_knows_better_how_its_unit_is() -> None:
    live = ObservedUnit(
        APACHE, "core-2", None, "loaded", "failed", "failed", f"/run/fleet/units/{APACHE}", restarts=3
    )

    found = observed(sight(entry(APACHE, "core-2")), machine("core-2", live))

    (unit,) = found.machines["core-2"].units
    assert (unit.active_state, unit.restarts, unit.text) == ("failed", 3, TEXT)


def test_a_file_in_etc_of_that_name_is_somebody_elses() -> None:
    live = ObservedUnit(
        APACHE, "core-2", TEXT, "loaded", "active", "running", f"/etc/systemd/system/{APACHE}", project="web"
    )

    found = observed(sight(), machine("core-2", live))

    assert [(unit.project, unit.fragment_path) for unit in found.machines["core-2"].units] == [
        ("", f"/etc/systemd/system/{APACHE}")
    ]


def test_what_fleet_has_nowhere_is_pending_or_only_submitted() -> None:
    found = observed(sight(entry(APACHE), entry(BALANCER, desired="inactive")))

    assert [(unit.name, unit.machine, unit.active_state) for unit in found.unplaced] == [
        (APACHE, "", "pending"),
        (BALANCER, "", "inactive"),
    ]


def test_a_submitted_template_is_no_unit() -> None:
    assert observed(sight(entry(UnitName.parse("apache@.service"), desired="inactive"))).unplaced == ()


def test_a_silent_machine_that_fleet_counts_on_is_seen_through_fleet() -> None:
    found = observed(sight(entry(APACHE, "core-3")), down=("core-3",))

    assert found.silent == {"core-3"}
    assert [unit.name for unit in found.machines["core-3"].units] == [APACHE]
    assert found.machines["core-3"].engine_error == "core-3 is silent"


def test_a_silent_machine_that_fleet_has_given_up_holds_nothing() -> None:
    seen = sight()
    seen = replace(seen, machines=seen.machines[:2])

    found = observed(seen, down=("core-3",))

    assert found.silent == frozenset()
    assert set(found.machines) == {"core-1", "core-2"}
    assert set(found.unreachable) == {"core-3"}


def test_machines_are_known_by_id_then_by_address() -> None:
    seen = sight()
    stranger = FleetMachine("f" * 32, "192.0.2.9", {})
    seen = replace(seen, machines=(*seen.machines, stranger))

    names = names_of(CLUSTER, seen, {"core-1": machine("core-1")})

    assert names == {**{id_: name for name, id_ in IDS.items()}, "f" * 32: "192.0.2.9"}


def test_a_stranger_is_reached_through_the_gateway_as_its_user() -> None:
    entry_ = stranger_entry("192.0.2.9", "192.0.2.9", replace(CLUSTER.machines[0], identity_file="key"))

    assert (entry_.destination, entry_.through, entry_.identity_file) == ("core@192.0.2.9", "core-1", "key")


def test_a_pending_unit_has_each_machines_reason() -> None:
    taken = [entry(UnitName.parse(f"apache@{n}.service"), f"core-{n}") for n in (1, 2, 3)]
    seen = sight(*taken, entry(APACHE))

    why = why_nowhere(seen, APACHE, {id_: name for name, id_ in IDS.items()})

    assert why == tuple(
        f"{APACHE} on core-{n}: conflicts with apache@{n}.service (Conflicts=apache@*.service)"
        for n in (1, 2, 3)
    )


def test_a_pending_unit_that_could_be_placed_is_only_late() -> None:
    why = why_nowhere(sight(entry(APACHE)), APACHE, {id_: name for name, id_ in IDS.items()})

    assert why == ("core-1 could take it, but fleet has not decided yet",)
