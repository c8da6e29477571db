"""What a machine is asked, counted: the real driver, prober and engine on machines that answer scripts."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from coreos_kit.adapters.engine import MachineEngine
from coreos_kit.adapters.machine_files import SshMachineFiles
from coreos_kit.adapters.probe import MachineProber
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.config import load_project
from coreos_kit.model.project import MachineEntry
from coreos_kit.ops.deploy import check, deploy
from coreos_kit.ops.plan import prepare
from coreos_kit.ops.render import read_sources
from coreos_kit.ops.session import Session
from coreos_kit.ops.status import status
from coreos_kit.ops.verify import verify
from coreos_kit.planning import PlanOptions
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.machine_files import FakeSecrets
from tests.unit.scripted_machines import ScriptedMachines

ROOT = Path(__file__).parents[2]
DIGESTS = {
    "user_name/apache": f"sha256:{'a' * 64}",
    "user_name/nginx_lb": f"sha256:{'b' * 64}",
}


@dataclass
class Site:
    """The example with a number of instances, one a machine, and one machine more for the balancer."""

    session: Session
    machines: ScriptedMachines

    def deploy(self) -> None:
        prepared = prepare(self.session, PlanOptions())
        check(self.session, prepared, deploy(self.session, prepared))

    def edit(self, before: str, after: str) -> None:
        """Change the text of every unit template."""
        sources = {name: text.replace(before, after) for name, text in self.session.sources.items()}
        self.session = replace(self.session, sources=sources)

    def asked(self) -> dict[str, Counter[str]]:
        """Return what each machine was asked, and forget it."""
        asked = {name: Counter[str]() for name in self.session.runners}
        for machine, what in self.machines.asked:
            asked[machine][what] += 1
        self.machines.asked.clear()
        return asked

    @property
    def balancer(self) -> str:
        return next(
            name
            for name, machine in self.machines.cluster.machines.items()
            if any(unit.prefix == "nginx_lb" for unit in machine.files)
        )


def site_of(instances: int) -> Site:
    project = load_project(ROOT)
    lab = project.clusters["lab"]
    entries = tuple(
        MachineEntry(f"core-{n}", f"core-{n}", private_ip=f"192.0.2.{n}") for n in range(1, instances + 2)
    )
    apache = replace(lab.services[0], instances=tuple(str(7000 + n) for n in range(instances)))
    cluster = replace(lab, lab="", machines=entries, private_network="192.0.2.0/24", services=(apache,))
    fake = FakeCluster(cluster)
    machines = ScriptedMachines(fake, DIGESTS)
    runners = machines.runners
    engine = cluster.profile.engine_path
    session = Session(
        project=project,
        cluster=cluster,
        sources=read_sources(ROOT),
        driver=SystemdDriver(cluster, runners),
        prober=MachineProber(engine, runners),
        runners=runners,
        engines={name: MachineEngine(runner, engine) for name, runner in runners.items()},
        files=SshMachineFiles("/etc/coreos-kit/web", runners),
        read_secret=FakeSecrets(),
        store=lambda: fake,
        clock=FakeClock(),
        progress=lambda _: None,
    )
    return Site(session, machines)


@pytest.fixture(params=[2, 12])
def deployed(request: pytest.FixtureRequest) -> Site:
    site = site_of(request.param)
    site.deploy()
    site.asked()
    return site


def test_status_asks_each_machine_once_and_the_balancers_once_more(deployed: Site) -> None:
    status(deployed.session)

    for machine, asked in deployed.asked().items():
        expected = {"observe": 1} | ({"probe": 1} if machine == deployed.balancer else {})
        assert asked == expected


def test_verify_asks_each_machine_once_and_the_balancers_once_more(deployed: Site) -> None:
    verdict = verify(deployed.session)

    assert verdict.ok
    for machine, asked in deployed.asked().items():
        expected = {"observe": 1} | ({"probe": 1} if machine == deployed.balancer else {})
        assert asked == expected


def test_planning_observes_a_machine_in_two_round_trips(deployed: Site) -> None:
    prepare(deployed.session, PlanOptions())

    asked = deployed.asked()
    pulls = {machine: counted.pop("pull", 0) for machine, counted in asked.items()}
    assert all(counted == {"observe": 1, "files_look": 1} for counted in asked.values())
    assert sorted(pulls.values(), reverse=True)[:2] == [2, 0]  # the two tags, resolved on one machine


def test_a_deploy_with_nothing_to_do_adds_no_more_than_the_look_at_the_balancer(deployed: Site) -> None:
    deployed.deploy()

    asked = deployed.asked()
    pulls = sum(counted.pop("pull", 0) for counted in asked.values())
    assert pulls == 2
    for machine, counted in asked.items():
        expected = {"observe": 1, "files_look": 1} | ({"probe": 1} if machine == deployed.balancer else {})
        assert counted == expected


def test_changing_an_instance_and_its_sidekick_costs_their_machine_three_round_trips(deployed: Site) -> None:
    deployed.edit("[Service]", "[Service]\nEnvironment=NEW=1")

    deployed.deploy()

    # That it leaves the pool is asked for once; then the pool is asked until it is so.
    looking = {"observe", "files_look", "probe", "signal"}
    for machine, asked in deployed.asked().items():
        assert asked["signal"] <= 1
        changing = {what: count for what, count in asked.items() if what not in looking}
        resolved = 2 if machine == "core-1" else 0  # the tags, when planning
        assert sum(changing.values()) - resolved <= 3, f"{machine}: {changing}"
