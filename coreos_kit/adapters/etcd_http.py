"""One question to etcd over HTTP, whatever the API; every phase of it has its limit."""

import base64
import http.client
import ssl
import time

from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials
from coreos_kit.adapters.limits import MAX_OUTPUT_BYTES
from coreos_kit.balancer.wire import Incoming
from coreos_kit.errors import KitError, Unreachable

BODY_S = 30  # for what may be megabytes, through a tunnel


def http_ask(
    method: str,
    address: EtcdAddress,
    credentials: EtcdCredentials,
    path: str,
    timeout_s: float,
    form: bytes = b"",
) -> tuple[int, bytes]:
    """Return the status and the body; `form` is urlencoded. `Unreachable` when there is no answer."""
    headers = {"Accept": "application/json"}
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
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
        connection.request(method, path, body=form or None, headers=headers)
        incoming = Incoming(connection.sock, time.monotonic() + timeout_s)
        response = http.client.HTTPResponse(incoming, method=method)  # type: ignore[arg-type]
        response.begin()
        incoming.deadline = time.monotonic() + BODY_S
        body = response.read(MAX_OUTPUT_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        reason, hint = _reason(error)
        raise Unreachable(f"etcd {address.name} gives no answer: {reason}", hint=hint) from error
    finally:
        connection.close()
    if len(body) > MAX_OUTPUT_BYTES:
        raise KitError(
            f"etcd {address.name} answers with more than {MAX_OUTPUT_BYTES >> 20} MB to {method} {path}"
        )
    return response.status, body


_NOBODY = (
    "Does etcd run there, with TLS or without as etcd.endpoints says? Empty is port 2379 of each machine."
)
_TLS = "Check etcd.ca, etcd.cert and etcd.key, and whether the endpoint is https:// or http://."


def _reason(error: Exception) -> tuple[str, str]:
    """Say what is wrong, and the way out."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}", _TLS
    if isinstance(error, TimeoutError):
        return "timed out", ""
    if isinstance(error, (ConnectionRefusedError, http.client.RemoteDisconnected, ConnectionResetError)):
        return "connection refused", _NOBODY  # through a tunnel a refusal is a connection that closes at once
    return str(error) or type(error).__name__, ""
