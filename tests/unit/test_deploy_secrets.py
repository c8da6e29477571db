"""Deploying with secrets over a cluster in memory: what is written when, and what never shows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from coreos_kit.cli.output import as_json
from coreos_kit.cli.show_plan import plan_body
from coreos_kit.config import load_project
from coreos_kit.errors import DeployFailed, InvalidConfig
from coreos_kit.model.cluster import Observation, Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Verb
from coreos_kit.model.project import EtcdSettings, MachineEntry
from coreos_kit.model.secret import RegistryLogin, Secret, SecretSource
from coreos_kit.ops.deploy import DeployResult, deploy
from coreos_kit.ops.plan import Prepared, prepare
from coreos_kit.ops.render import read_sources
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.engine import FakeEngine
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets
from coreos_kit.units.secret_files import KEY_FILE

ROOT = Path(__file__).parents[2]
MACHINES = tuple(MachineEntry(f"core-{n}", f"core-{n}", private_ip=f"192.0.2.{n}") for n in (1, 2, 3))
PASSWORD = b"hunter2"


@dataclass
class Site:
    """The example on three machines, its service with a secret."""

    session: Session
    fake: FakeCluster
    files: FakeMachineFiles
    secrets: FakeSecrets
    said: list[str]

    def prepare(self) -> Prepared:
        return prepare(self.session, PlanOptions())

    def deploy(self) -> DeployResult:
        return deploy(self.session, self.prepare())

    def configure(self, **changes: object) -> None:
        self.session = replace(self.session, cluster=replace(self.session.cluster, **changes))  # type: ignore[arg-type]

    def environments(self) -> Mapping[str, list[bytes]]:
        return {
            machine: [content.reveal() for name, content in files.items() if name.endswith(".env")]
            for machine, files in self.files.machines.items()
        }


@pytest.fixture
def site() -> Site:
    project = load_project(ROOT)
    project = replace(project, secrets={name: SecretSource(name, env="X") for name in ("db", "hub")})
    lab = project.clusters["lab"]
    service = replace(lab.services[0], secrets={"DB_PASSWORD": "db"})
    cluster = replace(lab, lab="", machines=MACHINES, private_network="192.0.2.0/24", services=(service,))
    fake = FakeCluster(cluster)
    fake.images = {
        f"user_name/{name}": f"sha256:{letter * 64}" for name, letter in (("apache", "a"), ("nginx_lb", "b"))
    }
    files = FakeMachineFiles({name: {} for name in fake.machines}, log=fake.log)
    secrets = FakeSecrets({"db": PASSWORD, "hub": PASSWORD})
    said: list[str] = []
    session = Session(
        project=project,
        cluster=cluster,
        sources=read_sources(ROOT),
        driver=fake,
        prober=fake,
        runners={},
        engines={name: FakeEngine(fake, name) for name in fake.machines},
        files=files,
        read_secret=secrets,
        store=lambda: fake,
        other_store=lambda: fake,
        clock=FakeClock(),
        progress=said.append,
    )
    return Site(session, fake, files, secrets, said)


@pytest.fixture
def deployed(site: Site) -> Site:
    site.deploy()
    site.fake.log.clear()
    return site


def test_a_secret_is_on_its_machines_before_the_first_unit_and_on_no_other(site: Site) -> None:
    site.deploy()

    log = site.fake.log
    written = [index for index, line in enumerate(log) if ".env" in line]
    assert max(written) < min(index for index, line in enumerate(log) if "start" in line)
    assert site.environments() == {
        "core-1": [b"DB_PASSWORD=hunter2\n"],
        "core-2": [b"DB_PASSWORD=hunter2\n"],
        "core-3": [],
    }
    assert site.files.machines["core-3"] == {}


def test_the_unit_names_the_file_by_its_digest_and_nothing_shows_the_secret(site: Site) -> None:
    prepared = site.prepare()
    site.deploy()

    name = next(name for name in site.files.machines["core-1"] if name.endswith(".env"))
    text = site.fake.machines["core-1"].files[UnitName.parse("apache@7777.service")]
    assert f"--env-file /etc/coreos-kit/web/{name} " in text
    told = "".join(
        [str(as_json(plan_body(prepared.plan))), repr(prepared), str(site.said), str(site.fake.log), text]
    )
    assert "hunter2" not in told
    key = site.files.machines["core-1"][KEY_FILE].reveal().decode()
    assert key not in told


def test_deploying_the_same_secret_again_changes_nothing(deployed: Site) -> None:
    assert deployed.prepare().plan.is_empty


def test_a_changed_secret_replaces_one_instance_after_the_other_and_takes_the_old_file_away(
    deployed: Site,
) -> None:
    deployed.secrets.values["db"] = b"hunter3"

    result = deployed.deploy()

    changed = [(str(change.name), change.verb) for change in result.prepared.plan.changes]
    assert changed == [("apache@7777.service", Verb.REPLACE), ("apache@8888.service", Verb.REPLACE)]
    assert len(result.steps) == 2
    assert deployed.environments()["core-1"] == [b"DB_PASSWORD=hunter3\n"]
    order = [line.split()[1] for line in deployed.fake.log if "pull" not in line]
    assert order.index("write") < order.index("stop")
    assert [line for line in deployed.fake.log[-2:] if ": remove apache." in line] == deployed.fake.log[-2:]
    assert deployed.prepare().plan.is_empty


def test_while_a_deploy_has_not_come_to_its_end_the_old_file_stays_and_the_next_one_finishes(
    deployed: Site,
) -> None:
    deployed.secrets.values["db"] = b"hunter3"
    deployed.fake.broken = {UnitName.parse("apache@7777.service")}

    with pytest.raises(DeployFailed):
        deployed.deploy()

    both = {b"DB_PASSWORD=hunter2\n", b"DB_PASSWORD=hunter3\n"}
    assert {*deployed.environments()["core-2"]} == both
    deployed.fake.broken = set()
    deployed.deploy()
    assert deployed.environments()["core-2"] == [b"DB_PASSWORD=hunter3\n"]
    assert deployed.prepare().plan.is_empty


def test_a_file_that_was_changed_or_removed_by_hand_is_written_again_without_a_restart(
    deployed: Site,
) -> None:
    name = next(name for name in deployed.files.machines["core-1"] if name.endswith(".env"))
    deployed.files.machines["core-1"][name] = Secret(b"x")
    del deployed.files.machines["core-2"][name]

    result = deployed.deploy()

    assert result.changed
    assert result.steps == ()
    assert (
        deployed.environments()["core-1"] == deployed.environments()["core-2"] == [b"DB_PASSWORD=hunter2\n"]
    )


def test_a_service_that_has_no_secrets_any_more_leaves_none_behind(deployed: Site) -> None:
    service = replace(deployed.session.cluster.services[0], secrets={})
    deployed.configure(services=(service,))

    deployed.deploy()

    assert deployed.files.machines == {"core-1": {}, "core-2": {}, "core-3": {}}


def test_secrets_that_are_missing_are_all_named_before_anything_is_looked_at(site: Site) -> None:
    def missing(source: SecretSource) -> Secret:
        raise InvalidConfig(f"the secret {source.name} is missing: the environment variable X is not set")

    site.session = replace(site.session, read_secret=missing)
    site.configure(registry=RegistryLogin("ci", "hub"))

    with pytest.raises(InvalidConfig, match="secrets are missing, so nothing was touched") as caught:
        site.prepare()

    assert caught.value.details == (
        "the secret db is missing: the environment variable X is not set",
        "the secret hub is missing: the environment variable X is not set",
    )
    assert site.fake.log == []


def test_a_machine_that_takes_no_file_stops_the_deploy_before_a_unit_is_touched(deployed: Site) -> None:
    deployed.secrets.values["db"] = b"hunter3"
    deployed.files.broken = {"core-2"}

    with pytest.raises(DeployFailed, match="core-2: no space left on device"):
        deployed.deploy()

    assert not any("stop" in line for line in deployed.fake.log)


def test_all_machines_agree_on_one_key_and_a_lost_one_is_given_again(deployed: Site) -> None:
    key = deployed.files.machines["core-1"][KEY_FILE]
    del deployed.files.machines["core-2"][KEY_FILE]

    result = deployed.deploy()

    assert result.steps == ()
    assert deployed.files.machines["core-2"][KEY_FILE] == key


def test_what_etcd_wants_to_see_is_where_sidekicks_and_balancers_are(site: Site, tmp_path: Path) -> None:
    for name in ("ca", "cert", "key", "password"):
        (tmp_path / name).write_text(f"the {name}\n")
    site.configure(
        etcd=EtcdSettings(
            None,
            ("https://etcd.example:2379",),
            f"{tmp_path}/ca",
            f"{tmp_path}/cert",
            f"{tmp_path}/key",
            username="kit",
            password_file=f"{tmp_path}/password",
        ),
        services=(replace(site.session.cluster.services[0], secrets={}),),
    )

    site.deploy()

    files = {
        name: content.reveal() for name, content in site.files.machines["core-1"].items() if name != KEY_FILE
    }
    assert files == {
        "etcd/ca.pem": b"the ca\n",
        "etcd/cert.pem": b"the cert\n",
        "etcd/key.pem": b"the key\n",
        "etcd/login": b"kit:the password",
    }
    assert all(set(files) < set(there) for there in site.files.machines.values())

    (tmp_path / "cert").write_text("the renewed cert\n")
    renewed = site.deploy()

    assert renewed.steps == ()
    assert site.files.machines["core-3"]["etcd/cert.pem"].reveal() == b"the renewed cert\n"


def test_a_file_of_etcds_that_is_missing_is_named(site: Site) -> None:
    site.configure(etcd=EtcdSettings(None, ("https://etcd.example:2379",), "/no/such/ca.pem"))

    with pytest.raises(InvalidConfig) as caught:
        site.prepare()

    assert str(caught.value) == "etcd.ca /no/such/ca.pem can't be read: No such file or directory"


def test_the_registrys_login_is_where_images_are_pulled_and_no_change_of_a_unit(deployed: Site) -> None:
    deployed.configure(registry=RegistryLogin("ci", "hub"))
    deployed.deploy()

    deployed.secrets.values["hub"] = b"another"
    result = deployed.deploy()

    assert result.steps == ()
    assert all("registry/config.json" in there for there in deployed.files.machines.values())


def test_where_fleet_moves_units_every_machine_has_what_any_of_them_needs(site: Site) -> None:
    class Scheduled(FakeCluster):
        def observe(self, names):  # type: ignore[no-untyped-def]
            seen = super().observe(names)
            return Observation(seen.machines, seen.unreachable, Scheduler("1.0.0", "core-1"))

    site.session = replace(site.session, driver=Scheduled(site.session.cluster))

    plan = site.prepare().plan

    assert sorted(plan.files) == ["core-1", "core-2", "core-3"]
