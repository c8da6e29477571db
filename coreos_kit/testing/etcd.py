"""An etcd in memory that keeps the promises of `ports.EtcdStore`."""

from dataclasses import dataclass, field

from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi


@dataclass(slots=True)
class FakeEtcdStore:
    """Keys with the time they have left; time passes when a test says so."""

    api: EtcdApi = EtcdApi.V3
    is_down: bool = False
    keys: dict[str, EtcdEntry] = field(default_factory=dict)

    def put(self, key: str, value: str, ttl_s: float | None = None) -> None:
        """Write a key, under a TTL if one is given."""
        granted = ttl_s if self.api is EtcdApi.V3 else None
        self.keys[key] = EtcdEntry(key, value, ttl_s, granted)

    def pass_time(self, seconds: float) -> None:
        """Let every TTL run; keys whose time is over vanish."""
        for key, entry in list(self.keys.items()):
            if entry.ttl_left_s is None:
                continue
            left = entry.ttl_left_s - seconds
            if left > 0:
                self.keys[key] = EtcdEntry(key, entry.value, left, entry.ttl_granted_s)
            else:
                del self.keys[key]

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """See `ports.EtcdStore.entries`."""
        if self.is_down:
            raise Unreachable("etcd gives no answer: connection refused")
        folder = prefix.rstrip("/") + "/"
        return tuple(entry for key, entry in sorted(self.keys.items()) if key.startswith(folder))

    def delete_if_value(self, key: str, value: str) -> bool:
        """See `ports.EtcdStore.delete_if_value`."""
        if self.is_down:
            raise Unreachable("etcd gives no answer: connection refused")
        if key not in self.keys or self.keys[key].value != value:
            return False
        del self.keys[key]
        return True
