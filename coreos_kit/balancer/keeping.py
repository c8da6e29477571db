"""When a server that is missing from etcd leaves the pool: at once, or only after etcd has had time.

Pure: what is known, what happened and the time -> what is known now. An etcd that can't be read says nothing
about the backends, and one that has just come back may have lost registrations that their sidekicks renew
within `renew_s`: those are waited for, unless it was away for less than that. When most of the pool is
missing at once, `stampede` says what stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Iterable, Optional, Tuple

from .pool import sort_servers
from .stampede import Leavers

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
    seen_at: float = float("-inf")
    awaited: Tuple[str, ...] = ()  # from before the outage, and not seen since
    back_at: float = 0.0
    leavers: Leavers = field(default_factory=Leavers)

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
            back = replace(self, lost_at=None)
            if not self._was_brief(now):
                back = replace(back, back_at=now, awaited=self.servers)
            return back.saw(servers, now)
        awaited = self._still_awaited(servers, now)
        return replace(self, seen=servers, seen_at=now, awaited=awaited).settled(now)

    def asked(self, took: Iterable[str], refused: Iterable[str], now: float) -> Kept:
        """Servers of `leavers` were asked for a connection, and these took one or refused it."""
        if self.lost_at is not None:
            return self
        leavers = self.leavers.asked(took, refused, now)
        down = without(self.leavers.servers, leavers.servers)
        return replace(self, leavers=leavers, servers=without(self.servers, down)).settled(now)

    def settled(self, now: float) -> Kept:
        """Additions count at once; removals too, but for a stampede and what etcd's return may bring back."""
        if self.lost_at is not None:
            return self
        awaited = self.awaited if now < self.back_at + self.hold_s else ()
        present = sort_servers((*self.seen, *awaited)) if awaited else self.seen
        left = without(self.servers, (*present, *self.leavers.servers))
        leavers = self.leavers.after(present, left, now, self.hold_s)
        servers = sort_servers((*present, *leavers.held)) if leavers.held else present
        return replace(self, servers=servers, awaited=awaited, leavers=leavers)

    def _was_brief(self, now: float) -> bool:
        """Whether whoever renewed in time before has time left: a TTL is more than two renewals."""
        return now - self.seen_at < self.hold_s - SETTLING_S

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
