"""The cluster's state in a folder, where every run of the double finds it; one at a time holds it."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreos_kit.ports import Clock
from coreos_kit.testing.fleetctl.cluster import FleetCluster
from coreos_kit.testing.fleetctl.host import Host, Run
from coreos_kit.testing.fleetctl.members import HEARTBEAT_S, Job, Loaded, Member, Published, Watch
from coreos_kit.testing.fleetctl.processes import Story

LATEST = "1.0.0"


@dataclass(slots=True)
class Kept:
    """What is in the folder."""

    cluster: FleetCluster
    version: str = LATEST
    seen: float = 0.0  # the clock's time when it was kept, to know how much has passed since


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A folder with the cluster's state, and the clock that moves it; `speed` makes it run faster."""

    path: Path
    clock: Clock
    speed: float = 1.0

    def create(self, machines: Mapping[str, tuple[str, Mapping[str, str]]], *, version: str = LATEST) -> None:
        """Begin with these machines (id -> address and metadata), all well and without any unit."""
        self.path.mkdir(parents=True, exist_ok=True)
        members = [
            Member(id_, ip, dict(metadata), repeat_at=HEARTBEAT_S * (1 + index / len(machines)))
            for index, (id_, (ip, metadata)) in enumerate(machines.items())
        ]
        self._write(Kept(FleetCluster(members), version, self.clock.now()))

    @contextmanager
    def opened(self) -> Iterator[Kept]:
        """Hold the state as it is at this moment; what is changed is kept."""
        with (self.path / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = read_kept(json.loads((self.path / "state.json").read_text()))
            passed = max(0.0, self.clock.now() - kept.seen)
            kept.cluster.advance(kept.cluster.now + passed * self.speed)
            kept.seen += passed
            yield kept
            self._write(kept)

    def sleep(self, seconds: float) -> None:
        """Let that much of the cluster's time pass."""
        self.clock.sleep(seconds / self.speed)

    def _write(self, kept: Kept) -> None:
        part = self.path / "state.json.part"
        part.write_text(json.dumps(kept, default=_fields))
        part.replace(self.path / "state.json")


def read_kept(said: dict[str, Any]) -> Kept:
    """Read what was written."""
    cluster = said["cluster"]
    return Kept(
        cluster=FleetCluster(
            **cluster
            | {
                "engine": Watch(**cluster["engine"]),
                "members": [_member(member) for member in cluster["members"]],
                "jobs": {name: Job(**job) for name, job in cluster["jobs"].items()},
            }
        ),
        version=said["version"],
        seen=said["seen"],
    )


def _fields(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields; `asdict` copies all of it deeply, which is slow for hundreds of units."""
    return {name: getattr(value, name) for name in value.__slots__}


def _member(said: dict[str, Any]) -> Member:
    host = said["host"]
    return Member(
        **said
        | {
            "watch": Watch(**said["watch"]),
            "agent": {name: Loaded(**known) for name, known in said["agent"].items()},
            "said": {name: Published(**state) for name, state in said["said"].items()},
            "published": {name: Published(**state) for name, state in said["published"].items()},
            "host": Host(
                **host
                | {
                    "runs": {name: Run(**run) for name, run in host["runs"].items()},
                    "stories": [Story(**story) for story in host["stories"]],
                }
            ),
        }
    )
