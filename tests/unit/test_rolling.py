"""What runs is out of the pool before it stops, and back before the next one; what fails goes back."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from coreos_kit.errors import DeployFailed, KitError, Refused, RolledBack, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.model.project import EtcdSettings
from coreos_kit.model.services import Rollout
from coreos_kit.model.stage import Stage
from coreos_kit.ops.deploy import DeployOptions, check, deploy
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ports import Change, Glance, Probe, ProbeOrder
from tests.unit.test_deploy import LEAVE_IT, Site, deployed, failing_on, site

__all__ = ["deployed", "site"]

FIRST, SECOND = "192.0.2.1:7777", "192.0.2.2:8888"
NEW = "[Service]\nEnvironment=NEW=1"


class Stages(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, unit: UnitName, machine: str, stage: Stage) -> None:
        self.said.append(f"{unit.stem} {stage}")


def configure(site: Site, *instances: str, **rollout: object) -> None:
    """Give the service other instances, or another rollout."""
    (service,) = site.session.cluster.services
    service = replace(service, rollout=Rollout(**rollout))  # type: ignore[arg-type]
    if instances:
        service = replace(service, instances=instances)
    cluster = replace(site.session.cluster, services=(service,))
    site.session = replace(site.session, cluster=cluster)
    site.fake.cluster = cluster


def change_apaches(site: Site) -> None:
    """Change the text of the instances and of their sidekicks, and leave the balancer alone."""
    sources = {
        name: text if "balancer" in name else text.replace("[Service]", NEW)
        for name, text in site.session.sources.items()
    }
    site.session = replace(site.session, sources=sources)


def pools_that_were_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Write down the balancer's pool at every change of a machine."""
    seen: list[list[str]] = []
    look = site.fake.before_apply

    def before(change: Change) -> None:
        seen.append(sorted(entry.value for entry in site.fake.entries("/services/apache")))
        look(change)

    site.fake.before_apply = before
    return seen


