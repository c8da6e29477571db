"""The chain from a unit to a request that reaches it, link by link, each with its verdict."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from coreos_kit.model.ghosts import Ghost
from coreos_kit.model.names import UnitName


class LinkName(StrEnum):
    """The eight links, in the order in which each rests on the ones before."""

    UNIT = "unit"
    CONTAINER = "container"
    KEY = "key"
    VALUE = "value"
    TTL = "ttl"
    BACKEND = "backend"
    POOL = "pool"
    REQUEST = "request"


class State(StrEnum):
    """What can be said of a link; what could not be looked at is unknown, never ok.

    What somebody stopped by hand and holds is held: neither broken nor ok.
    """

    OK = "ok"
    HELD = "held"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Link:
    """One link, with where it was looked at, what should be there, what is, and what to do about it."""

    name: LinkName
    state: State
    machine: str
    expected: str
    seen: str
    remedy: str = ""


# The links that a link can't hold without: of what is broken, the first is what has to be mended.
RESTS_ON = {
    LinkName.CONTAINER: (LinkName.UNIT,),
    LinkName.KEY: (LinkName.UNIT, LinkName.CONTAINER),
    LinkName.VALUE: (LinkName.KEY,),
    LinkName.TTL: (LinkName.KEY,),
    LinkName.BACKEND: (LinkName.UNIT, LinkName.CONTAINER),
    LinkName.POOL: (LinkName.KEY, LinkName.VALUE),
    LinkName.REQUEST: (LinkName.BACKEND, LinkName.POOL),
}


@dataclass(frozen=True, slots=True)
class Chain:
    """The links of one unit on one machine; `machine` is "" where it stands nowhere."""

    unit: UnitName
    machine: str
    links: tuple[Link, ...]

    def with_causes(self) -> Self:
        """Return the chain in which a link that fails for another one says so, and has no remedy of its own.

        To restart a balancer because a key is missing would mend nothing, and cost requests.
        """
        broken = {link.name for link in self.links if link.state is State.BROKEN}
        return replace(self, links=tuple(_with_cause(link, broken) for link in self.links))


def _with_cause(link: Link, broken: Collection[LinkName]) -> Link:
    cause = next((name for name in RESTS_ON.get(link.name, ()) if name in broken), None)
    if link.state is not State.BROKEN or cause is None:
        return link
    return replace(link, seen=f"{link.seen}; follows from {cause}", remedy="")


@dataclass(frozen=True, slots=True)
class Verdict:
    """All chains of a cluster, in the configured order, balancers last, and what is there beside them."""

    chains: tuple[Chain, ...]
    unreachable: tuple[str, ...] = ()  # "machine: why", of every machine that said nothing
    ghosts: tuple[Ghost, ...] = ()
    unseen: tuple[str, ...] = ()  # "what: why", of whatever else could not be looked at

    @property
    def links(self) -> tuple[Link, ...]:
        """Every link of every chain."""
        return tuple(link for chain in self.chains for link in chain.links)

    def count(self, state: State) -> int:
        """Return how many links are in that state."""
        return sum(link.state is state for link in self.links)

    @property
    def ok(self) -> bool:
        """Whether every link holds or is held, everything was seen, and there is nothing beside."""
        return (
            bool(self.chains)
            and all(link.state in (State.OK, State.HELD) for link in self.links)
            and not (self.unreachable or self.ghosts or self.unseen)
        )

    @property
    def may_come_right(self) -> bool:
        """Whether time alone may mend something; some ghosts stay until somebody acts."""
        return (
            any(link.state in (State.BROKEN, State.UNKNOWN) for link in self.links)
            or bool(self.unreachable or self.unseen)
            or any(ghost.may_pass for ghost in self.ghosts)
        )

    @property
    def exit_code(self) -> int:
        """0: all hold; 1: something is broken; 4: nothing is known to be broken, but something is unknown."""
        if self.ok:
            return 0
        return 1 if self.count(State.BROKEN) or self.ghosts or not self.chains else 4
