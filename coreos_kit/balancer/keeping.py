"""When a server that is missing from etcd leaves the pool: at once, or only after etcd has had time.

Pure: what is known, what happened and the time -> what is known now. An etcd that can't be read says nothing
about the backends, and one that has just come back may have lost registrations whose sidekicks renew them
within `renew_s`: so nothing is removed until that has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from .pool import sort_servers


@dataclass(frozen=True)
class Kept:
    """The pool that Nginx should have, and what it rests on.

    Starts as lost: a pool that is left from before a restart is kept like one from before an outage.
    Times are of one monotonic clock, in seconds.
    """

    servers: Tuple[str, ...]
    hold_s: float
    lost_at: Optional[float] = 0.0
    seen: Tuple[str, ...] = ()
    hold_until: float = 0.0

    @property
    def connected(self) -> bool:
        """Whether the last attempt to read etcd succeeded."""
        return self.lost_at is None

    @property
    def held(self) -> Tuple[str, ...]:
        """The servers that are in the pool although etcd does not have them (now)."""
        return tuple(server for server in self.servers if server not in self.seen)

    def lost(self, now: float) -> Kept:
        """Etcd can't be read: keep what is there."""
        return self if self.lost_at is not None else replace(self, lost_at=now)

    def saw(self, servers: Tuple[str, ...], now: float) -> Kept:
        """Etcd was read, and these are its servers."""
        back = self.lost_at is not None
        hold_until = now + self.hold_s if back else self.hold_until
        return replace(self, lost_at=None, seen=servers, hold_until=hold_until).settled(now)

    def settled(self, now: float) -> Kept:
        """Additions count at once; removals too, unless etcd has only just come back.

        The place for a floor under how much of a pool may vanish at once is here.
        """
        if self.lost_at is not None:
            return self
        if now < self.hold_until:
            return replace(self, servers=sort_servers((*self.servers, *self.seen)))
        return replace(self, servers=self.seen)
