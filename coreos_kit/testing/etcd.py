"""An etcd in memory that keeps the promises of `ports.EtcdStore`."""

from dataclasses import dataclass, field

from coreos_kit.errors import Refused, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi

LARGEST_VALUE_BYTES = 3 << 19  # what an etcd takes that nobody has configured, key and all


@dataclass(slots=True)
class FakeEtcdStore:
    """Keys with the time they have left; time passes when a test says so."""

    api: EtcdApi = EtcdApi.V3
    is_down: bool = False
    keys: dict[str, EtcdEntry] = field(default_factory=dict)
    leased: dict[str, str] = field(default_factory=dict)  # key -> what `create` returned
    leases: int = 0

    def put(self, key: str, value: str, ttl_s: float | None = None) -> None:
        """See `ports.EtcdStore.put`; a test may give a TTL, as a sidekick does."""
        self._answer()
        if len(value.encode()) > LARGEST_VALUE_BYTES:
            raise Refused("etcd takes no value of that size")
        self.leased.pop(key, None)
        self._write(key, value, ttl_s)

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
        self._answer()
        folder = prefix.rstrip("/") + "/"
        return tuple(entry for key, entry in sorted(self.keys.items()) if key.startswith(folder))

    def entry(self, key: str) -> EtcdEntry | None:
        """See `ports.EtcdStore.entry`."""
        self._answer()
        return self.keys.get(key)

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """See `ports.EtcdStore.create`."""
        self._answer()
        if key not in self.keys:
            self.leases += 1
            self.put(key, value, ttl_s)
            self.leased[key] = str(self.leases)
        return self.leased.get(key) if self.keys[key].value == value else None

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """See `ports.EtcdStore.renew`."""
        self._answer()
        if key not in self.keys or (self.keys[key].value, self.leased.get(key)) != (value, lease):
            return False
        self._write(key, value, ttl_s)
        return True

    def delete_if_value(self, key: str, value: str) -> bool:
        """See `ports.EtcdStore.delete_if_value`."""
        self._answer()
        if key not in self.keys or self.keys[key].value != value:
            return False
        del self.keys[key]
        return True

    def _answer(self) -> None:
        if self.is_down:
            raise Unreachable("etcd gives no answer: connection refused")

    def _write(self, key: str, value: str, ttl_s: float | None) -> None:
        granted = ttl_s if self.api is EtcdApi.V3 else None
        self.keys[key] = EtcdEntry(key, value, ttl_s, granted)
