"""What an operation is handed: the project, one cluster of it, and the doors to that cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coreos_kit.errors import KitError
from coreos_kit.model.lock import Author
from coreos_kit.model.project import Cluster, Project
from coreos_kit.ports import (
    Checkout,
    Clock,
    ClusterDriver,
    Engine,
    EtcdStore,
    HookRunner,
    MachineFiles,
    Prober,
    Progress,
    Runner,
    SecretReader,
)


def no_hooks(
    program: Path, facts: Mapping[str, str], on_line: Callable[[str], None], *, timeout_s: float
) -> int:
    """Refuse to run a hook, where nobody has said how."""
    del facts, on_line, timeout_s
    raise KitError(f"{program} can't be run from here")


@dataclass(frozen=True, slots=True)
class Session:
    """One cluster, open for work. Nothing is connected before it is used."""

    project: Project
    cluster: Cluster
    sources: Mapping[str, str]  # unit_templates: file name -> text
    driver: ClusterDriver
    prober: Prober
    runners: Mapping[str, Runner]
    engines: Mapping[str, Engine]
    files: MachineFiles
    read_secret: SecretReader
    store: Callable[[], EtcdStore]  # raises Unreachable; the same store each time
    clock: Clock
    progress: Progress
    author: Author = field(default_factory=Author)
    run_hook: HookRunner = no_hooks
    checkout: Checkout | None = None  # None: nobody asks what is checked out
    other_store: Callable[[], EtcdStore] | None = None  # of etcd's other API, which nothing of ours uses

    def runner(self, machine: str) -> Runner:
        """Return the door to a machine; raises `KitError` for a name that the cluster does not have."""
        if machine not in self.runners:
            raise KitError(
                f"{self.cluster.name} has no machine {machine}",
                hint=f"Its machines are {', '.join(sorted(self.runners))}.",
            )
        return self.runners[machine]
