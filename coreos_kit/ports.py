"""The doors to the outside world, as `ops` needs them. Adapters stand behind; fakes are in `testing`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol, Self

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import EtcdEntry, Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import EtcdApi
from coreos_kit.model.release import Revision
from coreos_kit.model.secret import Secret, SecretSource, SeenFiles
from coreos_kit.model.services import Health, HealthKind

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that came to its end."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """What it printed; bytes that are not UTF-8 come out as U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """What it complained about."""
        return self.stderr.decode("utf-8", "replace")


class Runner(Protocol):
    """The one door to processes on a machine, or on the workstation.

    Raises `Unreachable` where the machine can't be reached, `CommandFailed` for a code other than 0
    when `check` is on, `TimedOut` when the command takes longer than `timeout_s` (it may run on).
    """

    @property
    def machine(self) -> str:
        """The machine's name in the configuration; "" is the workstation."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """Run a command to its end, as root through ``sudo -n`` if asked."""
        ...

    def run_script(
        self,
        script: str,
        args: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """Run a constant text with bash; values reach it as positional arguments and stdin only."""
        ...

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        *,
        stop: Event,
        stdin: bytes = b"",
        root: bool = False,
    ) -> int:
        """Hand on each line of both outputs as it comes, until the end or `stop`; return the code."""
        ...

    def interactive(self, argv: Sequence[str]) -> int:
        """Give the terminal to a command (none: a login shell) and return its code."""
        ...

    def forward(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """Open a way to `host:port` as this machine sees it; hands out a local address to connect to."""
        ...


class HookRunner(Protocol):
    """The door to the workspace's hooks."""

    def __call__(
        self, program: Path, facts: Mapping[str, str], on_line: Callable[[str], None], *, timeout_s: float
    ) -> int:
        """Run an executable in its workspace, with facts added to the environment; return its exit code.

        Its output is handed on line by line. Raises `KitError` where it can't be started, and `TimedOut`;
        then, and when it is interrupted, it has been ended with all that it started.
        """
        ...


class EtcdStore(Protocol):
    """The keys of etcd in one API.

    Raises `Unreachable` when no member answers in time, or etcd does not let this user do it.
    """

    @property
    def api(self) -> EtcdApi:
        """The keyspace of this store."""
        ...

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """Return every key below `prefix` (a folder, without trailing slash) in order, with TTLs left.

        A prefix that holds nothing gives nothing; that is no error.
        """
        ...

    def entry(self, key: str) -> EtcdEntry | None:
        """Return one key; None where there is none."""
        ...

    def put(self, key: str, value: str) -> None:
        """Write a key that nobody else writes now, without a TTL. Safe to repeat.

        `Unreachable` may mean that it was written all the same; raises `Refused` for a value too large.
        """
        ...

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """Write a key that is not there, for `ttl_s`, in one step; return what `renew` wants to see of it.

        None where the key is there. `value` is like no other's: a key that holds it is the caller's own, of
        an attempt whose answer got lost. So it is safe to repeat.
        """
        ...

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """Give a key of `create` its whole time again; False where it is gone or holds another's value."""
        ...

    def delete_if_value(self, key: str, value: str) -> bool:
        """Delete a key that still holds `value`, in one step; False where it is gone or holds another.

        Safe to repeat: the second time there is nothing left to delete.
        """
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What one machine is asked in one go, in the order of the fields.

    `files` maps a path below /etc to its content and mode, written atomically.
    """

    machine: str
    stop: tuple[UnitName, ...] = ()
    disable: tuple[UnitName, ...] = ()  # that no boot is to start, until they are started
    remove: tuple[UnitName, ...] = ()
    write: Mapping[UnitName, str] = field(default_factory=dict)
    environment: str | None = None  # the environment file that the kit writes, if it has to change
    start: tuple[UnitName, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitOutcome:
    """What a machine says of a unit after it was asked something; `journal` only where it failed."""

    name: UnitName
    machine: str
    active_state: str
    sub_state: str
    result: str  # systemd's Result=
    journal: tuple[str, ...] = ()  # or, of a unit that was placed nowhere, each machine's reason


@dataclass(frozen=True, slots=True)
class Check:
    """How a backend is asked whether it is well, from the machine that runs it."""

    kind: HealthKind
    address: str  # host:port
    path: str = "/"
    timeout_s: int = 2

    @classmethod
    def of(cls, health: Health, address: str) -> Self:
        """Return a service's check of what listens there."""
        return cls(health.kind, address, health.path, health.timeout_s)


@dataclass(frozen=True, slots=True)
class Glance:
    """A machine, looked at once more in the middle of a deploy."""

    boot_id: str
    digests: Mapping[UnitName, str]  # sha256 of each unit's file; "" where there is none


