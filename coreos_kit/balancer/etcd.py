"""The registrations as etcd has them, and waiting until they change: API v3 over its JSON gateway, or v2.

Reading is the only source of truth: a watch says that something changed, never what. So a lost event costs
at most one `wait`, and a resync is the same as any read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from dataclasses import dataclass
from typing import Any, ContextManager, Dict, Mapping, Optional, Tuple
from urllib.parse import quote

from .access import OPEN, Access, basic
from .pool import MAX_REGISTRATIONS, shown
from .wire import ANSWER_S, HURRY_S, Answer, Unreachable, ask

_GATEWAYS = ("/v3", "/v3beta")  # 3.4 and later, 3.3
_INDEX_CLEARED = 401
_KEY_NOT_FOUND = 100
_TOKEN = re.compile("[!-~]+")  # anything else would not go into a header
# etcd server/embed (access control of its handlers): it could take the gateway's name for the client's.
_NAMED = "where logins are on it refuses this certificate at its JSON gateway: make one without a CommonName"


@dataclass(frozen=True)
class Snapshot:
    """Key -> value of everything under the prefix, at `revision` (v3) or etcd index (v2)."""

    registrations: Mapping[str, str]
    revision: int


class Denied(Unreachable):
    """Etcd answers, and not with what was asked for; its words say why."""


class EtcdV3:
    """Reads and watches through the JSON gateway, which needs no client library."""

    def __init__(self, host: str, port: int, prefix: str, access: Access = OPEN) -> None:
        self._address = (host, port)
        self._access = access
        self._gateway: Optional[str] = None
        self._token = ""
        self._token_is_of: Optional[Tuple[str, str]] = None
        first = prefix.rstrip("/").encode() + b"/"
        self._range = {"key": _b64(first), "range_end": _b64(first[:-1] + b"0")}  # "0" follows "/"

    def read(self, patience_s: float = ANSWER_S) -> Snapshot:
        """Read all registrations, linearizably: without a quorum this fails. Raises `Unreachable`."""
        request = {**self._range, "limit": MAX_REGISTRATIONS + 1}
        remembered = self._token
        try:
            answer = self._ask_gateway("/kv/range", request, self._authorization(), patience_s)
        except Denied:
            if not remembered or self._token != remembered:
                raise
            # A token ends with etcd's restart, with a change of its users, or when it was not used for long.
            self._token = ""
            answer = self._ask_gateway("/kv/range", request, self._authorization())
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
        with ask(
            self._address,
            "POST",
            f"{self._gateway or _GATEWAYS[0]}/watch",
            body,
            access=self._access,
            authorization=self._authorization(),
            answer_s=HURRY_S,
        ) as answer:
            created = answer.try_line(deadline - time.monotonic())
            if b'"created":true' not in created:
                raise Unreachable(
                    f'HTTP {answer.status} to a watch: "{shown(created.decode("ascii", "replace"))}"'
                )
            if b'"canceled":true' in created:
                reason = created.partition(b'"cancel_reason":"')[2].partition(b'"')[0]
                said = shown(reason.decode("ascii", "replace").rpartition("desc = ")[2])
                raise Unreachable(f'it refuses to be watched: "{said}"')
            # Events, or "canceled" because the revision is compacted: either way it is time to read.
            answer.try_line(deadline - time.monotonic())

    def _authorization(self) -> str:
        """Return the token of the login that lies in the folder now; "" where there is none."""
        login = _login_of(self._access)
        if login is None:
            return ""
        if not self._token or login != self._token_is_of:
            user, password = login
            answer = self._ask_gateway("/auth/authenticate", {"name": user, "password": password})
            token = answer.get("token")
            if not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise Unreachable("its answer to a login was not understood")
            self._token, self._token_is_of = token, login
        return self._token

    def _ask_gateway(
        self, call: str, request: Mapping[str, Any], authorization: str = "", patience_s: float = ANSWER_S
    ) -> Dict[str, Any]:
        body = json.dumps(request).encode()
        for gateway in (self._gateway,) if self._gateway else _GATEWAYS:
            with ask(
                self._address,
                "POST",
                gateway + call,
                body,
                access=self._access,
                authorization=authorization,
                answer_s=patience_s,
            ) as answer:
                if answer.status == 404:
                    continue
                parsed = _object(answer, named=_NAMED)
                if answer.status != 200:
                    raise Denied(f'HTTP {answer.status}: "{shown(str(parsed.get("error", "")))}"')
                self._gateway = gateway
                return parsed
        self._gateway = None  # etcd may have been replaced by one of another version
        raise Unreachable("it does not serve the v3 API")


class EtcdV2:
    """Reads and watches the v2 keys API."""

    def __init__(self, host: str, port: int, prefix: str, access: Access = OPEN) -> None:
        self._address = (host, port)
        self._access = access
        self._path = "/v2/keys" + quote(prefix.rstrip("/"))

    def read(self, patience_s: float = ANSWER_S) -> Snapshot:
        """Read all registrations with a quorum. Raises `Unreachable`.

        The quorum matters: without a leader nothing expires, and with a new one everything that should have
        expired does so at once, before any sidekick can renew. Only a failed read tells that this is near.
        """
        with self._get(f"{self._path}?quorum=true", patience_s) as answer:
            parsed = _object(answer, missing="it does not serve the v2 API")
            index = answer.header("X-Etcd-Index") or ""
            if answer.status == 404 and parsed.get("errorCode") == _KEY_NOT_FOUND:
                nodes: Tuple[Dict[str, str], ...] = ()
            elif answer.status == 200:
                nodes = _children(parsed)
            else:
                raise Unreachable(f'HTTP {answer.status}: "{shown(str(parsed.get("message", "")))}"')
            try:
                registrations = {
                    _string(n["key"]): _string(n.get("value", "")) for n in nodes if not n.get("dir")
                }
                return Snapshot(registrations, int(index))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise Unreachable("its answer to a read was not understood") from error

    def wait(self, snapshot: Snapshot, timeout_s: float) -> None:
        """Return when something changed since `snapshot`, or after `timeout_s`. Raises `Unreachable`."""
        deadline = time.monotonic() + timeout_s
        path = f"{self._path}?wait=true&recursive=true&waitIndex={snapshot.revision + 1}"
        with self._get(path, HURRY_S) as answer:
            if answer.status == 200:
                answer.try_line(deadline - time.monotonic())
                return
            parsed = _object(answer, missing="it does not serve the v2 API")
            # The events since then are gone (etcd keeps the last thousand): time to read again.
            if parsed.get("errorCode") != _INDEX_CLEARED:
                raise Unreachable(
                    f'HTTP {answer.status} to a watch: "{shown(str(parsed.get("message", "")))}"'
                )

    def _get(self, path: str, patience_s: float) -> ContextManager[Answer]:
        login = _login_of(self._access)
        return ask(
            self._address,
            "GET",
            path,
            access=self._access,
            authorization=basic(login) if login else "",
            answer_s=patience_s,
        )


def _login_of(access: Access) -> Optional[Tuple[str, str]]:
    try:
        return access.login()
    except OSError as error:
        raise Unreachable(f"its login can't be read: {error.strerror}") from error


def _children(parsed: Dict[str, Any]) -> Tuple[Dict[str, str], ...]:
    try:
        return tuple(parsed["node"].get("nodes") or ())
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreachable("its answer to a read was not understood") from error


def _object(answer: Answer, *, missing: str = "", named: str = "") -> Dict[str, Any]:
    try:
        parsed = answer.json()
    except Unreachable as error:
        if answer.status == 404 and missing:
            raise Unreachable(missing) from None
        if answer.status == 400 and named and "CommonName" in str(error):
            raise Unreachable(named) from None
        raise
    if not isinstance(parsed, dict):
        raise Unreachable(f"HTTP {answer.status} with something else than an object")
    return parsed


def _b64(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _text(encoded: object) -> str:
    try:
        return base64.b64decode(_string(encoded), validate=True).decode("utf-8", "backslashreplace")
    except binascii.Error as error:
        raise ValueError(encoded) from error
