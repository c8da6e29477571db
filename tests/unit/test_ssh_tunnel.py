"""A tunnel whose connection goes away in the middle."""

import socket
import threading
from typing import cast

import paramiko

from coreos_kit.adapters.ssh_tunnel import tunnel


class Gone:
    """A channel of a connection that is gone by now: nothing comes, and nobody hears that it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def recv(self, _: int) -> bytes:
        return b""

    def sendall(self, _: bytes) -> None:
        raise OSError

    def shutdown(self, _: int) -> None:
        raise EOFError

    def close(self) -> None:
        self.closed.set()
        raise EOFError


def test_a_tunnel_ends_in_peace_though_its_connection_went_before_it() -> None:
    channel = Gone()

    with tunnel(lambda _: cast("paramiko.Channel", channel)) as address:
        with socket.create_connection(address, timeout=5) as client:
            assert client.recv(1) == b""
        assert channel.closed.wait(5)

    running = [thread for thread in threading.enumerate() if thread.name == "ssh-tunnel"]
    for thread in running:
        thread.join(timeout=5)
    # what a thread of it raised would fail this test: filterwarnings = error
