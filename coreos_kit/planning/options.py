"""What a plan heeds beside what is wanted and what was seen."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from coreos_kit.model.names import UnitName


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator allows beyond the ordinary, and what etcd knows."""

    skip: frozenset[str] = frozenset()  # machines that are left as they are
    evacuate: frozenset[str] = frozenset()  # machines whose units move
    allow_remove: frozenset[str] = frozenset()  # services that may vanish as a whole
    cordoned: frozenset[str] = frozenset()  # machines that get nothing new
    drained: frozenset[str] = frozenset()  # those that lose what can move
    held_units: frozenset[UnitName] = frozenset()  # stopped by hand, and left as they are
    recorded: Mapping[UnitName, Collection[str]] = field(default_factory=dict)  # where the last deploy put it
