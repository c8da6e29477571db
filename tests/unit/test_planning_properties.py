"""Whatever stands on the machines and whatever is wanted: once a plan is applied, nothing is left to do."""

from hypothesis import example, given
from hypothesis import strategies as st

from coreos_kit.errors import Unplaceable
from coreos_kit.model.plan import DesiredUnit, Verb
from tests.unit.test_planning import BALANCER, Site, main, pairs, sidekick

INSTANCES = st.lists(st.sampled_from([7777, 8888, 9999, 6666]), unique=True, max_size=4)
BODIES = st.sampled_from(["1", "2"])


@st.composite
def desires(draw: st.DrawFn) -> list[DesiredUnit]:
    """Draw some instances with their sidekicks, of one of two texts, and perhaps the balancer."""
    units: list[DesiredUnit] = []
    for instance in draw(INSTANCES):
        units += [main(instance, draw(BODIES)), sidekick(instance, draw(BODIES))]
    return [*units, BALANCER] if draw(st.booleans()) else units


Disturbances = list[tuple[str, int, int]]  # what, on which machine, to which unit
DISTURBANCES = st.lists(
    st.tuples(st.sampled_from(["stop", "edit", "lose", "double"]), st.integers(0, 4), st.integers(0, 7)),
    max_size=4,
)


def disturb(site: Site, disturbances: Disturbances) -> None:
    """Do behind the kit's back what people and disks do."""
    machines = list(site.fake.machines.values())
    for what, where, which in disturbances:
        machine = machines[where % len(machines)]
        names = sorted(machine.files, key=str)
        if not names:
            continue
        name = names[which % len(names)]
        if what == "stop":
            machine.active.discard(name)
        elif what == "edit":
            machine.files[name] += "ExecReload=/bin/true\n"
        elif what == "double":  # as on a machine that comes back after it was evacuated
            other = machines[(where + 1) % len(machines)]
            other.files[name] = other.started[name] = machine.files[name]
            other.active.add(name)
        else:
            del machine.files[name]
            machine.active.discard(name)


def stands(site: Site) -> set[tuple[str, str]]:
    return {
        (name, str(unit.name))
        for name, machine in site.fake.observe([]).machines.items()
        for unit in machine.units
    }


@given(st.integers(1, 5), st.lists(st.tuples(desires(), DISTURBANCES), min_size=1, max_size=3))
@example(2, [(pairs(7777), [("double", 0, 0), ("double", 0, 1)]), (pairs(7777, body="2"), [])])
def test_applying_a_plan_makes_the_next_one_empty(
    machines: int, history: list[tuple[list[DesiredUnit], Disturbances]]
) -> None:
    site = Site(machines)
    for desired, disturbances in history:
        try:
            site.deploy(desired, allow_remove={"apache", "nginx_lb"})
        except Unplaceable:
            continue  # then nothing was touched: the next one starts from what stood

        assert site.plan(desired, allow_remove={"apache", "nginx_lb"}).is_empty
        assert {unit for _, unit in stands(site)} == {str(unit.name) for unit in desired}
        assert all(
            machine.started[name] == machine.files[name]
            for machine in site.fake.machines.values()
            for name in machine.active
        )
        disturb(site, disturbances)


@given(st.integers(1, 5), desires(), DISTURBANCES, desires())
def test_planning_again_gives_the_same_plan_and_changes_nothing(
    machines: int,
    before: list[DesiredUnit],
    disturbances: Disturbances,
    after: list[DesiredUnit],
) -> None:
    site = Site(machines)
    allowed = {"apache", "nginx_lb"}
    try:
        site.deploy(before, allow_remove=allowed)
        disturb(site, disturbances)
        stood = stands(site)
        made = site.plan(after, allow_remove=allowed)
    except Unplaceable:
        return

    assert site.plan(list(reversed(after)), allow_remove=allowed).placements == made.placements
    assert site.plan(after, allow_remove=allowed) == made
    assert stands(site) == stood


@given(st.integers(1, 5), desires(), desires())
def test_no_unit_is_ever_on_two_machines_at_the_end_nor_removed_where_it_stays(
    machines: int, before: list[DesiredUnit], after: list[DesiredUnit]
) -> None:
    site = Site(machines)
    try:
        site.deploy(before, allow_remove={"apache", "nginx_lb"})
        made = site.deploy(after, allow_remove={"apache", "nginx_lb"})
    except Unplaceable:
        return

    places = [unit for _, unit in stands(site)]
    removed = {(change.machine, str(change.name)) for change in made.changes if change.verb is Verb.REMOVE}
    assert len(places) == len(set(places))
    assert not removed & stands(site)