def test_an_instance_is_out_of_the_pool_before_it_is_stopped(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = pools_that_were_seen(deployed, monkeypatch)
    change_apaches(deployed)

    deployed.deploy()

    assert seen == [[SECOND], [FIRST]]
    assert [line for line in deployed.fake.log if "hold" in line or "stop" in line] == [
        "core-1: hold out apache-discovery@7777.service",
        "core-1: stop apache@7777.service apache-discovery@7777.service",
        "core-2: hold out apache-discovery@8888.service",
        "core-2: stop apache@8888.service apache-discovery@8888.service",
    ]


def test_every_instance_goes_through_its_stages_in_order(deployed: Site) -> None:
    stages = Stages()
    change_apaches(deployed)

    deploy(deployed.session, deployed.prepare(), DeployOptions(), [stages])

    assert stages.said == [
        f"apache@{instance} {stage}"
        for instance in (7777, 8888)
        for stage in (
            "held out",
            "out of the pool",
            "draining and replacing",
            "replaced",
            "active",
            "registered",
            "in the pool",
        )
    ]


def test_what_is_new_goes_through_the_stages_together(site: Site) -> None:
    stages = Stages()

    deploy(site.session, site.prepare(), DeployOptions(), [stages])

    assert stages.said == [
        *(f"{unit} starting" for unit in ("apache@7777", "apache@8888", "nginx_lb")),
        *(f"{unit} started" for unit in ("apache@7777", "apache@8888", "nginx_lb")),
        *(f"{unit} active" for unit in ("apache@7777", "apache@8888", "nginx_lb")),
        *(
            f"apache@{instance} {stage}"
            for stage in ("registered", "in the pool")
            for instance in (7777, 8888)
        ),
        "nginx_lb serving",
    ]


def test_a_change_costs_three_round_trips_besides_the_waiting_for_pools(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[str] = []
    for verb in ("hold_out", "apply", "wait_until_up", "observe"):
        asked: Callable[..., object] = getattr(type(deployed.fake), verb)

        def count(
            self: object,
            *args: object,
            verb: str = verb,
            asked: Callable[..., object] = asked,
            **more: object,
        ) -> object:
            trips.append(verb)
            return asked(self, *args, **more)

        monkeypatch.setattr(type(deployed.fake), verb, count)
    change_apaches(deployed)
    prepared = deployed.prepare()
    trips.clear()

    deploy(deployed.session, prepared)

    assert trips == ["hold_out", "apply", "wait_until_up"] * 2


def test_a_pool_that_goes_on_listing_a_server_stops_the_deploy_and_lets_it_in_again(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(deployed.fake), "probe", lambda self, order: Probe({}, frozenset({FIRST, SECOND}))
    )
    change_apaches(deployed)

    with pytest.raises(RolledBack, match=r"nginx_lb\.service on core-3 still lists 192\.0\.2\.1:7777"):
        deployed.deploy()

    assert 30 <= deployed.session.clock.now() < 40  # a TTL, and what a watcher needs
    assert deployed.fake.log[-1] == "core-1: let in apache-discovery@7777.service"
    assert not any("stop" in line for line in deployed.fake.log)


def test_a_pool_that_keeps_the_last_server_holds_up_no_deploy_that_may_take_the_service_down(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the watcher does where the other one has died just before: to it that is a stampede."""
    deployed.fake.machines["core-2"].is_down = True
    monkeypatch.setattr(type(deployed.fake), "probe", lambda self, order: Probe({}, frozenset({FIRST})))
    change_apaches(deployed)

    result = deployed.deploy_with(DeployOptions(allow_downtime=True), skip={"core-2"})

    assert [step.machine for step in result.steps] == ["core-1"]
    assert any("it stops all the same" in line for line in deployed.said)


def test_a_balancer_that_follows_another_etcd_until_it_changes_is_not_waited_for(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = replace(deployed.session.cluster, etcd=EtcdSettings(endpoints=("http://192.0.2.9:2379",)))
    deployed.session = replace(deployed.session, cluster=cluster)
    stale = frozenset({FIRST, SECOND})  # as the old etcd has it, whatever happens in the new one
    monkeypatch.setattr(type(deployed.fake), "probe", lambda self, order: Probe({}, stale))

    result = deployed.deploy()

    assert result.steps[-1].units == (UnitName.parse("nginx_lb.service"),)
    (note,) = [note for note in result.prepared.plan.notes if "another etcd" in note]
    assert note.startswith("nginx_lb.service follows another etcd, API or prefix until it changes")


def test_a_balancer_that_can_not_be_asked_is_said_and_waited_for_once(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: object, order: ProbeOrder) -> Probe:
        if order.requests:
            return Probe({}, frozenset())
        raise Unreachable("core-3 does not answer", machine="core-3")

    monkeypatch.setattr(type(deployed.fake), "probe", silent)
    change_apaches(deployed)

    deployed.deploy()

    (said,) = [line for line in deployed.said if "can't be asked for its pool" in line]
    assert said.endswith("so nobody waits for it: core-3 does not answer")
    assert deployed.session.clock.now() < 120


def test_the_last_one_that_is_well_is_not_taken_out(deployed: Site) -> None:
    change_apaches(deployed)
    prepared = deployed.prepare()
    deployed.fake.machines["core-2"].active.clear()

    with pytest.raises(RolledBack, match=r"lists nothing that is well besides 192\.0\.2\.1:7777"):
        deploy(deployed.session, prepared)

    assert not any("stop" in line or "hold" in line for line in deployed.fake.log)


def test_a_server_that_no_unit_stands_behind_is_none_to_fall_back_on(deployed: Site) -> None:
    deployed.fake.planted = [EtcdEntry("/services/apache/192.0.2.99", "192.0.2.99:7777", 30, 30)]
    change_apaches(deployed)
    prepared = deployed.prepare()
    deployed.fake.machines["core-2"].active.clear()

    with pytest.raises(RolledBack, match=r"lists nothing that is well besides 192\.0\.2\.1:7777"):
        deploy(deployed.session, prepared)


def test_what_has_just_come_is_one_to_fall_back_on_as_long_as_it_is_well(site: Site) -> None:
    class Dies(Listener):
        def after_step(self, step: Step) -> None:
            site.fake.machines[step.machine].active.clear()
            site.fake.planted = [EtcdEntry("/services/apache/192.0.2.3", "192.0.2.3:8888", 30, 30)]

    configure(site, "7777")
    site.deploy()
    configure(site, "7777", "8888")
    change_apaches(site)
    prepared = site.prepare()

    with pytest.raises(DeployFailed, match=r"lists nothing that is well besides 192\.0\.2\.1:7777"):
        deploy(site.session, prepared, listeners=[Dies()])
    site.fake.planted = []
    site.deploy()

    assert site.prepare().plan.is_empty


def test_an_instance_whose_sidekick_is_started_first_serves_while_the_next_one_changes(
    deployed: Site,
) -> None:
    first, second = deployed.fake.machines["core-1"], deployed.fake.machines["core-2"]
    first.active.discard(UnitName.parse("apache-discovery@7777.service"))
    name = UnitName.parse("apache@8888.service")
    second.files[name] = second.files[name].replace("[Service]", NEW)

    deployed.deploy()

    assert deployed.prepare().plan.is_empty


def test_the_last_one_that_is_registered_is_not_taken_out_where_no_balancer_can_be_asked(
    deployed: Site,
) -> None:
    class Outage(Listener):
        def before_step(self, step: Step) -> None:
            for machine in ("core-2", "core-3"):
                deployed.fake.machines[machine].is_down = True

    change_apaches(deployed)

    with pytest.raises(RolledBack, match=r"nothing is registered besides 192\.0\.2\.1:7777"):
        deploy(deployed.session, deployed.prepare(), listeners=[Outage()])

    assert not any("stop" in line or "hold" in line for line in deployed.fake.log)


def test_a_unit_that_somebody_has_changed_since_the_plan_is_left_alone(deployed: Site) -> None:
    change_apaches(deployed)
    prepared = deployed.prepare()
    name = UnitName.parse("apache@7777.service")
    deployed.fake.machines["core-1"].files[name] += "# by hand\n"

    with pytest.raises(RolledBack) as caught:
        deploy(deployed.session, prepared)

    assert "core-1: apache@7777.service is not as it was when the plan was made" in str(caught.value)
    assert "plans from what stands" in caught.value.hint
    assert not any("stop" in line for line in deployed.fake.log)
    assert not deployed.fake.machines["core-1"].held_out


def test_a_machine_that_was_booted_again_goes_on_where_its_units_are_as_planned(deployed: Site) -> None:
    change_apaches(deployed)
    prepared = deployed.prepare()
    deployed.fake.machines["core-1"].boot_id = "another"

    deploy(deployed.session, prepared)

    assert "core-1 has been booted again since the plan was made; its units are as planned" in deployed.said
    assert deployed.prepare().plan.is_empty


def test_a_service_with_one_instance_is_refused_before_anything_is_touched(deployed: Site) -> None:
    configure(deployed, "7777")
    deployed.deploy()
    deployed.fake.log.clear()
    change_apaches(deployed)

    with pytest.raises(Refused) as caught:
        deployed.deploy()

    assert str(caught.value) == "this takes apache down, so nothing was touched"
    (detail,) = caught.value.details
    assert detail == (
        "apache will be down while apache@7777.service on core-1 changes: nothing else of it serves,"
        " for up to 12 s and as long as it takes to start"
    )
    assert "--allow-downtime" in caught.value.hint
    assert "[services.apache.rollout]" in caught.value.hint
    assert not any("stop" in line or "hold" in line for line in deployed.fake.log)


@pytest.mark.parametrize("way", ["flag", "configuration"])
def test_downtime_that_is_allowed_is_said_and_taken(deployed: Site, way: str) -> None:
    configure(deployed, "7777", allow_downtime=way == "configuration")
    deployed.deploy()
    change_apaches(deployed)

    assert any("apache will be down" in note for note in deployed.prepare().plan.notes)
    deployed.deploy_with(DeployOptions(allow_downtime=way == "flag"))

    assert deployed.prepare().plan.is_empty


def test_as_many_as_there_are_at_once_is_downtime_as_well(deployed: Site) -> None:
    configure(deployed, max_unavailable=2)
    change_apaches(deployed)

    with pytest.raises(Refused, match="this takes apache down"):
        deployed.deploy()


def test_several_at_once_leave_one_after_the_other_and_come_back_together(site: Site) -> None:
    configure(site, max_unavailable=2, allow_downtime=True)
    site.deploy()
    site.fake.log.clear()
    change_apaches(site)

    site.deploy()

    assert [line.partition(" apache")[0] for line in site.fake.log] == [
        "core-1: pull user_name/apache".partition(" apache")[0],
        "core-2: pull user_name/apache".partition(" apache")[0],
        "core-1: hold out", "core-1: stop", "core-2: hold out", "core-2: stop",
        "core-1: stop", "core-1: write", "core-1: start", "core-2: stop", "core-2: write", "core-2: start",
    ]  # fmt: skip


def test_a_pause_lies_between_two_instances_and_not_after_the_last(deployed: Site) -> None:
    configure(deployed, pause_s=30)
    change_apaches(deployed)

    deployed.deploy()

    assert deployed.session.clock.now() == 30


def test_what_does_not_serve_comes_first(deployed: Site) -> None:
    deployed.fake.machines["core-2"].active.clear()
    change_apaches(deployed)

    deployed.deploy()

    assert [line.partition(":")[0] for line in deployed.fake.log if "write" in line] == ["core-2", "core-1"]


def test_instances_that_go_leave_the_pool_one_after_the_other_the_last_first(site: Site) -> None:
    site.session = replace(site.session, cluster=replace(site.session.cluster, load_balancers=()))
    configure(site, "7777", "8888", "9999")
    site.deploy()
    site.fake.log.clear()
    configure(site, "7777")

    site.deploy()

    assert [line for line in site.fake.log if "hold" in line or "remove" in line] == [
        "core-3: hold out apache-discovery@9999.service",
        "core-3: remove apache-discovery@9999.service apache@9999.service",
        "core-2: hold out apache-discovery@8888.service",
        "core-2: remove apache-discovery@8888.service apache@8888.service",
    ]


def test_what_failed_and_what_was_changed_before_it_goes_back_the_failed_one_first(deployed: Site) -> None:
    before = {name: dict(machine.files) for name, machine in deployed.fake.machines.items()}
    deployed.fake.broken_text = "NEW=1"
    change_apaches(deployed)
    first = failing_after(deployed, "core-2")
    deployed.fake.before_apply = first

    with pytest.raises(RolledBack) as caught:
        deployed.deploy()

    assert caught.value.exit_code == 5
    assert {name: machine.files for name, machine in deployed.fake.machines.items()} == before
    written = [line.partition(":")[0] for line in deployed.fake.log if "write" in line]
    assert written == ["core-1", "core-2", "core-2", "core-1"]
    assert {line.partition(":")[0] for line in caught.value.details} == {"put back"}
    assert deployed.fake.entries("/services/apache")[0].value == FIRST


def failing_after(site: Site, machine: str) -> Callable[[Change], None]:
    """Let every new text come up until it is the machine's turn."""
    broken, site.fake.broken_text = site.fake.broken_text, ""

    def before(change: Change) -> None:
        if change.machine == machine and change.write:
            site.fake.broken_text = broken

    return before


def test_the_one_that_serves_is_never_touched_while_the_other_fails(deployed: Site) -> None:
    deployed.fake.broken_text = "NEW=1"
    change_apaches(deployed)

    with pytest.raises(RolledBack):
        deployed.deploy()

    assert not any(line.startswith("core-2: ") and "pull" not in line for line in deployed.fake.log)


def test_where_going_back_fails_too_the_table_says_what_stands_where(deployed: Site) -> None:
    change_apaches(deployed)
    name = UnitName.parse("apache@7777.service")
    deployed.fake.broken = {name}

    with pytest.raises(DeployFailed) as caught:
        deployed.deploy()

    assert caught.value.exit_code == 6
    assert "going back stopped as well" in str(caught.value)
    assert caught.value.details == (
        "as before, inactive: replace apache@7777.service on core-1",
        "as before, active: replace apache-discovery@7777.service on core-1",
        "not begun: replace apache@8888.service on core-2",
        "not begun: replace apache-discovery@8888.service on core-2",
    )


def test_without_rollback_it_stops_where_it_stands(deployed: Site) -> None:
    change_apaches(deployed)
    deployed.fake.broken_text = "NEW=1"

    with pytest.raises(DeployFailed) as caught:
        deployed.deploy_with(LEAVE_IT)

    assert caught.value.exit_code == 6
    assert caught.value.details[0] == "as planned, inactive: replace apache@7777.service on core-1"


def test_whoever_stops_a_deploy_can_stop_its_going_back_too(deployed: Site) -> None:
    class Lost(Listener):
        asked = 0

        def before_step(self, step: object) -> None:
            self.asked += 1
            if self.asked > 1:
                raise KitError("the lock is lost")

    change_apaches(deployed)

    with pytest.raises(DeployFailed) as caught:
        deploy(deployed.session, deployed.prepare(), DeployOptions(), [Lost()])

    assert caught.value.exit_code == 6
    assert str(caught.value) == "the deploy stopped: the lock is lost; going back stopped as well"


def test_ctrl_c_while_going_back_says_what_stands(deployed: Site) -> None:
    class Impatient(Listener):
        def going_back(self, error: KitError) -> None:
            deployed.fake.before_apply = failing_on("core-1", KeyboardInterrupt())

    change_apaches(deployed)
    deployed.fake.broken_text = "NEW=1"

    with pytest.raises(DeployFailed, match="going back stopped as well: it was interrupted") as caught:
        deploy(deployed.session, deployed.prepare(), DeployOptions(), [Impatient()])

    assert caught.value.exit_code == 6


def test_a_change_that_was_refused_by_its_machine_leaves_it_serving(deployed: Site) -> None:
    change_apaches(deployed)
    deployed.fake.before_apply = failing_on("core-1", KitError("no space left on device"))

    with pytest.raises(RolledBack):
        deployed.deploy()

    assert sorted(entry.value for entry in deployed.fake.entries("/services/apache")) == [FIRST, SECOND]
    assert sum("stop" in line for line in deployed.fake.log) == 0


def test_what_could_not_be_let_in_at_once_is_let_in_when_everything_else_is_back(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after the signal has been sent, and is back a moment later."""
    change_apaches(deployed)
    prepared = deployed.prepare()
    hold_out, let_in, calls = type(deployed.fake).hold_out, type(deployed.fake).let_in, []

    def lost_after(self: object, *args: object) -> Glance:
        hold_out(self, *args)  # type: ignore[arg-type]
        raise Unreachable("core-1 was lost", machine="core-1")

    def lost_at_first(self: object, machine: str, sidekicks: Sequence[UnitName]) -> None:
        calls.append(machine)
        if len(calls) == 1:
            raise Unreachable("core-1 was lost", machine="core-1")
        let_in(self, machine, sidekicks)  # type: ignore[arg-type]

    monkeypatch.setattr(type(deployed.fake), "hold_out", lost_after)
    monkeypatch.setattr(type(deployed.fake), "let_in", lost_at_first)

    with pytest.raises(RolledBack, match="core-1 was lost"):
        deploy(deployed.session, prepared)

    assert sorted(entry.value for entry in deployed.fake.entries("/services/apache")) == [FIRST, SECOND]


def test_what_could_not_be_let_in_is_said_where_nothing_goes_back(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: object, *args: object) -> Glance:
        raise Unreachable("core-1 was lost", machine="core-1")

    change_apaches(deployed)
    prepared = deployed.prepare()
    monkeypatch.setattr(type(deployed.fake), "hold_out", lost)
    monkeypatch.setattr(type(deployed.fake), "let_in", lost)

    with pytest.raises(DeployFailed):
        deploy(deployed.session, prepared, LEAVE_IT)

    assert deployed.said[-1] == (
        "core-1: apache-discovery@7777.service may be held out of the pool until the next deploy:"
        " core-1 was lost"
    )


def test_a_balancer_that_was_left_as_it_is_is_asked_while_the_instances_go_back(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_apaches(deployed)
    name = UnitName.parse("nginx_lb.service")
    files = deployed.fake.machines["core-3"].files
    files[name] = files[name].replace("[Service]", NEW)  # so that it changes, after them
    deployed.fake.before_apply = failing_on("core-3", KitError("no space left on device"))
    probe = type(deployed.fake).probe

    def noted(self: object, order: ProbeOrder) -> Probe:
        deployed.fake.log.append(f"{order.machine}: probe")
        return probe(self, order)  # type: ignore[arg-type]

    monkeypatch.setattr(type(deployed.fake), "probe", noted)

    with pytest.raises(RolledBack):
        deployed.deploy()

    log = [line for line in deployed.fake.log if "hold out" in line or "stop" in line or "probe" in line]
    back = log[log.index("core-2: hold out apache-discovery@8888.service") + 1 :]
    again = back[back.index("core-2: hold out apache-discovery@8888.service") :]
    assert again.index("core-3: probe") < again.index(
        "core-2: stop apache@8888.service apache-discovery@8888.service"
    )


def test_a_move_that_fails_is_undone_on_both_machines(site: Site) -> None:
    configure(site, "7777", allow_downtime=True)
    site.deploy()
    unit = UnitName.parse("apache@7777.service")
    (goes_to,) = site.prepare(evacuate={"core-1"}).plan.placements[unit]
    site.fake.before_apply = failing_on(goes_to, KitError("no space left on device"))

    with pytest.raises(RolledBack) as caught:
        site.deploy(evacuate={"core-1"})

    assert site.fake.where(unit) == ["core-1"]
    assert [entry.value for entry in site.fake.entries("/services/apache")] == [FIRST]
    assert {line.partition(":")[0] for line in caught.value.details} == {"put back"}


def test_what_did_not_run_before_is_put_back_without_waiting_for_it(deployed: Site) -> None:
    deployed.fake.machines["core-1"].active.clear()
    change_apaches(deployed)
    deployed.fake.broken = {UnitName.parse("apache@7777.service")}

    with pytest.raises(RolledBack):
        deployed.deploy()

    assert NEW not in deployed.fake.machines["core-1"].files[UnitName.parse("apache@7777.service")]


def test_what_a_killed_deploy_left_held_out_is_let_in_by_the_next(deployed: Site) -> None:
    sidekick = UnitName.parse("apache-discovery@7777.service")
    deployed.fake.hold_out("core-1", [sidekick], [])

    prepared = deployed.prepare()
    result = deploy(deployed.session, prepared)

    assert result.let_in == {"core-1": (sidekick,)}
    assert check(deployed.session, prepared, result).ok
    assert deployed.deploy().let_in == {}


def test_one_that_was_left_held_out_is_back_before_another_is_taken_out(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.fake.hold_out("core-2", [UnitName.parse("apache-discovery@8888.service")], [])
    seen = pools_that_were_seen(deployed, monkeypatch)
    change_apaches(deployed)

    deployed.deploy()

    assert seen == [[SECOND], [FIRST]]


def test_a_sidekick_that_heeds_no_signal_is_stopped_as_it_is(deployed: Site) -> None:
    name = UnitName.parse("apache-discovery@7777.service")
    files = deployed.fake.machines["core-1"].files
    files[name] = files[name].replace("USR1", "HUP")

    deployed.deploy()

    assert not any("hold out apache-discovery@7777" in line for line in deployed.fake.log)
    assert deployed.prepare().plan.is_empty


def test_an_etcd_that_is_silent_for_a_while_is_waited_for(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_apaches(deployed)
    prepared = deployed.prepare()
    entries, asked = type(deployed.fake).entries, []

    def choosing_a_leader(self: object, prefix: str) -> object:
        asked.append(prefix)
        if len(asked) in (2, 3):
            raise Unreachable("etcd does not answer")
        return entries(self, prefix)  # type: ignore[arg-type]

    monkeypatch.setattr(type(deployed.fake), "entries", choosing_a_leader)
    deploy(deployed.session, prepared)

    assert len(asked) > 3
    assert deployed.prepare().plan.is_empty


def test_an_etcd_that_stays_silent_fails_the_deploy(deployed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change_apaches(deployed)
    prepared = deployed.prepare()

    def silent(self: object, prefix: str) -> object:
        raise Unreachable("etcd does not answer")

    monkeypatch.setattr(type(deployed.fake), "entries", silent)

    with pytest.raises(DeployFailed, match="etcd does not answer") as caught:
        deploy(deployed.session, prepared)

    assert caught.value.exit_code == 6
