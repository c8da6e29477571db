"""A checkout in memory."""

from dataclasses import dataclass, field

from coreos_kit.model.release import Revision


@dataclass(slots=True)
class FakeCheckout:
    """`ports.Checkout`: what is checked out, and which commits come after it."""

    commit: str = "1" * 40
    later: set[str] = field(default_factory=set)
    is_dirty: bool = False

    def revision(self) -> Revision:
        """See `ports.Checkout.revision`."""
        return Revision(self.commit, self.is_dirty)

    def is_older_than(self, commit: str) -> bool | None:
        """See `ports.Checkout.is_older_than`."""
        return commit in self.later if commit else None
