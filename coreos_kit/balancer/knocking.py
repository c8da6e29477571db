"""Asking servers for a connection, to tell those that are down from those that only left etcd."""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from dataclasses import dataclass
from typing import Callable, List, Sequence, Tuple

EVERY_S = 1.0
PATIENCE_S = 4.0  # a neighbour that is gone is known to be so after three
AT_ONCE = 128

# Silence is no answer: a backend that is flooded drops new connections without a word.
_DOWN = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN})


@dataclass(frozen=True)
class Knocked:
    """Some servers answered: by taking a connection, or by refusing it."""

    took: Tuple[str, ...]
    refused: Tuple[str, ...]


class Knocker:
    """Asks the servers that it is given every second, on a thread of its own."""

    def __init__(self, tell: Callable[[Knocked], None]) -> None:
        self._tell = tell
        self._servers: Tuple[str, ...] = ()
        self._more = threading.Event()

    def look_at(self, servers: Tuple[str, ...]) -> None:
        """Ask these from now on; those that are new at once."""
        known, self._servers = self._servers, servers
        if servers != known and not set(servers) <= set(known):
            self._more.set()

    def run(self) -> None:
        """Ask for ever."""
        while True:
            self._more.clear()
            servers = self._servers
            for start in range(0, len(servers), AT_ONCE):
                knock(servers[start : start + AT_ONCE], self._tell)
            self._more.wait(EVERY_S if servers else None)


def knock(servers: Sequence[str], tell: Callable[[Knocked], None], patience_s: float = PATIENCE_S) -> None:
    """Ask all of `servers` at the same time, and tell their answers as they come."""
    deadline = time.monotonic() + patience_s
    with selectors.DefaultSelector() as waiting:
        try:
            answers = [(server, code) for server in servers if (code := _ask(server, waiting)) is not None]
            _tell(answers, tell)
            while waiting.get_map() and (left_s := deadline - time.monotonic()) > 0:
                answers = []
                for key, _ in waiting.select(left_s):
                    asking: socket.socket = key.fileobj  # type: ignore[assignment]
                    answers.append((key.data, asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
                    waiting.unregister(asking)
                    asking.close()
                _tell(answers, tell)
        finally:
            for key in list(waiting.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _ask(server: str, waiting: selectors.BaseSelector) -> int | None:
    """Begin to connect; return how it ended if it did at once."""
    host, _, port = server.partition(":")
    try:
        asking = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return errno.EAGAIN  # too many open files here say nothing about the server
    asking.setblocking(False)
    code = asking.connect_ex((host, int(port)))
    if code == errno.EINPROGRESS:
        waiting.register(asking, selectors.EVENT_WRITE, server)
        return None
    asking.close()
    return code


def _tell(answers: List[Tuple[str, int]], tell: Callable[[Knocked], None]) -> None:
    took = tuple(server for server, code in answers if code == 0)
    refused = tuple(server for server, code in answers if code in _DOWN)
    if took or refused:
        tell(Knocked(took, refused))
