"""What there is in a cluster: the units of its registry, its machines, and what these say of units."""

from dataclasses import dataclass, field

from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.testing.fleetctl.host import Host
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.x_fleet import UnitRequirements

INACTIVE, LOADED, LAUNCHED = "inactive", "loaded", "launched"

HEARTBEAT_S = 24.0
DEAF_S = 1.0


@dataclass(slots=True)
class Watch:
    """When engine or agent go their next round, and until when they hear of no change.

    fleet's watch takes one change, sleeps a second, and then says so if the change was one of interest.
    What comes in that second is missed, and has to wait for the round.
    """

    at: float = 0.0
    deaf_until: float = 0.0

    def hear(self, now: float, *, is_of_interest: bool) -> None:
        """Take a change in, unless it falls into the second after another."""
        if now < self.deaf_until:
            return
        self.deaf_until = now + DEAF_S
        if is_of_interest:
            self.at = min(self.at, now + DEAF_S)


@dataclass(slots=True)
class Job:
    """A unit in the registry."""

    name: str
    text: str  # as fleet makes it of the file
    desired: str = INACTIVE
    target: str = ""  # a machine's id
    everywhere: list[str] = field(default_factory=list)  # the machines of a global unit
    heartbeat: str = ""  # the machine that says it has launched it

    @property
    def requirements(self) -> UnitRequirements:
        """What [X-Fleet] asks."""
        return UnitRequirements.as_found(UnitName.parse(self.name), self.text)

    @property
    def is_global(self) -> bool:
        """Whether every machine that may run it does."""
        return self.requirements.is_global

    @property
    def hash(self) -> str:
        """The 40 digits by which fleet knows the text."""
        return fleet_hash(self.text)


@dataclass(slots=True)
class Loaded:
    """A unit as the agent of a machine knows it."""

    hash: str
    launched: bool = False


@dataclass(slots=True)
class Published:
    """What an agent says of a unit."""

    active: str
    sub: str
    hash: str


@dataclass(slots=True)
class Member:
    """A machine: fleetd's agent, systemd, and what the registry has of it."""

    id: str
    ip: str
    metadata: dict[str, str] = field(default_factory=dict)
    has_power: bool = True
    has_fleetd: bool = True
    gone_at: float | None = None  # when the cluster takes it for dead
    is_listed: bool = True
    watch: Watch = field(default_factory=Watch)
    publish_at: float = 0.0
    heartbeat_at: float = HEARTBEAT_S
    agent: dict[str, Loaded] = field(default_factory=dict)
    said: dict[str, Published] = field(default_factory=dict)  # by the agent, last
    ended: list[str] = field(default_factory=list)  # units of which it will say once more that they are gone
    repeat_at: float = HEARTBEAT_S
    published: dict[str, Published] = field(default_factory=dict)  # what the registry has kept of it
    host: Host = field(default_factory=Host)

    @property
    def is_working(self) -> bool:
        """Whether its agent goes its rounds."""
        return self.has_power and self.has_fleetd

    def as_machine(self) -> Machine:
        """Return it as placement sees it."""
        return Machine(self.id, self.ip, self.metadata)
