"""Which adapter stands behind which port: the only place that knows both."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coreos_kit.cli.output import say
from coreos_kit.cli.settings import Settings
from coreos_kit.errors import UsageError
from coreos_kit.model.profile import COREOS
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry, Project
from coreos_kit.model.secret import Secret
from coreos_kit.ops.session import Session
from coreos_kit.ports import ClusterDriver, Engine, EtcdStore, ImageBuilder, Runner

if TYPE_CHECKING:
    from coreos_kit.adapters.ssh import SshMachines

CONNECT_TIMEOUT_S = 5


def open_project(settings: Settings) -> Project:
    """Read the workspace's configuration."""
    from coreos_kit.config import load_project

    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder is gone", hint="Go to one that is there: cd") from error
    return load_project(settings.project)


def configured_cluster(settings: Settings, project: Project) -> Cluster:
    """Return the cluster that was asked for, as configured; a lab's machines are not in it yet."""
    name = settings.cluster or project.default_cluster
    if name not in project.clusters:
        known = ", ".join(sorted(project.clusters))
        raise UsageError(f"no cluster {name} in {project.file.name}", hint=f"Its clusters are {known}.")
    return project.clusters[name]


def with_lab(cluster: Cluster) -> Cluster:
    """Fill in what a running lab knows: its machines, its networks, its registry."""
    if not cluster.lab:
        return cluster
    from coreos_kit.adapters.nspawn.state import read_lab

    lab = read_lab(cluster.lab)
    return replace(
        cluster,
        machines=tuple(
            MachineEntry(
                name=machine.name,
                destination=f"{lab.user}@{machine.private_ip}",
                private_ip=machine.private_ip,
                public_ip=machine.public_ip,
                identity_file=str(lab.identity_file),
                known_hosts_file=str(lab.known_hosts_file),
            )
            for machine in lab.machines
        ),
        private_network=cluster.private_network or str(lab.private_network),
        push_to=cluster.push_to or lab.registry,
    )


@contextmanager
def open_session(settings: Settings, *, progress: Callable[[str], None]) -> Iterator[Session]:
    """Open a cluster for work; everything that was connected is closed at the end."""
    from coreos_kit.adapters.engine import MachineEngine
    from coreos_kit.adapters.etcd import open_store
    from coreos_kit.adapters.git import GitCheckout
    from coreos_kit.adapters.hooks import run_hook
    from coreos_kit.adapters.local import LocalRunner
    from coreos_kit.adapters.machine_files import SshMachineFiles
    from coreos_kit.adapters.probe import MachineProber
    from coreos_kit.adapters.secrets import SecretReader
    from coreos_kit.adapters.workstation import SystemClock, author
    from coreos_kit.ops.machine_files import try_registry_login
    from coreos_kit.ops.render import read_sources
    from coreos_kit.units.secret_files import folder

    project = open_project(settings)
    cluster = with_lab(configured_cluster(settings, project))
    read_secret = SecretReader(project.root)

    def login() -> Secret | None:
        return try_registry_login(project, cluster, read_secret)

    with ExitStack() as stack:
        machines = stack.enter_context(open_ssh(settings, cluster))
        runners: dict[str, Runner] = {}
        engines: dict[str, Engine] = {}

        def join(entry: MachineEntry) -> None:
            runners[entry.name] = runner = machines.join(entry)
            engines[entry.name] = MachineEngine(runner, cluster.profile.engine_path, login=login)

        for entry in cluster.machines:
            join(entry)
        yield Session(
            project=project,
            cluster=cluster,
            sources=read_sources(project.root),
            driver=_driver(cluster, runners, join),
            prober=MachineProber(cluster.profile.engine_path, runners),
            runners=runners,
            engines=engines,
            files=SshMachineFiles(folder(project.name), runners),
            read_secret=read_secret,
            store=_once(
                lambda: stack.enter_context(
                    open_store(cluster.etcd, cluster.etcd_api, runners, port=cluster.profile.etcd_port)
                )
            ),
            other_store=_once(
                lambda: stack.enter_context(
                    open_store(cluster.etcd, cluster.etcd_api.other, runners, port=cluster.profile.etcd_port)
                )
            ),
            clock=SystemClock(),
            progress=progress,
            run_hook=run_hook,
            author=author(),
            checkout=GitCheckout(project.root, LocalRunner()),
        )


