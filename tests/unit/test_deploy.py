"""Deploying the example over a cluster in memory: the order of things, and every way to stop half way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from coreos_kit.config import load_project
from coreos_kit.errors import CommandFailed, DeployFailed, Interrupted, KitError, Refused, Unreachable
from coreos_kit.model.chain import State
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, MachineEntry
from coreos_kit.model.services import HealthKind
from coreos_kit.ops.deploy import DeployOptions, DeployResult, check, deploy
from coreos_kit.ops.plan import Prepared, prepare
from coreos_kit.ops.render import read_sources
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions
from coreos_kit.ports import Change, Check, Probe, ProbeOrder, UnitOutcome
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.engine import FakeEngine
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets

ROOT = Path(__file__).parents[2]
MACHINES = tuple(MachineEntry(f"core-{n}", f"core-{n}", private_ip=f"192.0.2.{n}") for n in (1, 2, 3))
LEAVE_IT = DeployOptions(roll_back=False)
APACHE, NGINX = (f"sha256:{letter * 64}" for letter in "ab")

Outcomes = tuple[UnitOutcome, ...]


class Faulty(FakeCluster):
    """A `FakeCluster` that can be made to fail at a chosen change or wait, and says what it waited for."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.images = {"user_name/apache": APACHE, "user_name/nginx_lb": NGINX}
        self.waits: list[str] = []
        self.before_apply: Callable[[Change], None] = lambda change: None
        self.instead_of_waiting: dict[str, tuple[Outcomes, bool]] = {}
        self.values: dict[str, str] = {}  # key -> what it holds instead
        self.unregistered: set[str] = set()  # keys that never come

    def apply(self, change: Change) -> Outcomes:
        self.before_apply(change)
        return super().apply(change)

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[Outcomes, bool]:
        asked = "".join(f" {check.kind} {check.address}{check.path}" for check in checks)
        self.waits.append(f"{machine}: {' '.join(map(str, units))}{asked} {timeout_s} s")
        if str(units[0]) in self.instead_of_waiting:
            return self.instead_of_waiting[str(units[0])]
        return super().wait_until_up(machine, units, checks, timeout_s=timeout_s)

    def _registrations(self) -> list[EtcdEntry]:
        return [
            replace(entry, value=self.values.get(entry.key, entry.value))
            for entry in super()._registrations()
            if entry.key not in self.unregistered
        ]


@dataclass
class Site:
    """The example's cluster, with a session on it."""

    session: Session
    fake: Faulty
    said: list[str] = field(default_factory=list)

    def prepare(self, **options: set[str]) -> Prepared:
        return prepare(self.session, PlanOptions(**{key: frozenset(value) for key, value in options.items()}))

    def deploy(self, timeout_s: int = 90, **options: set[str]) -> DeployResult:
        return self.deploy_with(DeployOptions(timeout_s), **options)

    def deploy_with(self, how: DeployOptions, **options: set[str]) -> DeployResult:
        return deploy(self.session, self.prepare(**options), how)

    def edit(self, before: str, after: str) -> None:
        """Change the text of every unit template."""
        sources = {name: text.replace(before, after) for name, text in self.session.sources.items()}
        self.session = replace(self.session, sources=sources)


@pytest.fixture
def site() -> Site:
    project = load_project(ROOT)
    cluster = replace(project.clusters["lab"], lab="", machines=MACHINES, private_network="192.0.2.0/24")
    fake = Faulty(cluster)
    said: list[str] = []
    session = Session(
        project=project,
        cluster=cluster,
        sources=read_sources(ROOT),
        driver=fake,
        prober=fake,
        runners={},
        engines={name: FakeEngine(fake, name) for name in fake.machines},
        files=FakeMachineFiles({name: {} for name in fake.machines}),
        read_secret=FakeSecrets(),
        store=lambda: fake,
        clock=FakeClock(),
        progress=said.append,
    )
    return Site(session, fake, said)


@pytest.fixture
def deployed(site: Site) -> Site:
    site.deploy()
    site.fake.log.clear()
    site.fake.waits.clear()
    site.said.clear()
    return site


