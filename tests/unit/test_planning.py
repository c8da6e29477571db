"""Planning: desired and observed in, steps out."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from coreos_kit.errors import Refused, Unplaceable, Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.model.services import Registration, Requirements, Service
from coreos_kit.planning import PlanOptions, change_of, plan
from coreos_kit.planning.refusals import refuse_foreign_units
from coreos_kit.testing.cluster import FakeCluster


def text_of(
    name: str, *, project: str = "web", service: str = "apache", body: str = "1", fleet: str = ""
) -> str:
    marks = f"[X-CoreosKit]\nProject={project}\nService={service}\n"
    return f"[Service]\nExecStart=/bin/sleep {body}\n[X-Fleet]\n{fleet}\n{marks}"


def main(instance: int, body: str = "1") -> DesiredUnit:
    text = text_of("apache", body=body, fleet="Conflicts=apache@*.service")
    return DesiredUnit(UnitName.parse(f"apache@{instance}.service"), text, "apache", UnitKind.MAIN)


def sidekick(instance: int, body: str = "1") -> DesiredUnit:
    text = text_of("apache-discovery", body=body, fleet="MachineOf=apache@%i.service")
    return DesiredUnit(
        UnitName.parse(f"apache-discovery@{instance}.service"), text, "apache", UnitKind.SIDEKICK
    )


def pairs(*instances: int, body: str = "1") -> list[DesiredUnit]:
    return [unit for instance in instances for unit in (main(instance, body), sidekick(instance, body))]


BALANCER = DesiredUnit(
    UnitName.parse("nginx_lb.service"),
    text_of("nginx_lb", service="nginx_lb", fleet="Conflicts=apache@*.service"),
    "nginx_lb",
    UnitKind.LOAD_BALANCER,
)


def cluster_of(machines: int) -> Cluster:
    return Cluster(
        name="lab",
        profile=PROFILES["debian"],
        driver=DriverKind.SYSTEMD,
        machines=tuple(MachineEntry(f"core-{n}", f"core@192.0.2.{n}") for n in range(1, machines + 1)),
        services=(
            Service(
                "apache",
                "apache",
                "run",
                80,
                ("7777", "8888"),
                Requirements(),
                registration=Registration("/services/apache"),
            ),
        ),
        load_balancers=(),
    )


class Site:
    """A fake cluster, with planning and applying in one word each."""

    def __init__(self, machines: int = 3) -> None:
        self.cluster = cluster_of(machines)
        self.fake = FakeCluster(self.cluster)

    def plan(self, desired: list[DesiredUnit], **options: set[str]) -> Plan:
        allowed = PlanOptions(**{name: frozenset(value) for name, value in options.items()})
        return plan("web", self.cluster, desired, self.fake.observe([]), allowed)

    def deploy(self, desired: list[DesiredUnit], **options: set[str]) -> Plan:
        made = self.plan(desired, **options)
        self.carry_out(made)
        return made

    def carry_out(self, made: Plan) -> None:
        for machine, text in made.environments.items():
            self.fake.machines[machine].environment = text
        for wave in made.waves:
            for step in wave:
                self.fake.apply(change_of(step))
        self.fake.log.clear()


def changes(made: Plan) -> list[str]:
    return [f"{change.verb} {change.name} {change.machine}" for change in made.changes]


def test_a_fresh_cluster_gets_everything_in_one_wave() -> None:
    made = Site().plan([*pairs(7777, 8888), BALANCER])

    assert len(made.waves) == 1
    assert changes(made) == [
        "create apache@7777.service core-1",
        "create apache-discovery@7777.service core-1",
        "create apache@8888.service core-2",
        "create apache-discovery@8888.service core-2",
        "create nginx_lb.service core-3",
    ]


def test_applying_a_plan_makes_the_next_one_empty() -> None:
    site = Site()
    site.deploy([*pairs(7777, 8888), BALANCER])

    assert site.plan([*pairs(7777, 8888), BALANCER]).is_empty


def test_a_changed_comment_is_no_change() -> None:
    site = Site()
    site.deploy(pairs(7777))

    assert site.plan([replace(unit, text=f"# why\n{unit.text}") for unit in pairs(7777)]).is_empty


def test_a_changed_main_unit_takes_its_sidekick_along() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))

    made = site.plan([main(7777, "2"), sidekick(7777), *pairs(8888)])

    assert changes(made) == ["replace apache@7777.service core-1"]
    (step,) = made.waves[0]
    assert [str(name) for name in step.restarts] == ["apache-discovery@7777.service"]
    assert change_of(step).stop == change_of(step).start


def test_changed_instances_come_one_wave_after_the_other() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))

    made = site.plan(pairs(7777, 8888, body="2"))

    assert [[step.machine for step in wave] for wave in made.waves] == [["core-1"], ["core-2"]]


def test_a_failed_unit_is_restarted_alone() -> None:
    site = Site()
    site.deploy(pairs(7777, 8888))
    site.fake.machines["core-1"].active.discard(sidekick(7777).name)

    made = site.plan(pairs(7777, 8888))

    assert changes(made) == ["restart apache-discovery@7777.service core-1"]
    assert change_of(made.waves[0][0]).stop == ()


def test_instances_no_longer_configured_are_removed_newest_first() -> None:
    site = Site(4)
    site.deploy(pairs(2, 10, 100))

    made = site.plan(pairs(2))

    assert sorted(changes(made)) == [
        "remove apache-discovery@10.service core-2",
        "remove apache-discovery@100.service core-3",
        "remove apache@10.service core-2",
        "remove apache@100.service core-3",
    ]


def test_placement_that_holds_is_kept_when_a_machine_is_added() -> None:
    site = Site(2)
    site.deploy(pairs(7777, 8888))
    grown = Site(4)
    for name, machine in site.fake.machines.items():
        grown.fake.machines[name] = machine

    made = grown.plan(pairs(7777, 8888, 9999))

    assert changes(made) == [
        "create apache@9999.service core-3",
        "create apache-discovery@9999.service core-3",
    ]


def test_what_no_machine_can_take_is_refused_with_each_machines_reason() -> None:
    with pytest.raises(Unplaceable) as refusal:
        Site(2).plan(pairs(1, 2, 3))

    assert refusal.value.exit_code == 3
    assert [line for line in refusal.value.details if line.startswith("apache@3.service")] == [
        "apache@3.service on core-1: conflicts with apache@1.service (Conflicts=apache@*.service)",
        "apache@3.service on core-2: conflicts with apache@2.service (Conflicts=apache@*.service)",
    ]


def test_a_machine_that_is_down_stops_everything() -> None:
    site = Site()
    site.fake.machines["core-2"].is_down = True

    with pytest.raises(Unreachable) as refusal:
        site.plan(pairs(7777))

    assert refusal.value.exit_code == 4
    assert "--skip core-2" in refusal.value.hint
    assert "--evacuate core-2" in refusal.value.hint


def test_what_may_stand_on_a_skipped_machine_is_not_started_elsewhere() -> None:
    site = Site(4)
    site.deploy(pairs(7777, 8888))
    site.fake.machines["core-1"].is_down = True

    made = site.plan(pairs(7777, 8888), skip={"core-1"})

    assert made.is_empty
    assert any("apache@7777.service is seen nowhere" in note for note in made.notes)


def test_an_evacuated_machines_units_go_elsewhere() -> None:
    site = Site(4)
    site.deploy(pairs(7777, 8888))
    site.fake.machines["core-1"].is_down = True

    made = site.plan(pairs(7777, 8888), evacuate={"core-1"})

    assert changes(made) == [
        "create apache@7777.service core-3",
        "create apache-discovery@7777.service core-3",
    ]


def test_leftovers_of_an_evacuated_machine_go_when_it_is_back() -> None:
    site = Site(4)
    site.deploy(pairs(7777, 8888))
    site.fake.machines["core-1"].is_down = True
    site.deploy(pairs(7777, 8888), evacuate={"core-1"})
    site.fake.machines["core-1"].is_down = False
    site.fake.machines["core-1"].active.clear()

    made = site.plan(pairs(7777, 8888))

    assert changes(made) == [
        "remove apache-discovery@7777.service core-1",
        "remove apache@7777.service core-1",
    ]


def test_a_live_machine_is_evacuated_one_instance_after_the_other() -> None:
    site = Site(4)
    site.deploy(pairs(7777, 8888))

    made = site.plan(pairs(7777, 8888), evacuate={"core-1"})

    assert changes(made) == [
        "remove apache-discovery@7777.service core-1",
        "remove apache@7777.service core-1",
        "move apache@7777.service core-3",
        "move apache-discovery@7777.service core-3",
    ]


def twice(site: Site, desired: list[DesiredUnit]) -> None:
    """Let core-1 come back after it was evacuated, with all that it ran: 7777 runs there, and on core-3."""
    site.deploy(desired)
    site.fake.machines["core-1"].is_down = True
    site.deploy(desired, evacuate={"core-1"})
    site.fake.machines["core-1"].is_down = False


def test_what_runs_twice_and_changes_is_replaced_where_it_stays() -> None:
    site = Site(4)
    twice(site, pairs(7777, 8888))

    made = site.plan([main(7777, "2"), sidekick(7777), *pairs(8888)])

    assert changes(made) == [
        "remove apache-discovery@7777.service core-3",
        "remove apache@7777.service core-3",
        "replace apache@7777.service core-1",
    ]
    reasons = [change.reason for change in made.changes]
    assert reasons == ["runs on core-1", "runs on core-1", "its text changed"]
    assert set(change_of(made.waves[-1][0]).stop) == {main(7777).name, sidekick(7777).name}


def test_what_is_everywhere_leaves_a_machine_once_and_is_replaced_where_it_stays() -> None:
    site = Site()
    unit = replace(main(7777), text=text_of("apache", fleet="Global=true"))
    site.deploy([unit])
    for name in ("core-1", "core-2"):
        site.fake.machines[name].metadata = {"disk": "ssd"}

    made = site.plan([replace(unit, text=text_of("apache", fleet="Global=true\nMachineMetadata=disk=ssd"))])

    assert changes(made) == [
        "remove apache@7777.service core-3",
        "replace apache@7777.service core-1",
        "replace apache@7777.service core-2",
    ]


@pytest.mark.parametrize(
    ("owner", "said"),
    [({"project": "other"}, "belongs to the project other"), ({"project": ""}, "without [X-CoreosKit]")],
)
def test_a_unit_of_that_name_that_is_not_ours_is_never_overwritten(owner: dict[str, str], said: str) -> None:
    site = Site()
    site.fake.machines["core-2"].files[main(7777).name] = text_of("apache", **owner)

    with pytest.raises(Refused) as refusal:
        site.plan(pairs(7777))

    assert said in refusal.value.details[0]


def test_where_all_of_them_are_another_projects_the_hint_asks_whether_this_one_was_renamed() -> None:
    site = Site()
    for name in ("apache@7777.service", "apache-discovery@7777.service"):
        site.fake.machines["core-2"].files[UnitName.parse(name)] = text_of("apache", project="other")

    with pytest.raises(Refused) as refusal:
        site.plan(pairs(7777))

    assert refusal.value.hint is not None
    assert refusal.value.hint.startswith(
        "If this project was called other before, set project.name back to that. Rename the service"
    )


def test_a_unit_whose_file_is_gone_is_not_called_somebody_elses() -> None:
    site = Site()
    site.deploy(pairs(7777))
    observed = site.fake.observe([])
    (there,) = observed.units(main(7777).name)
    lost = replace(there, text=None, project="", load_state="loaded")
    machine = observed.machines[there.machine]
    seen = replace(
        observed,
        machines={
            **observed.machines,
            machine.name: replace(
                machine, units=tuple(lost if unit == there else unit for unit in machine.units)
            ),
        },
    )

    with pytest.raises(Refused) as refusal:
        refuse_foreign_units("web", pairs(7777), seen)

    assert "is loaded from /etc/systemd/system/apache@7777.service, which is gone" in refusal.value.details[0]
    assert refusal.value.hint == (
        f"coreos-kit ssh {there.machine} -- sudo systemctl daemon-reload, then deploy again: it writes it"
    )


def test_other_projects_units_count_as_load() -> None:
    site = Site()
    for n in range(3):
        name = UnitName.parse(f"other@{n}.service")
        site.fake.machines["core-1"].files[name] = text_of("other", project="elsewhere", service="other")

    assert changes(site.plan([BALANCER])) == ["create nginx_lb.service core-2"]


def test_a_whole_service_vanishes_only_when_allowed() -> None:
    site = Site()
    site.deploy([*pairs(7777), BALANCER])

    with pytest.raises(Refused) as refusal:
        site.plan(pairs(7777))
    made = site.plan(pairs(7777), allow_remove={"nginx_lb"})

    assert "--allow-remove nginx_lb" in refusal.value.hint
    assert changes(made) == ["remove nginx_lb.service core-2"]


def test_a_machine_without_a_private_address_gets_no_backend() -> None:
    site = Site()
    site.fake.machines["core-1"].private_ip = ""

    with pytest.raises(Refused) as refusal:
        site.plan(pairs(7777))

    assert "the private address of core-1 is not known" in str(refusal.value)


def test_two_machines_with_one_machine_id_are_refused() -> None:
    site = Site()
    site.fake.machines["core-2"].machine_id = site.fake.machines["core-1"].machine_id

    with pytest.raises(Refused, match="one machine-id"):
        site.plan(pairs(7777))


def test_the_environment_file_is_written_where_it_differs() -> None:
    site = Site()
    site.deploy(pairs(7777))
    site.fake.machines["core-1"].environment = "COREOS_PRIVATE_IPV4=192.0.2.99\n"

    made = site.plan(pairs(7777))

    assert made.environments == {"core-1": "COREOS_PRIVATE_IPV4=192.0.2.1\nCOREOS_PUBLIC_IPV4=198.51.100.1\n"}


def test_planning_is_deterministic() -> None:
    site = Site(4)
    observed = site.fake.observe([])
    turned = Observation(dict(reversed(list(observed.machines.items()))), observed.unreachable)
    make: Callable[[Observation], Plan] = lambda seen: plan("web", site.cluster, pairs(7777, 8888), seen)  # noqa: E731

    assert make(observed) == make(turned)