@contextmanager
def open_fleet(settings: Settings, destinations: Sequence[str]) -> Iterator[tuple[Cluster, ClusterDriver]]:
    """Open the fleet that these machines belong to; none: the cluster of the workspace."""
    from coreos_kit.adapters.fleet.driver import FleetDriver
    from coreos_kit.adapters.fleet.gateway import Gateway
    from coreos_kit.adapters.systemd import SystemdDriver
    from coreos_kit.config.addresses import host_of

    if destinations:
        entries = tuple(MachineEntry(host_of(destination), destination) for destination in destinations)
        cluster = Cluster("fleet", COREOS, DriverKind.FLEET, entries, (), ())
    else:
        cluster = with_lab(configured_cluster(settings, open_project(settings)))
    with open_ssh(settings, cluster) as machines:
        runners: dict[str, Runner] = {}

        def join(entry: MachineEntry) -> None:
            runners[entry.name] = machines.join(entry)

        for entry in cluster.machines:
            join(entry)
        yield cluster, FleetDriver(SystemdDriver(cluster, runners), Gateway(cluster.name, runners), join)


@contextmanager
def open_builder(settings: Settings, machine: str | None) -> Iterator[tuple[Project, Cluster, ImageBuilder]]:
    """Open the engine that builds and pushes: a machine's, or whichever works on the workstation."""
    with try_builder(settings, machine) as (project, cluster, builder):
        if builder is None:
            from coreos_kit.adapters.engine import find_engine
            from coreos_kit.adapters.local import LocalRunner

            yield project, cluster, find_engine(LocalRunner())
            return
        yield project, cluster, builder


@contextmanager
def try_builder(
    settings: Settings, machine: str | None
) -> Iterator[tuple[Project, Cluster, ImageBuilder | None]]:
    """Open a machine's engine, where one is named."""
    project = open_project(settings)
    configured = configured_cluster(settings, project)
    if machine is None and not configured.lab:
        yield project, configured, None
        return
    cluster = with_lab(configured)
    if machine is None:
        yield project, cluster, None
        return
    from coreos_kit.adapters.engine import MachineEngine

    with open_ssh(settings, cluster) as machines:
        yield project, cluster, MachineEngine(machines.runner(machine), cluster.profile.engine_path)


def open_ssh(settings: Settings, cluster: Cluster) -> "SshMachines":
    """Return the machines of a cluster, not connected yet."""
    from coreos_kit.adapters.ssh import open_machines

    return open_machines(
        cluster.machines,
        connect_timeout_s=CONNECT_TIMEOUT_S,
        accept_new=cluster.accept_new_host_keys,
        log=say if settings.verbose else None,
    )


def _driver(
    cluster: Cluster, runners: Mapping[str, Runner], join: Callable[[MachineEntry], None]
) -> ClusterDriver:
    """Choose who runs the units. Only classic CoreOS came with fleet; elsewhere it has to be asked for."""
    from coreos_kit.adapters.systemd import SystemdDriver

    systemd = SystemdDriver(cluster, runners)
    wanted = cluster.driver
    if wanted is DriverKind.SYSTEMD or (wanted is DriverKind.AUTO and cluster.profile is not COREOS):
        return systemd
    from coreos_kit.adapters.fleet.auto import AutoDriver
    from coreos_kit.adapters.fleet.driver import FleetDriver
    from coreos_kit.adapters.fleet.gateway import Gateway

    fleet = FleetDriver(systemd, Gateway(cluster.name, runners), join)
    return fleet if wanted is DriverKind.FLEET else AutoDriver(fleet, systemd)


def _once(opener: Callable[[], EtcdStore]) -> Callable[[], EtcdStore]:
    opened: list[EtcdStore] = []

    def store() -> EtcdStore:
        if not opened:
            opened.append(opener())
        return opened[0]

    return store