class ClusterDriver(Protocol):
    """Somewhere units run: fleet, or plain systemd on machines reached over SSH."""

    def observe(self, names: Collection[UnitName]) -> Observation:
        """Take one snapshot of every machine: all units of the kit, and whatever stands under `names`.

        Costs one round trip a machine, all at once. A machine that is silent is in `unreachable`.
        """
        ...

    def apply(self, change: Change) -> tuple[UnitOutcome, ...]:
        """Stop, remove, write, reload once, start; return what became of `stop`, `remove` and `start`.

        Returns when systemd has finished the jobs. Safe to repeat. Raises `Unreachable` or `CommandFailed`
        when the machine could not be asked; a unit that does not start is an outcome, not an exception.
        Where the cluster places units itself, an outcome's machine is where it went, "" for nowhere.
        """
        ...

    def apply_all(
        self, changes: Sequence[Change], *, timeout_s: int = 300
    ) -> Mapping[str, tuple[UnitOutcome, ...] | KitError]:
        """Make one change a machine, all at once; return each change's outcomes, or what went wrong with it.

        Keyed by the changes' machines. Costs a number of round trips that doesn't grow with the units.
        `timeout_s` bounds each wait for what the cluster does by itself.
        """
        ...

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        """Wait until all units are active and the checks pass; say how they are, and whether it came true.

        Comes back early when a unit has failed. One round trip, however long it takes.
        """
        ...

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        """Have sidekicks deregister and stay out, until `let_in` or a restart, and look at files of units.

        Returns once they have been asked; one that does not run is left alone. One round trip.
        """
        ...

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        """Have sidekicks register again once their units are well; those that were not held out go on."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """What to look at from one machine. Without `container` there are only backends to ask."""

    machine: str
    checks: tuple[Check, ...]
    container: str = ""
    balancer: str = ""  # host:port on which the balancer listens
    requests: int = 0


@dataclass(frozen=True, slots=True)
class WatcherWord:
    """What a balancer's watcher says of itself, each "" or empty where all is well."""

    etcd_problem: str = ""
    held: frozenset[str] = frozenset()  # servers that it keeps in the pool though etcd has them no more
    configuration_problem: str = ""  # why what is configured is not what runs
    configuration_differs: tuple[str, ...] = ()  # files that are not as Nginx runs them


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen from one machine."""

    backends: Mapping[str, str]  # host:port -> "" where it answers, else what it said
    pool: frozenset[str] | None = None  # the servers of the running pool; None: it can't be told
    pool_error: str = ""
    codes: tuple[int, ...] = ()  # of the requests that came to their end, 0 for no answer
    served: Mapping[str, int] = field(default_factory=dict)  # host:port -> requests that it answered
    log_error: str = ""  # why the balancer's log, which tells who served, could not be read
    watcher: WatcherWord = field(default_factory=WatcherWord)


@dataclass(frozen=True, slots=True)
class FileChange:
    """What one machine is to have below /etc/coreos-kit/<project>/, and what no more, by name."""

    write: Mapping[str, Secret] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


class MachineFiles(Protocol):
    """Files that only root may read, below /etc/coreos-kit/<project>/ on each machine, for any driver."""

    def look(self) -> Mapping[str, SeenFiles | KitError]:
        """Ask every machine which files it has; one round trip a machine, all at once. No content travels."""
        ...

    def change(self, changes: Mapping[str, FileChange]) -> Mapping[str, KitError]:
        """Write and remove, each file atomically; return what went wrong, by machine. Safe to repeat."""
        ...


SecretReader = Callable[[SecretSource], Secret]
"""Reads a secret here; raises `InvalidConfig` where it is missing. Asked twice, it reads once."""


class Prober(Protocol):
    """Looks at the balancer's end of the chain, from the machine that the balancer runs on."""

    def probe(self, order: ProbeOrder) -> Probe:
        """Ask backends and pool, and send requests through the balancer; one round trip.

        Raises `Unreachable` or `CommandFailed` when the machine can't be asked.
        """
        ...


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> float:
        """Return seconds that only grow."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch, as this workstation has them."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass."""
        ...


class Checkout(Protocol):
    """The workspace as git sees it. Asks and never raises: a workspace need not be in git."""

    def revision(self) -> Revision:
        """Return what is checked out; an empty one where git does not know."""
        ...

    def is_older_than(self, commit: str) -> bool | None:
        """Tell whether what is checked out is a true ancestor of `commit`; None: it can't be told."""
        ...


class Engine(Protocol):
    """The container engine (docker or podman) on one machine."""

    def pull(self, reference: str) -> str:
        """Pull an image and return its digest, `sha256:…`, in the repository that it was pulled from."""
        ...

    def remove_container(self, container_id: str) -> None:
        """Remove a container, running or not; raises `CommandFailed`. One that is gone is no error."""
        ...


class ImageBuilder(Protocol):
    """A container engine that makes images, here or on a machine. All raise `CommandFailed` with a remedy."""

    @property
    def where(self) -> str:
        """The machine it runs on, for messages."""
        ...

    def build(self, context: bytes, reference: str, progress: Progress) -> str:
        """Build a context (a tar), tag the result and return its id; each line of it goes to `progress`."""
        ...

    def push(self, reference: str, target: str, progress: Progress) -> str:
        """Push a local image as `target` and return the digest that its registry keeps it under."""
        ...

    def image_id(self, reference: str) -> str:
        """Return the id of a local image; "" when there is none."""
        ...
