"""A machine as placement sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SHORT_ID_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """A member of the cluster: its id (of /etc/machine-id), its private address, its metadata."""

    id: str
    address: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def short_id(self) -> str:
        """The first eight characters, as fleet prints an id."""
        return self.id[:SHORT_ID_LENGTH]

    def matches_id(self, wanted: str) -> bool:
        """Tell whether MachineID= means this machine: the whole id or exactly the short one."""
        return wanted in {self.id, self.short_id}
