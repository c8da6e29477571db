"""One SSH connection: opened when first needed, shared by threads, opened again when it has died.

fabric connects, goes through the gateways and closes; this module says with which keys, to which host keys
and for how long.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import paramiko
from fabric.config import Config
from fabric.connection import Connection
from paramiko.config import SSHConfig

from coreos_kit.adapters.ssh_auth import KeysOnly
from coreos_kit.adapters.ssh_channel import ANSWER_S, hang_up
from coreos_kit.adapters.ssh_config import SshSettings
from coreos_kit.adapters.ssh_errors import TRANSLATED, translate
from coreos_kit.adapters.ssh_host_keys import HostKeyCheck
from coreos_kit.adapters.ssh_known_hosts import KnownHosts, algorithms
from coreos_kit.adapters.ssh_proxy import ProxyCommand
from coreos_kit.errors import KitError, Unreachable

MAX_SESSIONS = 6  # at a time on one connection; sshd's MaxSessions is 10 unless somebody lowered it
_KEEPALIVE_S = 15
_DEAD_AFTER_MS = 30_000
_CONNECT_FAILED = 2  # RFC 4254, 5.1
_AGAIN_S = 0.05

# A transport's thread logs a traceback for whatever ends it, beside the exception that its user gets.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


class Link:
    """The connection to one machine, or to a gateway on the way to several."""

    def __init__(
        self, machine: str, settings: SshSettings, gateway: "Link | None", connect_timeout_s: float
    ) -> None:
        self.machine = machine
        self.settings = settings
        self._gateway = gateway
        self._timeout_s = settings.connect_timeout_s or connect_timeout_s
        self._lock = threading.Lock()
        self._sessions = threading.BoundedSemaphore(MAX_SESSIONS)
        self._connection: Any = None  # fabric's, which has no types
        self._proxy: ProxyCommand | None = None
        self._closed = False
        self._attempts = 0
        self._failure: Exception | None = None

    @contextlib.contextmanager
    def session(self, timeout_s: float) -> Iterator[paramiko.Channel]:
        """Hand out a channel for one command, on a fresh connection if the old one turns out to be dead.

        Nothing has been sent before the channel is open, so that trying twice is safe.
        """
        if not self._sessions.acquire(timeout=timeout_s):
            raise TimeoutError
        try:
            channel = self._open_session(timeout_s)
            try:
                yield channel
            finally:
                hang_up(channel)
        finally:
            self._sessions.release()

    def _open_session(self, timeout_s: float) -> paramiko.Channel:
        deadline = time.monotonic() + timeout_s
        with self._translated():
            transport, is_fresh = self._transport()
            while True:
                try:
                    left_s = max(0.1, deadline - time.monotonic())
                    return transport.open_session(timeout=min(left_s, ANSWER_S))
                except (paramiko.SSHException, OSError, EOFError) as error:
                    if _has_too_many_sessions(error) and time.monotonic() < deadline - _AGAIN_S:
                        time.sleep(_AGAIN_S)
                    elif is_fresh or transport.is_active():
                        raise
                    else:
                        transport, is_fresh = self._transport()

    def open_direct(self, host: str, port: int, origin: tuple[str, int]) -> paramiko.Channel:
        """Open a channel to an address as the machine sees it; refused, paramiko's own exceptions say so."""
        transport, _ = self._transport()
        return transport.open_channel("direct-tcpip", (host, port), origin, timeout=self._timeout_s)

    def ensure_open(self) -> None:
        """Connect, if that has not happened yet."""
        with self._translated():
            self._transport()

    def close(self) -> None:
        """Close the connection for good."""
        self._closed = True
        # Whoever is just connecting holds the lock, and closes what it gets: Ctrl-C does not wait for it.
        if self._lock.acquire(timeout=0.2):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _transport(self) -> tuple[paramiko.Transport, bool]:
        """Return the open connection and whether it has just been opened."""
        if self._gateway:
            # Opened before those behind it, and by itself: threads that open a shared gateway at once get in
            # each other's way (fabric #2262).
            try:
                self._gateway.ensure_open()
            except Unreachable as error:
                message = f"{self.machine} ({self.settings.where}) can't be reached: {error}"
                raise Unreachable(
                    message, machine=self.machine, hint=error.hint, details=error.details
                ) from error
        # Whoever waits while another tries shares that one's failure: a silent machine costs its time once.
        seen = self._attempts
        with self._lock:
            if self._closed:
                raise Unreachable(f"the connection to {self.machine} has been closed", machine=self.machine)
            if self._connection is not None and self._connection.is_connected:
                return self._connection.transport, False
            self._disconnect()
            if self._attempts != seen and self._failure:
                raise self._failure
            self._attempts, self._failure = self._attempts + 1, None
            try:
                self._connection = self._connect()
            except Exception as error:
                self._failure = error
                raise
            if self._closed:
                self._disconnect()
                raise Unreachable(f"the connection to {self.machine} has been closed", machine=self.machine)
            return self._connection.transport, True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.client.close()
            self._connection = None
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None

    def _connect(self) -> Any:
        settings = self.settings
        check = HostKeyCheck(self.machine, settings, KnownHosts.load(settings.known_hosts_files))

        def new_transport(sock: socket.socket, disabled_algorithms: object = None) -> paramiko.Transport:
            transport = paramiko.Transport(sock, disabled_algorithms=disabled_algorithms)  # type: ignore[arg-type]
            # Later than the client's own patience, or it would be chance which of the two speaks first.
            transport.handshake_timeout = 2 * self._timeout_s
            options = transport.get_security_options()
            options.key_types = tuple(algorithms(check.lines(), options.key_types))
            return transport

        connection: Any = Connection(
            settings.host,
            user=settings.user,
            port=settings.port,
            # Explicitly empty: what counts in ssh_config came through ssh -G, and ~/.fabric.yaml is not ours.
            config=Config(ssh_config=SSHConfig(), lazy=True),
            gateway=self._gateway.connection if self._gateway else False,
            forward_agent=False,
            connect_kwargs={
                "timeout": self._timeout_s,
                "banner_timeout": 2 * self._timeout_s,
                "auth_timeout": self._timeout_s,
                "channel_timeout": self._timeout_s,
                "auth_strategy": KeysOnly(settings, self._timeout_s),
                "transport_factory": new_transport,
                "allow_agent": False,  # these two: KeysOnly decides
                "look_for_keys": False,
                **({"sock": self._own_socket()} if not self._gateway else {}),
            },
        )
        connection.client.set_missing_host_key_policy(check)
        try:
            connection.open()
            connection.transport.set_keepalive(_KEEPALIVE_S)
        except paramiko.ChannelException as error:  # the gateway's answer: this machine's own comes later
            connection.client.close()
            way = f"its {self._gateway.machine} can't get there" if self._gateway else "no channel"
            message = f"{self.machine} ({settings.where}) can't be reached: {way}: {error.text}"
            raise Unreachable(message, machine=self.machine) from error
        except BaseException:
            connection.client.close()
            raise
        return connection

    @property
    def connection(self) -> Any:
        """Fabric's connection, for those that go through this one; open."""
        if self._connection is None:
            raise Unreachable(f"{self.machine} is not connected", machine=self.machine)
        return self._connection

    def _own_socket(self) -> socket.socket:
        """Connect to the machine, or start its ProxyCommand."""
        if self.settings.proxy_command:
            self._proxy = ProxyCommand(self.settings.proxy_command)
            return self._proxy.socket
        sock = socket.create_connection((self.settings.host, self.settings.port), timeout=self._timeout_s)
        # Without the first every small command waits 40 ms for a delayed ACK; the others notice a machine
        # that vanished while somebody follows its logs.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
        return sock

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KitError:
            raise
        except TRANSLATED as error:
            proxy = self._proxy.complaint() if self._proxy else ""
            raise translate(error, self.machine, self.settings, details=[proxy] if proxy else []) from error


def _has_too_many_sessions(error: Exception) -> bool:
    """Whether sshd refused one more session: ours of a moment ago may still be on their way out.

    Of two refusals at once paramiko gives the reason to one thread only, and these words to the other.
    """
    if isinstance(error, paramiko.ChannelException):
        return error.code == _CONNECT_FAILED
    return str(error) == "Unable to open channel."
