"""What the operator allows a plan beyond the ordinary."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator allows beyond the ordinary."""

    skip: frozenset[str] = frozenset()  # machines that are left as they are
    evacuate: frozenset[str] = frozenset()  # machines whose units move
    allow_remove: frozenset[str] = frozenset()  # services that may vanish as a whole
