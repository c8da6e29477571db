"""`kit`: the command line in this process, on a cluster in memory instead of machines."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coreos_kit.adapters.hooks import run_hook
from coreos_kit.cli import wiring
from coreos_kit.cli.main import main
from coreos_kit.cli.settings import Settings
from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.lock import Author
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, EtcdApi, MachineEntry
from coreos_kit.ops.render import read_sources
from coreos_kit.ops.session import Session
from coreos_kit.ports import Checkout, EtcdStore
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.engine import FakeEngine
from coreos_kit.testing.etcd import FakeEtcdStore
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets
from coreos_kit.testing.runner import Answer, FakeRunner

APACHE = f"sha256:{'a' * 64}"
NGINX = f"sha256:{'b' * 64}"
MACHINES = tuple(
    MachineEntry(
        f"core-{n}",
        f"core@10.132.1.1{n}",
        private_ip=f"10.132.1.1{n}",
        public_ip=f"10.132.1.13{n}",
    )
    for n in (1, 2, 3)
)


class Ran(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1, f"not one object, and nothing else: {self.out!r}"
        return json.loads(self.out)


class Site(FakeCluster):
    """A `FakeCluster` in which more can go wrong."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.images = {"user_name/apache": APACHE, "user_name/nginx_lb": NGINX}
        self.mute: set[str] = set()  # sidekicks that run, but register nothing
        self.other_api = FakeEtcdStore(EtcdApi.V2)
        self.journals: dict[str, list[dict[str, object]]] = {name: [] for name in self.machines}
        self.codes: dict[str, int] = {}  # of the programs that run on every machine
        self.runners = {name: self._runner(name) for name in self.machines}
        self.files = FakeMachineFiles({name: {} for name in self.machines})

    def stops(self, *units: str) -> None:
        """Stop units behind the kit's back."""
        for machine in self.machines.values():
            machine.active -= {UnitName.parse(unit) for unit in units}

    def goes_down(self, machine: str) -> None:
        self.machines[machine].is_down = True
        self.runners[machine].is_down = True

    def _kept_alive(self) -> list[EtcdEntry]:
        muted = {f":{UnitName.parse(unit).instance}" for unit in self.mute}
        return [entry for entry in super()._kept_alive() if not entry.value.endswith(tuple(muted))]

    def _runner(self, name: str) -> FakeRunner:
        runner = FakeRunner(name)
        runner.programs["journalctl"] = lambda args, stdin: self._journal(name, args)
        for program in ("true", "false", "hostname"):
            runner.programs[program] = lambda args, stdin, program=program: Answer(
                code=self.codes.get(program, 0)
            )
        return runner

    def _journal(self, machine: str, args: Sequence[str]) -> Answer:
        units = [arg.removeprefix("--unit=") for arg in args if arg.startswith("--unit=")]
        entries = [entry for entry in self.journals[machine] if entry["_SYSTEMD_UNIT"] in units]
        return Answer("".join(f"{json.dumps(entry)}\n" for entry in entries).encode())


@dataclass
class Kit:
    """`coreos-kit` as a user calls it, in a workspace of its own; the cluster is `site`."""

    workspace: Path
    capsys: pytest.CaptureFixture[str]
    site: Site | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    checkout: Checkout | None = None

    def __call__(self, *args: str) -> Ran:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        out, err = self.capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    @property
    def cluster(self) -> Site:
        assert self.site is not None, "no command has opened the cluster yet"
        return self.site

    def edit(self, path: str, before: str, after: str) -> None:
        file = self.workspace / path
        text = file.read_text()
        assert before in text, f"{path} has no {before!r}"
        file.write_text(text.replace(before, after))

    @contextmanager
    def open_session(self, settings: Settings, *, progress: Callable[[str], None]) -> Iterator[Session]:
        """Stand in for `wiring.open_session`."""
        project = wiring.open_project(settings)
        cluster = wiring.with_lab(wiring.configured_cluster(settings, project))
        site = self.site = self.site or Site(cluster)
        site.cluster = cluster

        def store() -> EtcdStore:
            if site.etcd_is_down:
                raise Unreachable("etcd does not answer on any machine")
            return site

        yield Session(
            project=project,
            cluster=cluster,
            sources=read_sources(project.root),
            driver=site,
            prober=site,
            runners=dict(site.runners),
            engines={name: FakeEngine(site, name) for name in site.machines},
            files=site.files,
            read_secret=self.secrets,
            store=store,
            clock=self.clock,
            progress=progress,
            run_hook=run_hook,
            author=Author("anna", "desk", 4242),
            other_store=lambda: site.other_api,
            checkout=self.checkout,
        )


def in_memory(cluster: Cluster) -> Cluster:
    """Stand in for `wiring.with_lab`: three machines, as a lab would have them."""
    if not cluster.lab:
        return cluster
    return replace(cluster, machines=MACHINES, private_network="10.132.1.0/24", push_to="10.132.1.10:5000")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as `init` writes it."""
    folder = tmp_path_factory.mktemp("example") / "web"
    with pytest.raises(SystemExit) as ended:
        main(["init", str(folder)])
    assert not ended.value.code
    return folder


@pytest.fixture
def kit(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Kit:
    """The command line in a fresh workspace; nothing is deployed yet."""
    workspace = tmp_path / "web"
    shutil.copytree(example, workspace, symlinks=True)
    monkeypatch.chdir(workspace)
    made = Kit(workspace, capsys)
    monkeypatch.setattr(wiring, "open_session", made.open_session)
    monkeypatch.setattr(wiring, "with_lab", in_memory)
    return made


@pytest.fixture
def deployed(kit: Kit) -> Kit:
    """The command line with the example deployed."""
    assert kit("deploy", "--yes").code == 0
    kit.cluster.log.clear()
    return kit


def of_four(cluster: Cluster) -> Cluster:
    """Give the cluster in memory a machine to spare."""
    spare = MachineEntry("core-4", "core@10.132.1.14", private_ip="10.132.1.14", public_ip="10.132.1.134")
    return replace(in_memory(cluster), machines=(*MACHINES, spare))


@pytest.fixture
def spare(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """The example deployed on three of four machines."""
    monkeypatch.setattr(wiring, "with_lab", of_four)
    assert kit("deploy", "--yes").code == 0
    kit.cluster.log.clear()
    return kit
