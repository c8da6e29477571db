"""Who holds a project's lock: what is written into etcd under a lease, and what is read there."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

LEASE_S = 30  # so long the lock outlives a holder that was killed
RENEW_S = 10


@dataclass(frozen=True, slots=True)
class Author:
    """Who works on a cluster, from where."""

    owner: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, since when by the clock of `host`, and with which command."""

    owner: str
    host: str
    pid: int
    since: str
    command: str
    nonce: str  # makes each holder's value one of its own

    def text(self) -> str:
        """Return what stands in etcd."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, value: str) -> "Holder":
        """Read what stands in etcd, whoever wrote it: what is not to be understood is "unknown"."""
        try:
            found: Any = json.loads(value)
        except (ValueError, RecursionError):
            found = None
        words = found if isinstance(found, dict) else {}
        texts = {
            field.name: word if isinstance(word := words.get(field.name), str) and word else "unknown"
            for field in fields(cls)
        }
        pid = words.get("pid")
        return cls(**{**texts, "pid": pid if isinstance(pid, int) else 0})  # type: ignore[arg-type]

    def __str__(self) -> str:
        """Say who it is, from where and since when."""
        return (
            f"{self.owner} on {self.host} (process {self.pid})"
            f" with {self.command}, since {self.since} by its clock"
        )


def as_time(seconds: float) -> str:
    """Write seconds since the epoch as people and programs read them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
