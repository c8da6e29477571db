"""Planning under fleet: a machine that is down doesn't stop a deploy; what fleet can't be told is refused."""

from dataclasses import replace

import pytest

from coreos_kit.errors import Refused, Unplaceable, Unreachable
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit, Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, UnitKind
from coreos_kit.model.profile import COREOS
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.planning import PlanOptions, plan
from coreos_kit.units.fleet_versions import missing_from, parse_version
from coreos_kit.units.ownership import owner_of

NAMES = ("core-1", "core-2", "core-3")
CLUSTER = Cluster("lab", COREOS, DriverKind.FLEET, tuple(MachineEntry(name, name) for name in NAMES), (), ())


def text_of(fleet: str = "Conflicts=apache@*.service", project: str = "web") -> str:
    return (
        f"[Service]\nExecStart=/bin/sleep 1\n[X-Fleet]\n{fleet}\n"
        f"[X-CoreosKit]\nProject={project}\nService=apache\n"
    )


def desired(*instances: int, text: str = "") -> list[DesiredUnit]:
    return [
        DesiredUnit(UnitName.parse(f"apache@{instance}.service"), text or text_of(), "apache", UnitKind.MAIN)
        for instance in instances
    ]


def unit(name: str, machine: str, text: str = "") -> ObservedUnit:
    text = text or text_of()
    owner = owner_of(text)
    return ObservedUnit(
        UnitName.parse(name),
        machine,
        text,
        "loaded",
        "active",
        "running",
        f"/run/fleet/units/{name}",
        project=owner.project,
        service=owner.service,
    )


def seen(*units: ObservedUnit, silent: str = "", given_up: str = "", version: str = "1.0.0") -> Observation:
    error = {name: Unreachable(f"{name}: no answer") for name in (silent, given_up) if name}
    return Observation(
        machines={
            name: ObservedMachine(
                name,
                name[-1] * 32,
                "b",
                f"192.0.2.{name[-1]}",
                "",
                {},
                tuple(found for found in units if found.machine == name),
                environment="COREOS_PRIVATE_IPV4=192.0.2.1\n",
            )
            for name in NAMES
            if name != given_up
        },
        unreachable=error,
        scheduler=Scheduler(version, "core-1"),
        unplaced=tuple(found for found in units if not found.machine),
    )


def planned(wanted: list[DesiredUnit], observed: Observation, **options: set[str]) -> Plan:
    allowed = PlanOptions(**{name: frozenset(value) for name, value in options.items()})
    return plan("web", CLUSTER, wanted, observed, allowed)


def changes(made: Plan) -> list[str]:
    return [f"{change.verb} {change.name} {change.machine}".strip() for change in made.changes]


def test_a_machine_that_fleet_has_given_up_stops_nothing() -> None:
    made = planned(desired(1), seen(given_up="core-1"))

    assert changes(made) == ["create apache@1.service core-2"]
    assert made.notes == (
        "core-1 can't be reached, and fleet has given it up: its units have moved: core-1: no answer",
    )


def test_what_stands_on_a_silent_machine_is_left_as_it_is() -> None:
    standing = unit("apache@1.service", "core-3")

    made = planned(desired(1, text=text_of() + "New=1\n"), seen(standing, silent="core-3"))

    assert made.is_empty
    assert "fleet still counts on it: it is left as it is" in made.notes[0]


def test_nothing_new_is_planned_onto_a_silent_machine() -> None:
    standing = [unit(f"apache@{n}.service", f"core-{n}") for n in (1, 2)]

    with pytest.raises(Unplaceable) as refused:
        planned(desired(1, 2, 3), seen(*standing, silent="core-3"))

    assert "apache@3.service on core-3: it can't be reached" in refused.value.details


def test_emptying_a_machine_that_works_is_refused_with_the_way_to_do_it() -> None:
    with pytest.raises(Refused, match="fleet can't be told to keep units off core-2") as refused:
        planned(desired(1), seen(), evacuate={"core-2"})

    assert "coreos-kit ssh core-2 -- sudo systemctl stop fleet" in refused.value.hint


def test_evacuating_a_machine_that_is_gone_is_what_fleet_has_done() -> None:
    assert planned(desired(1), seen(given_up="core-1"), evacuate={"core-1"}).placements


def test_a_skipped_machine_that_works_may_still_get_new_units_and_that_is_said() -> None:
    made = planned(desired(1), seen(), skip={"core-1"})

    assert changes(made) == ["create apache@1.service core-2"]
    assert made.notes == ("core-1 is skipped and stays as it is, but fleet may put new units there",)


def test_a_pending_unit_that_is_no_longer_configured_goes() -> None:
    made = planned(desired(1), seen(unit("apache@1.service", "core-1"), unit("apache@2.service", "")))

    assert changes(made) == ["remove apache@2.service"]


def test_a_pending_unit_of_somebody_else_is_refused() -> None:
    other = unit("apache@1.service", "", text_of(project="other"))

    with pytest.raises(Refused) as refused:
        planned(desired(1), seen(other))

    assert refused.value.details == ("placed nowhere: apache@1.service belongs to the project other",)


def test_units_that_the_kit_did_not_make_count_for_conflicts() -> None:
    others = [
        replace(unit(f"apache@{n}.service", f"core-{n - 10}", "[Service]\nExecStart=x\n"), project="")
        for n in (11, 12, 13)
    ]

    with pytest.raises(Unplaceable):
        planned(desired(1), seen(*others))


@pytest.mark.parametrize(
    ("version", "fleet", "missing"),
    [
        ("1.0.0", "Conflicts=a b\nGlobal=yes", []),
        ("0.13.0", "Conflicts=a b", ["takes several globs in one Conflicts= for one that matches nothing"]),
        ("0.13.0", "Conflicts=a\nGlobal=true", ["refuses Conflicts= beside Global=true"]),
        ("0.11.8", "Replaces=a", ["does not know Replaces="]),
        ("0.12.0", "Global=yes", ["does not take Global=yes for true"]),
        ("0.9.2", "Conflicts=a", []),
    ],
)
def test_what_an_older_fleet_does_otherwise_is_known(version: str, fleet: str, missing: list[str]) -> None:
    assert list(missing_from(parse_version(version), text_of(fleet))) == missing


def test_an_install_section_is_ignored_before_1_0() -> None:
    text = "[Service]\nExecStart=x\n[Install]\nWantedBy=multi-user.target\n"

    assert list(missing_from(parse_version("0.13.0"), text)) == ["ignores [Install]"]


def test_what_a_version_misses_is_said_once_with_the_units() -> None:
    made = planned(desired(1, text=text_of("Conflicts=a b")), seen(version="0.11.8"))

    assert made.notes == (
        "fleet 0.11.8 takes several globs in one Conflicts= for one that matches nothing: apache@1.service",
    )


def test_a_fleetctl_that_does_not_say_its_version_is_taken_for_1_0_and_that_is_said() -> None:
    assert planned(desired(1), seen(version="")).notes == (
        "fleetctl does not say which version it is (nothing); 1.0 is assumed",
    )
