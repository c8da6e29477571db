"""Keys of etcd's v2 API, over HTTP: one recursive question brings every key with the time it has left."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials, LoginRefused
from coreos_kit.adapters.limits import MAX_KEYS, MAX_OUTPUT_BYTES
from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi

# etcd's own error codes, in the body of a 404 and a 412.
_KEY_NOT_FOUND = 100
_COMPARE_FAILED = 101


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
        path = quote("/" + prefix.strip("/"))
        question = f"/v2/keys{path}?recursive=true&quorum=true"
        status, body = http_get(self.address, self.credentials, question, self.timeout_s)
        answer = _as_json(body)
        if status == http.client.OK and isinstance(answer.get("node"), dict):
            return tuple(sorted(_entries_below(answer["node"]), key=lambda entry: entry.key))
        if status == http.client.NOT_FOUND and answer.get("errorCode") == _KEY_NOT_FOUND:
            return ()
        raise self._refusal(status, answer, body)

    def delete_if_value(self, key: str, value: str) -> bool:
        """Delete the very version of the key that was seen to hold `value`.

        Not with `prevValue`: that knows no empty value, and a long one does not fit into an address.
        """
        path = f"/v2/keys{quote('/' + key.strip('/'))}"
        status, body = http_ask("GET", self.address, self.credentials, f"{path}?quorum=true", self.timeout_s)
        answer = _as_json(body)
        node = answer.get("node")
        if status == http.client.OK and isinstance(node, dict):
            if node.get("dir") or node.get("value") != value:
                return False
            question = f"{path}?prevIndex={int(node['modifiedIndex'])}"
            status, body = http_ask("DELETE", self.address, self.credentials, question, self.timeout_s)
            answer = _as_json(body)
            if status == http.client.OK:
                return True
        if answer.get("errorCode") in (_KEY_NOT_FOUND, _COMPARE_FAILED):
            return False
        raise self._refusal(status, answer, body)

    def close(self) -> None:
        """Nothing stays open."""

    def _refusal(self, status: int, answer: Mapping[str, Any], body: bytes) -> KitError:
        name = self.address.name
        if status == http.client.NOT_FOUND and not answer:
            return Refused(
                f"etcd {name} does not serve the v2 API",
                hint='Start etcd with --enable-v2 (3.5 is the last that can), or set etcd.api = "v3".',
            )
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            who = self.credentials.username or "nobody in particular"
            return LoginRefused(
                f"etcd {name} refuses {who}", hint="Set etcd.username and etcd.password_file."
            )
        said = answer.get("message") or answer.get("cause") or body[:200].decode("utf-8", "replace").strip()
        return Unreachable(
            f"etcd {name} answers {status}: {said}", hint="Look at its journal: has it a leader?"
        )


def http_get(
    address: EtcdAddress, credentials: EtcdCredentials, path: str, timeout_s: float
) -> tuple[int, bytes]:
    """Ask one etcd over HTTP; return the status and the body. `Unreachable` when there is no answer."""
    return http_ask("GET", address, credentials, path, timeout_s)


def http_ask(
    method: str, address: EtcdAddress, credentials: EtcdCredentials, path: str, timeout_s: float
) -> tuple[int, bytes]:
    """Ask with any method, as `http_get` does."""
    headers = {"Accept": "application/json"}
    if credentials.username:
        pair = f"{credentials.username}:{credentials.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    connection: http.client.HTTPConnection
    if address.is_secure:
        connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=timeout_s, context=credentials.ssl_context()
        )
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read(MAX_OUTPUT_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"etcd {address.name} gives no answer: {_reason(error)}") from error
    finally:
        connection.close()
    if len(body) > MAX_OUTPUT_BYTES:
        raise KitError(
            f"etcd {address.name} answers with more than {MAX_OUTPUT_BYTES >> 20} MB to {method} {path}"
        )
    return response.status, body


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, (ConnectionRefusedError, http.client.RemoteDisconnected, ConnectionResetError)):
        return "connection refused"  # through a tunnel a refusal is a connection that closes at once
    return str(error) or type(error).__name__


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
        ttl = child.get("ttl")
        yield EtcdEntry(
            key=str(child.get("key", "")),
            value=str(child.get("value", "")),
            ttl_left_s=float(ttl) if ttl is not None else None,
        )
