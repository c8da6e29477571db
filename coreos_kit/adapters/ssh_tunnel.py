"""A way through an SSH connection to an address that its machine can reach, as a port on loopback.

Not `fabric.Connection.forward_local`: it needs a port chosen beforehand, waits 10 ms before each connection,
and raises when the block ends because somebody was refused in it.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import paramiko

from coreos_kit.adapters.ssh_channel import hang_up

_CHUNK = 64 * 1024


@contextlib.contextmanager
def tunnel(open_channel: Callable[[tuple[str, int]], paramiko.Channel]) -> Iterator[tuple[str, int]]:
    """Listen on 127.0.0.1 and bridge each connection to a channel of its own; all end with the block.

    Where the other side refuses, the local connection is closed: the client sees what it would see directly.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    bridge = _Bridge(listener, open_channel)
    thread = threading.Thread(target=bridge.accept, name="ssh-tunnel", daemon=True)
    thread.start()
    try:
        host, port = listener.getsockname()[:2]
        yield host, port
    finally:
        bridge.close()
        thread.join(timeout=5)


class _Bridge:
    """The connections of one tunnel."""

    def __init__(
        self, listener: socket.socket, open_channel: Callable[[tuple[str, int]], paramiko.Channel]
    ) -> None:
        self._listener = listener
        self._open_channel = open_channel
        self._ends: list[socket.socket | paramiko.Channel] = []
        self._lock = threading.Lock()
        self._closed = False

    def accept(self) -> None:
        while True:
            try:
                local, origin = self._listener.accept()
            except OSError:
                return  # closed
            local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(local, origin), name="ssh-tunnel", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            ends = list(self._ends)
        # shutdown() is what wakes a thread that waits in accept() or recv(); close() alone does not.
        for end in (self._listener, *ends):
            with contextlib.suppress(OSError, EOFError):
                end.shutdown(socket.SHUT_RDWR)
        for end in (self._listener, *ends):
            hang_up(end)

    def _serve(self, local: socket.socket, origin: tuple[str, int]) -> None:
        if not self._keep(local):
            return
        try:
            remote = self._open_channel(origin)
        except (paramiko.SSHException, OSError, EOFError):
            self._drop(local)
            return
        if not self._keep(remote):
            self._drop(local)
            return
        back = threading.Thread(target=_pump, args=(remote, local), name="ssh-tunnel", daemon=True)
        back.start()
        _pump(local, remote)
        back.join()
        self._drop(local)
        self._drop(remote)

    def _keep(self, end: socket.socket | paramiko.Channel) -> bool:
        with self._lock:
            if self._closed:
                hang_up(end)
                return False
            self._ends.append(end)
            return True

    def _drop(self, end: socket.socket | paramiko.Channel) -> None:
        with self._lock:
            if end in self._ends:
                self._ends.remove(end)
        hang_up(end)


def _pump(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    """Carry bytes until one side ends, then end the other's input."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)
