"""Asking Nginx itself for its running pool, and giving it another, over its unix socket."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Sequence, Tuple

from .pool import shown

_TIMEOUT_S = 1.0
_MAX_BYTES = 256 * 1024


class DoorClosed(Exception):
    """Nginx does not answer on its socket, or refuses what it was given."""


@dataclass(frozen=True)
class Running:
    """What Nginx says that it has: its servers, and the configuration that it runs."""

    servers: Tuple[str, ...]
    generation: str


def running_pool(path: str) -> Running:
    """Ask Nginx for the pool that requests are sent to now. Raises `DoorClosed`."""
    return _talk(path, "GET")


def give_pool(path: str, servers: Sequence[str]) -> Running:
    """Make `servers` the pool, and return what Nginx has then; repeating it is safe. Raises `DoorClosed`."""
    return _talk(path, "PUT", pool_text(servers))


def pool_text(servers: Sequence[str]) -> str:
    """Return the pool as Nginx and its file have it: one server a line."""
    return "".join(f"{server}\n" for server in servers)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


def _talk(path: str, method: str, body: str = "") -> Running:
    connection = _UnixConnection(path)
    try:
        connection.request(method, "/pool", body.encode("ascii") if method == "PUT" else None)
        response = connection.getresponse()
        text = response.read(_MAX_BYTES).decode("ascii", "replace")
        if response.status != 200:
            raise DoorClosed(f"nginx answered {response.status} to {method} /pool")
        return Running(tuple(text.split()), response.headers.get("X-Generation", ""))
    except (OSError, http.client.HTTPException) as error:
        raise DoorClosed(f"nginx does not answer on {path}: {shown(str(error))}") from error
    finally:
        connection.close()
