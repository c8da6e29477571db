"""The registrations as etcd has them, and waiting until they change: API v3 over its JSON gateway, or v2.

Reading is the only source of truth: a watch says that something changed, never what. So a lost event costs
at most one `wait`, and a resync is the same as any read.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import quote

from .pool import MAX_REGISTRATIONS, shown
from .wire import Answer, Unreachable, ask

_GATEWAYS = ("/v3", "/v3beta")  # 3.4 and later, 3.3
_INDEX_CLEARED = 401
_KEY_NOT_FOUND = 100


@dataclass(frozen=True)
class Snapshot:
    """Key -> value of everything under the prefix, at `revision` (v3) or etcd index (v2)."""

    registrations: Mapping[str, str]
    revision: int


class EtcdV3:
    """Reads and watches through the JSON gateway, which needs no client library."""

    def __init__(self, host: str, port: int, prefix: str) -> None:
        self._address = (host, port)
        self._gateway: Optional[str] = None
        first = prefix.rstrip("/").encode() + b"/"
        self._range = {"key": _b64(first), "range_end": _b64(first[:-1] + b"0")}  # "0" follows "/"

    def read(self) -> Snapshot:
        """Read all registrations, linearizably: without a quorum this fails. Raises `Unreachable`."""
        answer = self._ask_gateway({**self._range, "limit": MAX_REGISTRATIONS + 1})
        try:
            registrations = {_text(kv["key"]): _text(kv.get("value", "")) for kv in answer.get("kvs", ())}
            return Snapshot(registrations, int(answer["header"]["revision"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Unreachable("its answer to a range request was not understood") from error

    def wait(self, snapshot: Snapshot, timeout_s: float) -> None:
        """Return when something changed since `snapshot`, or after `timeout_s`. Raises `Unreachable`."""
        deadline = time.monotonic() + timeout_s
        create = {**self._range, "start_revision": str(snapshot.revision + 1)}
        body = json.dumps({"create_request": create}).encode()
        with ask(self._address, "POST", f"{self._gateway or _GATEWAYS[0]}/watch", body) as answer:
            created = answer.try_line(deadline - time.monotonic())
            if b'"created":true' not in created:
                raise Unreachable(
                    f'HTTP {answer.status} to a watch: "{shown(created.decode("ascii", "replace"))}"'
                )
            # Events, or "canceled" because the revision is compacted: either way it is time to read.
            answer.try_line(deadline - time.monotonic())

    def _ask_gateway(self, request: Mapping[str, Any]) -> Dict[str, Any]:
        body = json.dumps(request).encode()
        for gateway in (self._gateway,) if self._gateway else _GATEWAYS:
            with ask(self._address, "POST", f"{gateway}/kv/range", body) as answer:
                if answer.status == 404:
                    continue
                parsed = _object(answer)
                if answer.status != 200:
                    raise Unreachable(f'HTTP {answer.status}: "{shown(str(parsed.get("error", "")))}"')
                self._gateway = gateway
                return parsed
        self._gateway = None  # etcd may have been replaced by one of another version
        raise Unreachable("it does not serve the v3 API")


class EtcdV2:
    """Reads and watches the v2 keys API."""

    def __init__(self, host: str, port: int, prefix: str) -> None:
        self._address = (host, port)
        self._path = "/v2/keys" + quote(prefix.rstrip("/"))

    def read(self) -> Snapshot:
        """Read all registrations with a quorum. Raises `Unreachable`.

        The quorum matters: without a leader nothing expires, and with a new one everything that should have
        expired does so at once, before any sidekick can renew. Only a failed read tells that this is near.
        """
        with ask(self._address, "GET", f"{self._path}?quorum=true") as answer:
            parsed = _object(answer, missing="it does not serve the v2 API")
            index = answer.header("X-Etcd-Index") or ""
            if answer.status == 404 and parsed.get("errorCode") == _KEY_NOT_FOUND:
                nodes: Tuple[Dict[str, str], ...] = ()
            elif answer.status == 200:
                nodes = _children(parsed)
            else:
                raise Unreachable(f'HTTP {answer.status}: "{shown(str(parsed.get("message", "")))}"')
            try:
                registrations = {n["key"]: n.get("value", "") for n in nodes if not n.get("dir")}
                return Snapshot(registrations, int(index))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise Unreachable("its answer to a read was not understood") from error

    def wait(self, snapshot: Snapshot, timeout_s: float) -> None:
        """Return when something changed since `snapshot`, or after `timeout_s`. Raises `Unreachable`."""
        deadline = time.monotonic() + timeout_s
        path = f"{self._path}?wait=true&recursive=true&waitIndex={snapshot.revision + 1}"
        with ask(self._address, "GET", path) as answer:
            if answer.status == 200:
                answer.try_line(deadline - time.monotonic())
                return
            parsed = _object(answer, missing="it does not serve the v2 API")
            # The events since then are gone (etcd keeps the last thousand): time to read again.
            if parsed.get("errorCode") != _INDEX_CLEARED:
                raise Unreachable(
                    f'HTTP {answer.status} to a watch: "{shown(str(parsed.get("message", "")))}"'
                )


def _children(parsed: Dict[str, Any]) -> Tuple[Dict[str, str], ...]:
    try:
        return tuple(parsed["node"].get("nodes") or ())
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreachable("its answer to a read was not understood") from error


def _object(answer: Answer, *, missing: str = "") -> Dict[str, Any]:
    try:
        parsed = answer.json()
    except Unreachable:
        if answer.status == 404 and missing:
            raise Unreachable(missing) from None
        raise
    if not isinstance(parsed, dict):
        raise Unreachable(f"HTTP {answer.status} with something else than an object")
    return parsed


def _b64(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _text(encoded: object) -> str:
    if not isinstance(encoded, str):
        raise TypeError(encoded)
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "backslashreplace")
    except binascii.Error as error:
        raise ValueError(encoded) from error
