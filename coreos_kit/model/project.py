"""What coreos-kit.toml says, after it has been checked: services, balancers, clusters.

Overrides of a cluster are applied already: a `Cluster` carries its own services and balancers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import Profile
from coreos_kit.model.secret import RegistryLogin, SecretSource

DISCOVERY_SUFFIX = "-discovery"


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


class DriverKind(StrEnum):
    """Who runs the units."""

    AUTO = "auto"
    FLEET = "fleet"
    SYSTEMD = "systemd"


class EtcdApi(StrEnum):
    """The two keyspaces of etcd; a key of one is invisible to the other."""

    V2 = "v2"
    V3 = "v3"

    @property
    def other(self) -> "EtcdApi":
        """The one that this is not."""
        return EtcdApi.V3 if self is EtcdApi.V2 else EtcdApi.V2


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """How etcd is reached; without `endpoints` it is etcd on each machine, port 2379, over SSH."""

    api: EtcdApi | None = None  # None: the profile's
    endpoints: tuple[str, ...] = ()
    ca: str = ""
    cert: str = ""
    key: str = ""
    username: str = ""
    password_file: str = ""

    @property
    def is_secure(self) -> bool:
        """Whether the members are asked over TLS."""
        return any(endpoint.startswith("https://") for endpoint in self.endpoints)

    @property
    def needs_files(self) -> bool:
        """Whether sidekicks and balancers need files of their own to be let in."""
        return bool(self.ca or self.cert or self.username)


@dataclass(frozen=True, slots=True)
class MachineEntry:
    """A machine of a cluster as the configuration (or the lab) names it."""

    name: str
    destination: str  # of ssh: [user@]host[:port], or an alias of ~/.ssh/config
    metadata: Mapping[str, str] = field(default_factory=dict)
    private_ip: str = ""  # "": the machine's address inside the cluster's private network
    public_ip: str = ""  # "": the source address of the machine's default route
    identity_file: str = ""  # "", "": as ssh -G says
    known_hosts_file: str = ""
    through: str = ""  # the machine over whose connection it is reached; "": ssh's own settings say how


@dataclass(frozen=True, slots=True)
class Cluster:
    """One place where the project runs, with its overrides applied."""

    name: str
    profile: Profile
    driver: DriverKind
    machines: tuple[MachineEntry, ...]
    services: tuple[Service, ...]
    load_balancers: tuple[LoadBalancer, ...]
    lab: str = ""
    private_network: str = ""  # CIDR; picks each machine's private address, and is the pool's allow-list
    push_to: str = ""
    etcd: EtcdSettings = field(default_factory=EtcdSettings)
    registry: RegistryLogin | None = None
    accept_new_host_keys: bool = False

    @property
    def etcd_api(self) -> EtcdApi:
        """The API that sidekicks write and balancers read."""
        return self.etcd.api or EtcdApi(self.profile.etcd_api)

    def service(self, name: str) -> Service | None:
        """Return the service of that name, if there is one."""
        return next((service for service in self.services if service.name == name), None)


@dataclass(frozen=True, slots=True)
class Project:
    """A whole workspace: what it is called and every cluster that it can run on."""

    root: Path
    name: str
    image_prefix: str
    base_image: str
    default_cluster: str
    clusters: Mapping[str, Cluster]
    base_images: Mapping[str, str] = field(default_factory=dict)  # of single images, by folder name
    unit_instances: Mapping[UnitName, tuple[str, ...]] = field(
        default_factory=dict
    )  # of the workspace's own template units
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    text: str = field(default="", repr=False)  # of the file, as it was read

    @property
    def file(self) -> Path:
        """The configuration file itself."""
        return self.root / "coreos-kit.toml"

    def image_reference(self, image: str) -> str:
        """Return what a machine pulls for `image`, e.g. ``user_name/apache``; a tag stays as it is."""
        return f"{self.image_prefix}/{image}" if self.image_prefix else image

    def base_image_of(self, image: str) -> str:
        """Return the distribution image that `image` builds from; its tag plays no part."""
        return self.base_images.get(image.partition(":")[0], self.base_image)
