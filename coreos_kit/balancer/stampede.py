"""When more servers leave at once than stay: overload looks like that, and an etcd that lost its keys too.

Pure. A registration is also the word on a server's health, so what remains to tell overload from a stop is
whether those that left still take connections. Why these rules: docs/decisions/stampede.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, Sequence, Tuple

# For how many windows the servers of a stampede are kept at most: five minutes with the defaults.
LONGEST_WINDOWS = 25


@dataclass(frozen=True)
class Gone:
    """A server that etcd does not have any more, and that has not been seen to be down."""

    server: str
    at: float
    heard: float  # when it last took a connection; `at` before it was asked
    until: float  # when it is forgotten at the latest


@dataclass(frozen=True)
class Leavers:
    """Those that left within the last window, or in a stampede that may not be over."""

    gone: Tuple[Gone, ...] = ()
    stampede: bool = False

    @property
    def servers(self) -> Tuple[str, ...]:
        """All of them: whether they take connections is worth knowing."""
        return tuple(one.server for one in self.gone)

    @property
    def held(self) -> Tuple[str, ...]:
        """Those that stay in the pool although etcd does not have them."""
        return self.servers if self.stampede else ()

    def after(self, present: Sequence[str], left: Iterable[str], now: float, window_s: float) -> Leavers:
        """Etcd gives `present` at the time `now`, and `left` are those that it gave just before."""
        back = set(present)
        gone = [one for one in self.gone if one.server not in back and _counts(one, now, window_s)]
        gone += [Gone(server, at=now, heard=now, until=now + window_s) for server in left]
        fewer_stay = len(present) < len(gone)
        if not (fewer_stay and (self.stampede or len(_machines(gone)) > 1)):
            return Leavers(tuple(gone))
        longest_s = LONGEST_WINDOWS * window_s
        return Leavers(tuple(replace(one, until=one.at + longest_s) for one in gone), stampede=True)

    def asked(self, took: Iterable[str], refused: Iterable[str], now: float) -> Leavers:
        """Some were asked for a connection: those that took one may be kept, those that refused are down."""
        well, down = set(took), set(refused)
        gone = (one for one in self.gone if one.server not in down)
        return replace(
            self, gone=tuple(replace(one, heard=now) if one.server in well else one for one in gone)
        )


def _counts(one: Gone, now: float, window_s: float) -> bool:
    return now < one.until and now < one.heard + window_s


def _machines(gone: Iterable[Gone]) -> set[str]:
    return {one.server.partition(":")[0] for one in gone}
