"""The lab as values: its machines and addresses, and what was seen of them."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

REGISTRY = "registry"
LAB_NETWORKS = "10.132.0.0/16"  # every lab's subnet is one of it
MOST_MACHINES = 100  # what the addresses of half a /24 give


@dataclass(frozen=True, slots=True)
class LabMachine:
    """One machine of a lab; everything of it follows from the lab's name, its subnet and the index."""

    name: str  # core-1, core-2, …; the registry's machine is called registry
    private_ip: str
    public_ip: str
    machine_id: str


@dataclass(frozen=True, slots=True)
class Lab:
    """Everything that is needed to reach a lab. Says nothing about whether it runs."""

    name: str
    number: int  # of the subnet, 10.132.<number>.0/24
    profile: str
    machines: tuple[LabMachine, ...]  # the cluster's members, without the registry
    registry_machine: LabMachine
    etcd_members: tuple[str, ...]  # names; every further machine runs an etcd gateway to these
    folder: Path
    root: Path  # the cached root file system that its machines lie over
    user: str = "core"
    fleet: bool = False

    @property
    def subnet(self) -> str:
        """All of the lab's addresses."""
        return f"10.132.{self.number}.0/24"

    @property
    def private_network(self) -> str:
        """The half that holds the private addresses; the other stands in for the Internet's side."""
        return f"10.132.{self.number}.0/25"

    @property
    def gateway(self) -> str:
        """The workstation's address on the lab's private network."""
        return f"10.132.{self.number}.1"

    @property
    def registry(self) -> str:
        """Where images are pushed: host:port, plain HTTP."""
        return f"{self.registry_machine.private_ip}:5000"

    @property
    def identity_file(self) -> Path:
        """The private key that `user` lets in."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        """The host keys of all machines, under their names and both addresses."""
        return self.folder / "known_hosts"

    @property
    def all_machines(self) -> tuple[LabMachine, ...]:
        """The registry's machine first, then the cluster's."""
        return (self.registry_machine, *self.machines)

    def try_machine(self, name: str) -> LabMachine | None:
        """Return the machine of that name, the registry's included, or None."""
        return next((machine for machine in self.all_machines if machine.name == name), None)


class LabMachineState(StrEnum):
    """What can be seen of a machine from the workstation."""

    RUNNING = "running"
    CUT = "cut"  # runs, but its network is unplugged
    STOPPED = "stopped"  # has a disk and no processes
    ABSENT = "absent"  # in the lab's list, without a disk


@dataclass(frozen=True, slots=True)
class LabMachineStatus:
    """A machine and the state it is in."""

    machine: LabMachine
    state: LabMachineState


@dataclass(frozen=True, slots=True)
class LabWork:
    """A command that is at work on a lab."""

    verb: str
    pid: int

    def __str__(self) -> str:
        """Say which it is, and that it is at work."""
        return f"coreos-kit lab {self.verb} (process {self.pid}) is at work on it"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab and the state of each of its machines, the registry's first, and who is changing that now."""

    lab: Lab
    machines: tuple[LabMachineStatus, ...]
    at_work: LabWork | None = None

    @property
    def is_up(self) -> bool:
        """Whether every machine runs and can be reached, and nobody is at work: a machine that boots runs."""
        return self.at_work is None and all(
            machine.state is LabMachineState.RUNNING for machine in self.machines
        )


@dataclass(frozen=True, slots=True)
class LabUp:
    """What `lab up` did, and how long it took. `download_s` is part of `total_s`; 0 with a warm cache."""

    lab: Lab
    booted: tuple[str, ...]  # names of the machines that were not running before
    download_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class LabDown:
    """What `lab down` took away, in words, in order; empty where there was nothing."""

    name: str
    removed: tuple[str, ...]


def machine_of(lab: str, number: int, index: int) -> LabMachine:
    """Return the machine with that index: 0 is the registry, 1 is core-1.

    The machine id is derived, so that a lab that is made anew gives the same placements.
    """
    name = REGISTRY if index == 0 else f"core-{index}"
    host = 10 + index
    return LabMachine(
        name=name,
        private_ip=f"10.132.{number}.{host}",
        public_ip=f"10.132.{number}.{128 + host}",
        machine_id=sha256(f"coreos-kit lab {lab} {name}".encode()).hexdigest()[:32],
    )


def etcd_members_of(count: int) -> tuple[str, ...]:
    """Return who is a member of etcd in a lab of that many machines: three, or one where there are fewer.

    Two members would be worse than one: either of them failing stops both.
    """
    return tuple(f"core-{index}" for index in range(1, 4 if count >= 3 else 2))
