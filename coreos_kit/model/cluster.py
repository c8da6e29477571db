"""What was seen on a cluster: machines, units, containers, registrations. Never what should be there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName


@dataclass(frozen=True, slots=True)
class ObservedUnit:
    """A unit of the kit, or one that stands where the kit wants to put its own."""

    name: UnitName
    machine: str
    text: str | None  # of the file that systemd reads; None: there is no file
    load_state: str
    active_state: str
    sub_state: str
    fragment_path: str
    needs_reload: bool = False
    restarts: int = 0
    since: str = ""  # ActiveEnterTimestamp
    project: str = ""  # of [X-CoreosKit]; "": not the kit's
    service: str = ""
    own_file: str | None = None  # what fleet wrote on the machine, which systemd reads; None: it is `text`
    drop_ins: tuple[str, ...] = ()  # files that change this unit beside its own
    is_older_than_file: bool = False  # it was started before its file was written last

    @property
    def has_lost_its_file(self) -> bool:
        """Whether its file went from where the kit writes them, and systemd goes on with what it had read."""
        is_ours_to_write = self.fragment_path.startswith("/etc/systemd/system/")
        return self.text is None and self.load_state == "loaded" and is_ours_to_write

    @property
    def is_active(self) -> bool:
        """Whether systemd says active; `activating` and `reloading` are not."""
        return self.active_state == "active"


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """A container as the engine lists it; `image` is as it was asked for at `run`."""

    name: str
    id: str
    state: str  # running, exited, created, …
    image: str
    ports: str
    project: str = ""  # of its label; "": not the kit's
    unit: str = ""  # that ran it, as its label says


@dataclass(frozen=True, slots=True)
class ObservedMachine:
    """One machine's snapshot, taken in one round trip."""

    name: str
    machine_id: str
    boot_id: str
    private_ip: str
    public_ip: str
    metadata: Mapping[str, str]
    units: tuple[ObservedUnit, ...] = ()
    containers: tuple[ObservedContainer, ...] = ()
    environment: str | None = None  # the text of the profile's environment file; None: no such file
    clock: float = 0.0  # seconds since the epoch, as the machine has it
    release: str = ""  # PRETTY_NAME of /etc/os-release
    engine_error: str = ""  # why its containers could not be listed
    etcd_state: str = ""  # ActiveState of the profile's etcd unit


@dataclass(frozen=True, slots=True)
class Scheduler:
    """fleet: it places units by itself, and moves them off a machine that it has given up."""

    version: str  # "" where it does not say
    gateway: str  # the machine through which it was asked


@dataclass(frozen=True, slots=True)
class Observation:
    """A cluster at one moment: what each machine said, and why the others said nothing.

    Under a scheduler a machine can be in both: it does not answer, but the scheduler still counts on it.
    """

    machines: Mapping[str, ObservedMachine]
    unreachable: Mapping[str, KitError] = field(default_factory=dict)
    scheduler: Scheduler | None = None  # None: units stay where they are put
    unplaced: tuple[ObservedUnit, ...] = ()  # that the scheduler knows, but has on no machine

    @property
    def silent(self) -> frozenset[str]:
        """The machines that don't answer, though the scheduler still counts on them."""
        return frozenset(self.unreachable.keys() & self.machines.keys())

    def units(self, name: UnitName) -> tuple[ObservedUnit, ...]:
        """Return the unit as each machine that has it shows it, in the order of the machines' names."""
        return tuple(
            unit
            for _, machine in sorted(self.machines.items())
            for unit in machine.units
            if unit.name == name
        )


@dataclass(frozen=True, slots=True)
class EtcdEntry:
    """A key of etcd, with how long it will live."""

    key: str
    value: str
    ttl_left_s: float | None = None  # None: it has no TTL
    ttl_granted_s: float | None = None  # None: etcd does not say (v2 never does)
