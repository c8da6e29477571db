"""Which place keeps a unit that stands on several machines."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.model.cluster import Observation, ObservedUnit, Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.planning import PlanOptions, plan
from coreos_kit.planning.keeping import Keeping, is_any_twice
from coreos_kit.units.stamp import stamped
from tests.unit.test_planning import Site, main, pairs, text_of

UNIT = main(7777)
OLD, NEW = main(7777, "1").text, main(7777, "2").text
BROKEN = "no section\n"
NOBODY = Observation({})
NAMES = [f"core-{n}" for n in range(1, 6)]

texts = st.sampled_from([OLD, NEW, BROKEN, None])
places = st.dictionaries(st.sampled_from(NAMES), st.tuples(texts, st.booleans()), min_size=1)
records = st.lists(st.sampled_from([*NAMES, "core-9"]), unique=True, max_size=3)


def stands(machine: str, text: str | None = OLD, *, active: bool = True) -> ObservedUnit:
    state = "active" if active else "inactive"
    return ObservedUnit(UNIT.name, machine, text, "loaded", state, "", "", project="web", service="apache")


def kept(
    *where: ObservedUnit,
    wanted: DesiredUnit = UNIT,
    recorded: Collection[str] = (),
    observed: Observation = NOBODY,
) -> str:
    keeping = Keeping.among("web", [wanted], observed, {wanted.name: recorded})
    return keeping.place(wanted.name, {unit.machine: unit for unit in where})


def test_it_stays_where_the_last_deploy_put_it_whatever_stands_there() -> None:
    here, there = stands("core-1"), stands("core-4", BROKEN, active=False)

    assert kept(here, there, recorded=["core-4"]) == "core-4"


def test_without_a_record_it_stays_where_its_text_is_the_wanted_one() -> None:
    here, there = stands("core-1"), stands("core-4", NEW, active=False)

    assert kept(here, there, wanted=main(7777, "2")) == "core-4"
    assert kept(here, there, wanted=main(7777, "2"), recorded=["core-2"]) == "core-4"


def test_the_digests_that_deploy_puts_in_make_no_other_text() -> None:
    def text(image: str, secrets: str) -> str:
        return text_of("apache", body=f"1 {image} --env-file=/etc/coreos-kit/web/{secrets}")

    wanted = replace(UNIT, text=text("team/apache:2", "apache.env"), images=("team/apache:2",))
    other, deployed = (
        stamped(text(f"team/{image}@sha256:{'a' * 64}", f"apache.{'b' * 16}.env"))
        for image in ("old", "apache")
    )

    assert kept(stands("core-1", other), stands("core-4", deployed), wanted=wanted) == "core-4"


def test_of_two_alike_the_active_one_stays_and_of_two_active_ones_the_first() -> None:
    assert kept(stands("core-1", active=False), stands("core-4")) == "core-4"
    assert kept(stands("core-4"), stands("core-1")) == "core-1"


def test_under_a_scheduler_no_record_and_no_text_says_where_it_stays() -> None:
    here, there = stands("core-1"), stands("core-4", NEW)
    fleets = Observation({}, scheduler=Scheduler("1.0.0", "core-1"))

    assert kept(here, there, wanted=main(7777, "2"), recorded=["core-4"], observed=fleets) == "core-1"


@given(places, records)
def test_it_stays_on_one_of_those_where_it_stands_and_on_a_recorded_one_if_there_is_one(
    standing: Mapping[str, tuple[str | None, bool]], recorded: list[str]
) -> None:
    where = [stands(machine, text, active=active) for machine, (text, active) in standing.items()]

    machine = kept(*where, recorded=recorded)

    assert machine in standing
    if not standing.keys().isdisjoint(recorded):
        assert machine in recorded
    assert kept(*reversed(where), recorded=[*reversed(recorded)]) == machine


@given(st.sets(st.sampled_from(NAMES[:4])), st.dictionaries(st.sampled_from(pairs(7777)), records))
def test_whatever_is_recorded_once_a_plan_is_applied_nothing_is_left_to_do(
    doubled: set[str], recorded: Mapping[DesiredUnit, list[str]]
) -> None:
    site, desired = Site(4), pairs(7777)
    site.deploy(desired)
    for name in doubled:
        machine = site.fake.machines[name]
        machine.files |= {unit.name: unit.text for unit in desired}
        machine.started |= machine.files
        machine.active |= machine.files.keys()
    options = PlanOptions(recorded={unit.name: where for unit, where in recorded.items()})

    made = plan("web", site.cluster, desired, site.fake.observe([]), options)
    site.carry_out(made)

    (machine_of,) = {made.placements[unit.name] for unit in desired}
    assert set(machine_of) <= doubled | {"core-1"}
    assert plan("web", site.cluster, desired, site.fake.observe([]), options).is_empty


def test_only_what_belongs_on_one_machine_is_somewhere_twice() -> None:
    site = Site(2)
    everywhere = DesiredUnit(
        UnitName.parse("agent.service"), text_of("apache", fleet="Global=true"), "apache", UnitKind.MAIN
    )
    site.deploy([everywhere, main(7777)])

    assert not is_any_twice("web", [everywhere, main(7777)], site.fake.observe([]))

    for machine in site.fake.machines.values():
        machine.files[UNIT.name] = UNIT.text

    assert is_any_twice("web", [everywhere, main(7777)], site.fake.observe([]))