def failing_on(machine: str, error: BaseException) -> Callable[[Change], None]:
    def fail(change: Change) -> None:
        if change.machine == machine and change.environment is None:
            raise error

    return fail


def test_images_are_on_their_machines_before_anything_else_happens(site: Site) -> None:
    site.deploy()

    pulled = [line for line in site.fake.log if "pull" in line]
    assert sorted(pulled) == [
        "core-1: pull user_name/apache",
        "core-2: pull user_name/apache",
        "core-3: pull user_name/nginx_lb",
    ]
    assert sorted(site.fake.log[:3]) == sorted(pulled)
    assert sorted(site.fake.log[3:6]) == ["core-1: environment", "core-2: environment", "core-3: environment"]


def test_a_deployed_unit_names_its_images_digest(site: Site) -> None:
    site.deploy()

    text = site.fake.machines["core-1"].files[UnitName.parse("apache@7777.service")]
    assert f"user_name/apache@{APACHE}" in text
    assert "user_name/apache " not in text


def test_an_instance_is_waited_for_together_with_its_sidekick_and_its_health(site: Site) -> None:
    site.deploy(timeout_s=30)

    assert sorted(site.fake.waits) == [
        "core-1: apache@7777.service apache-discovery@7777.service http 192.0.2.1:7777/ 30 s",
        "core-2: apache@8888.service apache-discovery@8888.service http 192.0.2.2:8888/ 30 s",
        "core-3: nginx_lb.service 30 s",
    ]


def test_nothing_to_do_touches_nothing(deployed: Site) -> None:
    result = deployed.deploy()

    assert (result.changed, result.steps) == (False, ())
    assert deployed.fake.log == deployed.fake.waits == deployed.said == []


def test_a_changed_text_stops_an_instance_as_a_whole_and_one_after_the_other(deployed: Site) -> None:
    deployed.edit("FOREGROUND", "BACKGROUND")
    deployed.edit("[Service]", "[Service]\nEnvironment=NEW=1")

    result = deployed.deploy()

    changed = [line for line in deployed.fake.log if ": stop" in line]
    assert result.changed
    assert changed == [
        "core-1: stop apache@7777.service apache-discovery@7777.service",
        "core-2: stop apache@8888.service apache-discovery@8888.service",
        "core-3: stop nginx_lb.service",
    ]


def test_a_pull_that_fails_stops_the_deploy_before_anything_is_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = site.prepare()

    def pull(self: FakeEngine, reference: str) -> str:
        raise CommandFailed(f"{self.machine}: can't pull {reference}: no space left", machine=self.machine)

    monkeypatch.setattr(FakeEngine, "pull", pull)

    with pytest.raises(
        DeployFailed, match=r"nothing was touched: core-.: can't pull .*: no space left"
    ) as caught:
        deploy(site.session, prepared)
    assert caught.value.exit_code == 6
    assert site.fake.names() == []


