"""What runs: services with their instances, and the balancers in front of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from coreos_kit.model.names import UnitName

DISCOVERY_SUFFIX = "-discovery"


def is_port(instance: str) -> bool:
    """Whether an instance is a port as well: its number. Words say nothing of where it listens."""
    return instance.isdigit()


def server_of(private_ip: str, instance: str) -> str:
    """Return what an instance is called in etcd and in the pools; of a port it is the address as well."""
    return f"{private_ip}:{instance}"


def container_name(unit: UnitName) -> str:
    """Return the name that a unit gives its container, e.g. ``apache.7777`` for ``apache@7777.service``."""
    return f"{unit.prefix}.{unit.instance}" if unit.instance else unit.prefix


class HealthKind(StrEnum):
    """How a backend is asked whether it is well."""

    HTTP = "http"
    TCP = "tcp"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Health:
    """One check of a backend; `fall` failures in a row take it out, a refused connection at once."""

    kind: HealthKind = HealthKind.HTTP
    path: str = "/"
    timeout_s: int = 2
    fall: int = 3


class KeyForm(StrEnum):
    """What a registration's key ends in."""

    IP = "ip"
    IP_PORT = "ip-port"


@dataclass(frozen=True, slots=True)
class Registration:
    """What the sidekick keeps alive in etcd: `<prefix>/<private ip>` = `<private ip>:<instance>`."""

    prefix: str
    key: KeyForm = KeyForm.IP
    ttl_s: int = 30
    renew_s: int = 10
    drain_s: int = 2

    def key_for(self, private_ip: str, instance: str) -> str:
        """Return the whole key of one instance on the machine with that private address."""
        last = private_ip if self.key is KeyForm.IP else f"{private_ip}-{instance}"
        return f"{self.prefix}/{last}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What `[X-Fleet]` gets from the configuration, each as it is written there."""

    conflicts: tuple[str, ...] = ()
    machine_metadata: tuple[str, ...] = ()  # "key=value" each
    machine_id: str = ""
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """How the running instances of a service are changed."""

    max_unavailable: int = 1  # instances that may be down at the same time
    pause_s: int = 0  # between the last one that is back and the next
    allow_downtime: bool = False  # whether all of them may be down


@dataclass(frozen=True, slots=True)
class Service:
    """A template unit that runs a container, with its instances in the configured order."""

    name: str
    image: str
    command: str
    container_port: int | None
    instances: tuple[str, ...]
    requirements: Requirements = field(default_factory=Requirements)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # variable -> name of a secret
    volumes: tuple[str, ...] = ()
    run_args: tuple[str, ...] = ()
    stop_timeout_s: int = 10
    stop_signal: str = ""
    health: Health = field(default_factory=Health)
    registration: Registration | None = None
    rollout: Rollout = field(default_factory=Rollout)

    @property
    def template(self) -> UnitName:
        """The template unit, e.g. ``apache@.service``."""
        return UnitName.parse(f"{self.name}@.service")

    @property
    def sidekick(self) -> UnitName | None:
        """The template unit that registers it, e.g. ``apache-discovery@.service``."""
        return UnitName.parse(f"{self.name}{DISCOVERY_SUFFIX}@.service") if self.registration else None

    def units(self) -> tuple[UnitName, ...]:
        """Return every instance and its sidekick, in the configured order, each main unit first."""
        templates = [self.template, *([self.sidekick] if self.sidekick else [])]
        return tuple(template.instantiate(instance) for instance in self.instances for template in templates)


class Bind(StrEnum):
    """The address on which a balancer's port is published."""

    PUBLIC = "public"
    PRIVATE = "private"
    ANY = "any"


class Watcher(StrEnum):
    """What keeps the pool current inside the balancer's container."""

    KIT = "kit"
    CONFD = "confd"


@dataclass(frozen=True, slots=True)
class Confd:
    """Where the confd binary of a `watcher = "confd"` balancer comes from, and how often it polls."""

    path: str = ""
    url: str = ""
    sha256: str = ""
    interval_s: int = 10


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """Nginx in front of the service `upstream`: one plain unit, on every machine where it is global.

    With `instances` it is a template unit, and each instance one balancer; they share the port.
    """

    name: str
    image: str
    upstream: str
    port: int = 80
    bind: Bind = Bind.PUBLIC
    watcher: Watcher = Watcher.KIT
    confd: Confd = field(default_factory=Confd)
    instances: tuple[str, ...] = ()
    requirements: Requirements = field(default_factory=Requirements)
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    run_args: tuple[str, ...] = ()
    stop_timeout_s: int = 10

    @property
    def unit_file(self) -> UnitName:
        """The unit that is rendered: ``nginx_lb.service``, with instances ``nginx_lb@.service``."""
        return UnitName.parse(f"{self.name}@.service" if self.instances else f"{self.name}.service")

    @property
    def may_be_several(self) -> bool:
        """Whether more than one of it may run, so that it takes a machine or an instance to tell which."""
        return bool(self.instances) or self.requirements.is_global

    def units(self) -> tuple[UnitName, ...]:
        """Return every unit of it that runs, in the configured order; a global one runs on many machines."""
        if not self.instances:
            return (self.unit_file,)
        return tuple(self.unit_file.instantiate(instance) for instance in self.instances)

    def answers_at(self, *, public_ip: str, private_ip: str) -> str:
        """Return the address on which it answers, as the machine with those addresses can reach it itself."""
        return public_ip if self.bind is Bind.PUBLIC else private_ip or "127.0.0.1"
