"""What coreos-kit.toml says, after it has been checked: the project, and each cluster that it can run on.

Overrides of a cluster are applied already: a `Cluster` carries its own services and balancers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import Profile
from coreos_kit.model.secret import RegistryLogin, SecretSource
from coreos_kit.model.services import LoadBalancer, Service


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

    def sidekick_of(self, unit: UnitName) -> UnitName | None:
        """Return the sidekick of a service's main unit, configured or not; any other unit has none."""
        for service in self.services:
            if service.sidekick and unit.is_instance and unit.template == service.template:
                return service.sidekick.instantiate(unit.instance or "")
        return None

    def main_of(self, unit: UnitName) -> UnitName:
        """Return the unit that a sidekick belongs to, configured or not; any other unit is its own."""
        for service in self.services:
            if unit.is_instance and unit.template == service.sidekick:
                return service.template.instantiate(unit.instance or "")
        return unit


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