def test_ctrl_c_while_images_are_pulled_says_that_nothing_was_begun(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.fake.machines["core-1"].files[UnitName.parse("apache@7777.service")] += "ExecReload=x\n"
    prepared = deployed.prepare()

    def pull(self: FakeEngine, reference: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeEngine, "pull", pull)

    with pytest.raises(Interrupted) as caught:
        deploy(deployed.session, prepared)

    assert caught.value.details == ("not begun: replace apache@7777.service on core-1",)


def test_an_environment_that_can_not_be_written_is_a_failed_deploy_with_nothing_begun(site: Site) -> None:
    def fail(change: Change) -> None:
        raise CommandFailed(f"{change.machine}: read-only file system", output="touch: no\n")

    site.fake.before_apply = fail

    with pytest.raises(DeployFailed) as caught:
        site.deploy()

    assert caught.value.exit_code == 6
    assert "the deploy stopped: core-1: read-only file system" in str(caught.value)
    assert caught.value.details[0] == "touch: no"


def test_of_a_first_wave_that_fails_on_one_machine_the_others_are_done(site: Site) -> None:
    site.fake.before_apply = failing_on("core-2", Unreachable("core-2 does not answer any more"))

    with pytest.raises(DeployFailed) as caught:
        site.deploy_with(LEAVE_IT)

    assert caught.value.details == (
        "done: create apache@7777.service on core-1",
        "done: create apache-discovery@7777.service on core-1",
        "as before: create apache@8888.service on core-2",
        "as before: create apache-discovery@8888.service on core-2",
        "done: create nginx_lb.service on core-3",
    )
    assert caught.value.hint == "Mend the cause and run deploy again: it goes on from what stands."


def test_what_comes_after_a_failure_is_not_begun(deployed: Site) -> None:
    deployed.edit("[Service]", "[Service]\nEnvironment=NEW=1")
    deployed.fake.before_apply = failing_on("core-1", Unreachable("core-1 is gone"))

    with pytest.raises(DeployFailed) as caught:
        deployed.deploy()

    assert [line.partition(":")[0] for line in caught.value.details] == [
        "put back", "put back", "not begun", "not begun", "not begun",
    ]  # fmt: skip
    assert not any("core-2: stop" in line or "core-3: stop" in line for line in deployed.fake.log)


def test_running_it_again_finishes_what_failed(site: Site) -> None:
    site.fake.before_apply = failing_on("core-2", Unreachable("core-2 is gone"))
    with pytest.raises(DeployFailed):
        site.deploy_with(LEAVE_IT)
    site.fake.before_apply = lambda change: None

    again = site.deploy()

    assert [str(change.name) for step in again.steps for change in step.changes] == [
        "apache@8888.service",
        "apache-discovery@8888.service",
    ]
    assert site.prepare().plan.is_empty


def test_a_unit_that_fails_shows_its_journal_and_state(site: Site) -> None:
    name = UnitName.parse("apache@7777.service")
    outcome = UnitOutcome(name, "core-1", "failed", "failed", "exit-code", ("no such image",))
    site.fake.instead_of_waiting["apache@7777.service"] = (outcome,), False

    with pytest.raises(DeployFailed) as caught:
        site.deploy()

    assert str(caught.value) == (
        "the deploy stopped and was rolled back: core-1: apache@7777.service did not come up:"
        " it is failed (failed), result exit-code"
    )
    assert caught.value.details[0] == "no such image"
    assert caught.value.hint == "See more: coreos-kit logs apache@7777.service"


def test_a_port_that_docker_holds_for_nobody_is_a_matter_of_docker(site: Site) -> None:
    """Seen on the lab after a power cut in the moment in which a container was made."""
    name = UnitName.parse("apache@7777.service")
    said = "Bind for 192.0.2.1:7777 failed: port is already allocated."
    outcome = UnitOutcome(name, "core-1", "activating", "auto-restart", "exit-code", (said,))
    site.fake.instead_of_waiting["apache@7777.service"] = (outcome,), False

    with pytest.raises(DeployFailed) as caught:
        site.deploy()

    assert caught.value.hint == (
        "See who has the port: coreos-kit ssh core-1 -- sudo docker ps. If it is no container, docker holds "
        "it for one that is gone: coreos-kit ssh core-1 -- sudo systemctl restart docker"
    )


def test_a_unit_that_runs_but_is_not_well_is_a_failed_deploy(site: Site) -> None:
    name = UnitName.parse("apache@7777.service")
    site.fake.instead_of_waiting["apache@7777.service"] = (
        (UnitOutcome(name, "core-1", "active", "running", "success"),),
        False,
    )

    with pytest.raises(
        DeployFailed,
        match=r"apache@7777\.service is active, but the http check of 192\.0\.2\.1:7777/ does not pass",
    ):
        site.deploy()


def test_a_unit_without_a_check_that_comes_up_and_does_not_stay_up_is_a_failed_deploy(deployed: Site) -> None:
    """The machine waited until it was active for longer than a moment; at the last look it just was."""
    name = UnitName.parse("nginx_lb.service")
    deployed.fake.machines["core-3"].files[name] += "ExecReload=x\n"
    outcome = UnitOutcome(name, "core-3", "active", "running", "success", ("no such module",))
    deployed.fake.instead_of_waiting["nginx_lb.service"] = (outcome,), False

    with pytest.raises(
        DeployFailed, match=r"core-3: nginx_lb\.service came up and did not stay up"
    ) as caught:
        deployed.deploy_with(LEAVE_IT)

    assert caught.value.details[0] == "no such module"


def test_a_unit_that_does_not_stop_is_not_taken_for_removed(
    deployed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = replace(deployed.session.cluster.services[0], instances=("7777",))
    deployed.session = replace(
        deployed.session, cluster=replace(deployed.session.cluster, services=(service,))
    )

    def stuck(change: Change) -> Outcomes:
        return tuple(
            UnitOutcome(name, change.machine, "deactivating", "stop-sigterm", "success")
            for name in change.stop
        )

    monkeypatch.setattr(deployed.fake, "apply", stuck)

    with pytest.raises(DeployFailed, match=r"does not stop: it is deactivating \(stop-sigterm\)"):
        deployed.deploy()


def test_a_registration_that_never_comes_is_waited_for_as_long_as_allowed(site: Site) -> None:
    site.fake.unregistered = {"/services/apache/192.0.2.2"}

    with pytest.raises(DeployFailed) as caught:
        site.deploy(timeout_s=12)

    assert str(caught.value).endswith(
        "core-2: apache-discovery@8888.service did not register /services/apache/192.0.2.2 within 12 s;"
        " there is no such key"
    )
    assert caught.value.hint == "See why: coreos-kit logs apache-discovery@8888.service"
    assert 12 <= site.session.clock.now() < 13


def test_another_value_under_the_key_is_no_registration(site: Site) -> None:
    site.fake.values = {"/services/apache/192.0.2.2": "192.0.2.2:1"}

    with pytest.raises(DeployFailed, match=r"it holds 192\.0\.2\.2:1"):
        site.deploy(timeout_s=1)


def test_ctrl_c_says_what_stands_and_the_next_deploy_finishes(deployed: Site) -> None:
    deployed.edit("[Service]", "[Service]\nEnvironment=NEW=1")
    deployed.fake.before_apply = failing_on("core-2", KeyboardInterrupt())

    with pytest.raises(Interrupted) as caught:
        deployed.deploy()
    deployed.fake.before_apply = lambda change: None
    deployed.deploy()

    assert caught.value.exit_code == 130
    assert [line.partition(":")[0] for line in caught.value.details] == [
        "done", "done", "unclear", "unclear", "not begun",
    ]  # fmt: skip
    assert deployed.prepare().plan.is_empty


def test_what_was_deployed_is_verified(site: Site) -> None:
    prepared = site.prepare()

    verdict = check(site.session, prepared, deploy(site.session, prepared))

    assert verdict.ok


def test_a_chain_that_does_not_hold_fails_the_deploy_and_names_each_link(site: Site) -> None:
    prepared = site.prepare()
    result = deploy(site.session, prepared)
    site.fake.unregistered = {"/services/apache/192.0.2.2"}

    with pytest.raises(DeployFailed, match="what was deployed does not hold together") as caught:
        check(site.session, prepared, result)

    assert "broken: key of apache@8888.service on core-2: there is no such key" in caught.value.details
    assert (
        caught.value.hint == "Look at it: coreos-kit verify; coreos-kit logs 'apache@*' 'apache-discovery@*'"
    )


def test_a_chain_that_broke_without_any_change_says_so(deployed: Site) -> None:
    prepared = deployed.prepare()
    deployed.fake.unregistered = {"/services/apache/192.0.2.2"}

    with pytest.raises(DeployFailed, match="nothing had to change, but the chain does not hold"):
        check(deployed.session, prepared, deploy(deployed.session, prepared))


class LateProber:
    """Says of the balancer's pool what it will be, and what it is until then: empty."""

    def __init__(self, site: Site, at: float) -> None:
        self.site, self.at = site, at

    def probe(self, order: ProbeOrder) -> Probe:
        seen = self.site.fake.probe(order)
        return seen if self.site.session.clock.now() >= self.at else replace(seen, pool=frozenset())


@pytest.mark.parametrize("at", [5, 19])
def test_where_nothing_has_to_change_a_balancer_has_its_time_to_follow_as_well(
    deployed: Site, at: float
) -> None:
    """A machine has just come back: what stands on it runs and is registered, and the pool follows."""
    deployed.session = replace(
        deployed.session, prober=LateProber(deployed, deployed.session.clock.now() + at)
    )
    prepared = deployed.prepare()

    verdict = check(deployed.session, prepared, deploy(deployed.session, prepared))

    assert verdict.ok


def test_where_nothing_has_to_change_and_all_holds_nothing_is_waited_for(deployed: Site) -> None:
    """Not for a machine either that was down and skipped."""
    deployed.fake.machines["core-2"].is_down = True
    before = deployed.session.clock.now()
    prepared = deployed.prepare(skip={"core-2"})

    check(deployed.session, prepared, deploy(deployed.session, prepared))

    assert deployed.session.clock.now() == before


def test_what_a_skipped_machine_hides_is_not_held_against_the_deploy(deployed: Site) -> None:
    deployed.fake.machines["core-2"].is_down = True
    prepared = deployed.prepare(skip={"core-2"})

    verdict = check(deployed.session, prepared, deploy(deployed.session, prepared))

    assert verdict.exit_code == 4
    assert verdict.count(State.UNKNOWN) > 0


def test_a_machine_that_was_evacuated_runs_nothing_and_its_units_run_elsewhere(deployed: Site) -> None:
    service = replace(deployed.session.cluster.services[0], instances=("7777",))
    deployed.session = replace(
        deployed.session, cluster=replace(deployed.session.cluster, services=(service,))
    )
    deployed.deploy()

    deployed.deploy_with(DeployOptions(allow_downtime=True), evacuate={"core-1"})

    assert deployed.fake.machines["core-1"].files == {}
    assert deployed.fake.where(UnitName.parse("apache@7777.service")) == ["core-2"]
    assert deployed.fake.where(UnitName.parse("apache-discovery@7777.service")) == ["core-2"]


def test_a_machine_that_can_not_say_a_digest_leaves_the_question_to_the_next(site: Site) -> None:
    site.fake.machines["core-1"].is_down = True

    prepared = site.prepare(skip={"core-1"})

    assert prepared.plan.digests == {"user_name/apache": APACHE, "user_name/nginx_lb": NGINX}


def test_a_registry_that_is_down_keeps_the_deployed_digest_with_a_note(deployed: Site) -> None:
    deployed.fake.images.clear()

    plan = deployed.prepare().plan

    assert plan.is_empty
    assert plan.digests == {"user_name/apache": APACHE, "user_name/nginx_lb": NGINX}
    assert sum("can't be resolved, so it stays at sha256:" in note for note in plan.notes) == 2


def test_a_tag_of_which_nothing_is_deployed_has_to_be_resolved(site: Site) -> None:
    site.fake.images.clear()

    with pytest.raises(Refused, match="can't be resolved to a digest"):
        site.prepare()


def test_a_service_without_a_health_check_is_not_asked(site: Site) -> None:
    service = site.session.cluster.services[0]
    quiet = replace(service, health=replace(service.health, kind=HealthKind.NONE))
    site.session = replace(site.session, cluster=replace(site.session.cluster, services=(quiet,)))

    site.deploy()

    assert not any("http" in wait for wait in site.fake.waits)


def test_telling_what_is_behind_never_fails_a_plan(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise KitError("nobody can read that")

    monkeypatch.setattr("coreos_kit.ops.behind.plan_render", refuse)
    monkeypatch.setattr("coreos_kit.ops.behind.plan_links", refuse)

    assert site.prepare().plan.notes == (
        "templates/ and static/ can't be compared with the configuration: nobody can read that",
        "instances/ can't be compared with the configuration: nobody can read that",
    )
