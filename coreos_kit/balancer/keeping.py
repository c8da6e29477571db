"""When a server that is missing from etcd leaves the pool: at once, or only after etcd has had time.

Pure: what is known, what happened and the time -> what is known now. An etcd that can't be read says nothing
about the backends, and one that has just come back may have lost registrations that their sidekicks renew
within `renew_s`: those are waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from .pool import sort_servers

# In v2 nothing expires without a leader, and everything overdue does half a second after there is one again:
# what is read before that says nothing yet.
SETTLING_S = 2.0


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
    awaited: Tuple[str, ...] = ()  # from before the outage, and not seen since
    back_at: float = 0.0

    @property
    def connected(self) -> bool:
        """Whether the last attempt to read etcd succeeded."""
        return self.lost_at is None

    @property
    def held(self) -> Tuple[str, ...]:
        """The servers that are in the pool although etcd does not have them (now)."""
        return without(self.servers, self.seen)

    def lost(self, now: float) -> Kept:
        """Etcd can't be read: keep what is there."""
        return self if self.lost_at is not None else replace(self, lost_at=now)

    def saw(self, servers: Tuple[str, ...], now: float) -> Kept:
        """Etcd was read, and these are its servers."""
        if self.lost_at is not None:
            back = replace(self, lost_at=None, back_at=now, awaited=self.servers)
            return back.saw(servers, now)
        return replace(self, seen=servers, awaited=self._still_awaited(servers, now)).settled(now)

    def settled(self, now: float) -> Kept:
        """Additions count at once; removals too, but for what etcd's return may still bring back.

        The place for a floor under how much of a pool may vanish at once is here.
        """
        if self.lost_at is not None:
            return self
        if now >= self.back_at + self.hold_s:
            return replace(self, servers=self.seen, awaited=())
        return replace(self, servers=sort_servers((*self.seen, *self.awaited)))

    def _still_awaited(self, seen: Tuple[str, ...], now: float) -> Tuple[str, ...]:
        if not self.awaited:
            return ()
        if now < self.back_at + SETTLING_S:
            return sort_servers((*self.awaited, *seen))
        return without(self.awaited, seen)


def without(servers: Tuple[str, ...], others: Tuple[str, ...]) -> Tuple[str, ...]:
    """Return the servers that are not among `others`, in their order."""
    known = set(others)
    return tuple(server for server in servers if server not in known)
