"""What is there and should not be: the lies that no link of a chain would show."""

from dataclasses import dataclass
from enum import StrEnum

from coreos_kit.model.names import UnitName


class GhostKind(StrEnum):
    """What kind of lie it is."""

    KEY_WITHOUT_UNIT = "key-without-unit"
    WRONG_MACHINE = "wrong-machine"  # a registration whose key and value name two machines
    WRONG_PORT = "wrong-port"
    OUTSIDE_NETWORK = "outside-network"
    NONSENSE = "nonsense"
    UNKNOWN_MACHINE = "unknown-machine"
    NOT_RENEWED = "not-renewed"
    OTHER_API = "other-api"
    POOL_WITHOUT_KEY = "pool-without-key"
    BALANCER_CONFIGURATION = "balancer-configuration"
    BALANCER_DEAF = "balancer-deaf"
    CONTAINER_WITHOUT_UNIT = "container-without-unit"
    UNIT_EDITED = "unit-edited"
    UNIT_MISPLACED = "unit-misplaced"
    UNIT_TWICE = "unit-twice"
    UNIT_NOT_CONFIGURED = "unit-not-configured"
    SAME_MACHINE_ID = "same-machine-id"


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """Delete a key, if it still holds the value that was seen."""

    key: str
    value: str

    def __str__(self) -> str:
        """Say what will be done."""
        return f"delete the key {self.key}, if it holds the same value still"


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove one container, running or not."""

    machine: str
    id: str
    name: str

    def __str__(self) -> str:
        """Say what will be done."""
        return f"remove the container {self.name} ({self.id[:12]}) on {self.machine}"


@dataclass(frozen=True, slots=True)
class RewriteUnit:
    """Write a unit's file as it was deployed; nothing is started or stopped."""

    machine: str
    unit: UnitName
    text: str

    def __str__(self) -> str:
        """Say what will be done."""
        return f"write {self.unit} on {self.machine} as it was deployed; what runs goes on"


Mend = DeleteKey | RemoveContainer | RewriteUnit


@dataclass(frozen=True, slots=True)
class Ghost:
    """One lie: what about, where, what should be, what is, which command mends it."""

    kind: GhostKind
    machine: str  # "" where no machine of the cluster is meant
    subject: str  # the key, the unit, the container, the balancer
    expected: str
    seen: str
    remedy: str
    mend: Mend | None = None  # what `verify --fix` would do; None: it leaves it
    may_pass: bool = False  # time alone may take it away
