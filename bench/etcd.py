"""etcd's keys and leader through its JSON gateway, as somebody without the kit would see and change them."""

import base64
import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Etcd:
    """One member, or a gateway to one."""

    address: str

    def put(self, key: str, value: str) -> None:
        """Set a key without a TTL."""
        self._post("kv/put", {"key": _encoded(key), "value": _encoded(value)})

    def delete(self, key: str) -> None:
        """Take a key away; one that is not there is no error."""
        self._post("kv/deleterange", {"key": _encoded(key)})

    def has(self, key: str) -> bool:
        """Tell whether the key is there."""
        return bool(self._post("kv/range", {"key": _encoded(key), "count_only": True}).get("count"))

    def member_id(self) -> str:
        """Return the id of the member that answers."""
        return str(self._status()["header"]["member_id"])

    def leader_id(self) -> str:
        """Return the id of the member that leads, as this one knows it."""
        return str(self._status()["leader"])

    def hand_leadership_to(self, member_id: str) -> None:
        """Make another member lead; only the one that leads can be told."""
        self._post("maintenance/transfer-leadership", {"targetID": member_id})

    def _status(self) -> Any:
        return self._post("maintenance/status", {})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}:2379/v3/{path}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)


def make_leader(members: Sequence[Etcd], wanted: Etcd) -> None:
    """Hand the leadership to one of the members; it may have it already."""
    target = wanted.member_id()
    leader = wanted.leader_id()
    if leader != target:
        next(member for member in members if member.member_id() == leader).hand_leadership_to(target)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
