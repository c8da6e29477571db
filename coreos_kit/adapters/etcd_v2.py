"""Keys of etcd's v2 API, over HTTP: one recursive question brings every key with the time it has left."""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials, LoginRefused
from coreos_kit.adapters.etcd_http import http_ask
from coreos_kit.adapters.limits import MAX_KEYS
from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi

# etcd's own error codes, in the body of a 404 and a 412.
_KEY_NOT_FOUND = 100
_COMPARE_FAILED = 101
_IS_A_FOLDER = 102
_IS_THERE = 105
_NO_FORM = 210

_LEASE = "the key's own"  # v2 knows no leases


@dataclass(frozen=True, slots=True)
class V2Store:
    """The v2 keys of one etcd. Each question has a connection of its own."""

    address: EtcdAddress
    credentials: EtcdCredentials
    timeout_s: float = 5

    @property
    def api(self) -> EtcdApi:
        """Always v2."""
        return EtcdApi.V2

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """Return every key below `prefix` in order.

        Asks through the cluster's leader (`quorum`): a member that is cut off would go on showing
        registrations that have run out.
        """
        status, answer, body = self._ask("GET", f"{_path(prefix)}?recursive=true&quorum=true")
        if status == http.client.OK and isinstance(answer.get("node"), dict):
            with self._understood():
                return tuple(sorted(_entries_below(answer["node"]), key=lambda entry: entry.key))
        if status == http.client.NOT_FOUND and answer.get("errorCode") == _KEY_NOT_FOUND:
            return ()
        raise self._refusal(status, answer, body)

    def entry(self, key: str) -> EtcdEntry | None:
        """Return one key; a folder of that name is none."""
        node = self._node(key)
        with self._understood():
            return None if node is None or node.get("dir") else _entry(node)

    def put(self, key: str, value: str) -> None:
        """Write a key; a TTL that it had is gone."""
        status, answer, body = self._ask("PUT", _path(key), {"value": value})
        if status not in {http.client.OK, http.client.CREATED}:
            raise self._refusal(status, answer, body)

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """Write a key that is not there; `renew` needs nothing but its value."""
        words = {"value": value, "ttl": str(ttl_s), "prevExist": "false"}
        status, answer, body = self._ask("PUT", _path(key), words)
        if status == http.client.CREATED:
            return _LEASE
        if answer.get("errorCode") not in (_IS_THERE, _IS_A_FOLDER):
            raise self._refusal(status, answer, body)
        node = self._node(key)
        return _LEASE if node is not None and _holds(node, value) else None

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """Write the very version of the key that was seen to hold `value` once more."""
        del lease  # the time is the key's own
        return self._change_if_value("PUT", key, value, {"value": value, "ttl": str(ttl_s)})

    def delete_if_value(self, key: str, value: str) -> bool:
        """Delete the very version of the key that was seen to hold `value`."""
        return self._change_if_value("DELETE", key, value)

    def _change_if_value(
        self, method: str, key: str, value: str, words: Mapping[str, str] | None = None
    ) -> bool:
        """Not with `prevValue`: that knows no empty value, and a long one does not fit into an address."""
        node = self._node(key)
        if node is None or not _holds(node, value):
            return False
        with self._understood():
            question = f"{_path(key)}?prevIndex={int(node['modifiedIndex'])}"
        status, answer, body = self._ask(method, question, words)
        if status == http.client.OK:
            return True
        if answer.get("errorCode") in (_KEY_NOT_FOUND, _COMPARE_FAILED):
            return False
        raise self._refusal(status, answer, body)

    def _node(self, key: str) -> Mapping[str, Any] | None:
        """Return a key or folder as the cluster's leader has it."""
        status, answer, body = self._ask("GET", f"{_path(key)}?quorum=true")
        node = answer.get("node")
        if status == http.client.OK and isinstance(node, dict):
            return node
        if answer.get("errorCode") == _KEY_NOT_FOUND:
            return None
        raise self._refusal(status, answer, body)

    def _ask(
        self, method: str, path: str, words: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any], bytes]:
        form = b"" if words is None else urlencode(words).encode()
        status, body = http_ask(method, self.address, self.credentials, path, self.timeout_s, form)
        return status, _as_json(body), body

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn whatever is wrong with the form of an answer into `Unreachable`: anybody may answer there."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            what = f"{type(error).__name__}: {str(error)[:100]}"
            raise Unreachable(f"what etcd {self.address.name} answers is not understood: {what}") from error

    def close(self) -> None:
        """Nothing stays open."""

    def _refusal(self, status: int, answer: Mapping[str, Any], body: bytes) -> KitError:
        name = self.address.name
        if status == http.client.NOT_FOUND and not answer:
            return Refused(
                f"etcd {name} does not serve the v2 API",
                hint='Start etcd with --enable-v2 (3.5 is the last that can), or set etcd.api = "v3".',
            )
        if answer.get("errorCode") == _NO_FORM and "too large" in str(answer.get("cause")):
            return Refused(f"etcd {name} takes no value of that size")
        if answer.get("errorCode") == _IS_A_FOLDER:
            return Refused(f"etcd {name} has a folder where a key should be: {answer.get('cause')}")
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            who = self.credentials.username or "nobody in particular"
            hint = "Set etcd.username and etcd.password_file."
            if self.credentials.username:  # v2 says the same of a wrong password
                where = "below the registrations' prefixes and below /coreos-kit/"
                hint = f"Check etcd.username and etcd.password_file. Its role needs read and write {where}."
            return LoginRefused(f"etcd {name} refuses {who}", hint=hint)
        said = answer.get("message") or answer.get("cause") or body[:200].decode("utf-8", "replace").strip()
        return Unreachable(
            f"etcd {name} answers {status}: {said}", hint="Look at its journal: has it a leader?"
        )


def _as_json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):  # whoever writes keys chooses how deep they lie
        return {}
    return answer if isinstance(answer, dict) else {}


def _entries_below(node: Mapping[str, Any]) -> Iterator[EtcdEntry]:
    """Walk the tree without recursion; a folder is no key, and a key at the prefix does not lie below it."""
    waiting = list(node.get("nodes") or ())
    seen = 0
    while waiting:
        child = waiting.pop()
        if child.get("dir"):
            waiting += child.get("nodes") or ()
            continue
        seen += 1
        if seen > MAX_KEYS:
            raise KitError(f"more than {MAX_KEYS} keys below {node.get('key')}")
        yield _entry(child)


def _entry(node: Mapping[str, Any]) -> EtcdEntry:
    ttl = node.get("ttl")
    return EtcdEntry(
        key=str(node.get("key", "")),
        value=str(node.get("value", "")),
        ttl_left_s=float(ttl) if ttl is not None else None,
    )


def _holds(node: Mapping[str, Any], value: str) -> bool:
    return not node.get("dir") and node.get("value") == value


def _path(key: str) -> str:
    return f"/v2/keys{quote('/' + key.strip('/'))}"
