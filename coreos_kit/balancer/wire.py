"""HTTP to etcd with bounds: on time, on size and on the length of every string in an answer."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import socket
import time
from typing import Any, Iterator, List, Optional, Tuple

from .access import OPEN, Access
from .pool import shown

CONNECT_S = 2.0
ANSWER_S = 3.0
HURRY_S = 1.0  # where there is another way, should nothing be said by then
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_STRING_BYTES = 1024


class Unreachable(Exception):
    """Etcd can't be reached, or its answer can't be used; says which, in a line that is safe to print."""


class StringShortener:
    """Cuts every string of a JSON text down to `longest` bytes, while the text streams by.

    A value of a megabyte then costs a kilobyte of memory, and is still there to be refused. Lengths that
    are a multiple of four leave base64 decodable.
    """

    _SPECIAL = re.compile(rb'["\\]')
    _LONGEST_ESCAPE = len(rb"\u0000")

    def __init__(self, longest: int = MAX_STRING_BYTES) -> None:
        self._longest = longest
        self._inside = False
        self._after_backslash = False
        self._length = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return what is left of the next piece of the text."""
        kept: List[bytes] = []
        at = 0
        while at < len(chunk):
            at = self._step(chunk, at, kept) if self._inside else self._outside(chunk, at, kept)
        return b"".join(kept)

    def _outside(self, chunk: bytes, at: int, kept: List[bytes]) -> int:
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote + 1
        kept.append(chunk[at:end])
        self._inside, self._length = quote >= 0, 0
        return end

    def _step(self, chunk: bytes, at: int, kept: List[bytes]) -> int:
        if self._after_backslash:
            self._after_backslash = False
            self._keep(chunk[at : at + 1], kept)
            return at + 1
        match = self._SPECIAL.search(chunk, at)
        end = match.start() if match else len(chunk)
        self._keep(chunk[at:end], kept)
        if match is None:
            return end
        if match.group() == b'"':
            kept.append(b'"')
            self._inside = False
        else:
            if self._length + self._LONGEST_ESCAPE > self._longest:
                self._length = self._longest  # half an escape would not parse
            self._keep(b"\\", kept)
            self._after_backslash = True
        return end + 1

    def _keep(self, piece: bytes, kept: List[bytes]) -> None:
        kept.append(piece[: max(0, self._longest - self._length)])
        self._length += len(piece)


class Incoming(io.RawIOBase):
    """What comes in on a socket until `deadline`, however it comes.

    A socket's own timeout begins anew with every byte, so a peer that drips is never late.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self.deadline = deadline

    def makefile(self, _: str) -> io.BufferedReader:
        """Be a socket to `http.client`, which asks for this and nothing else."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, or wait for it. Raises `socket.timeout`."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(left_s)
        return self._sock.recv_into(buffer)


class Answer:
    """One response of etcd, still being read; every read ends in time."""

    def __init__(self, incoming: Incoming, response: http.client.HTTPResponse) -> None:
        self._incoming = incoming
        self._response = response
        self.status = response.status

    def header(self, name: str) -> Optional[str]:
        """Return a header's value."""
        return self._response.headers.get(name)

    def json(self) -> Any:
        """Read the whole body. Raises `Unreachable` when it is no JSON, too large or too slow."""
        self._incoming.deadline = time.monotonic() + ANSWER_S
        shortener = StringShortener()
        body = bytearray()
        while chunk := self._response.read1(65536):
            body += shortener.feed(chunk)
            if len(body) > MAX_ANSWER_BYTES:
                raise Unreachable(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        try:
            return json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            head = shown(body[:60].decode("ascii", "replace"))
            raise Unreachable(f'HTTP {self.status} with "{head}" is no JSON') from error

    def try_line(self, within_s: float) -> bytes:
        """Return the start of the next line, or nothing when none comes in time.

        Raises `Unreachable` at the end of the stream.
        """
        self._incoming.deadline = time.monotonic() + within_s
        try:
            line = self._response.readline(65536)
        except socket.timeout:
            return b""
        if not line:
            raise Unreachable("it closed the watch")
        return line


@contextlib.contextmanager
def ask(
    address: Tuple[str, int],
    method: str,
    path: str,
    body: bytes = b"",
    *,
    access: Access = OPEN,
    authorization: str = "",
    answer_s: float = ANSWER_S,
) -> Iterator[Answer]:
    """Send one request on a connection of its own, and give back the answer once its headers are there.

    `answer_s` is the wait for the headers. Whatever the network does, also while the answer is read,
    is raised as `Unreachable`.
    """
    with contextlib.ExitStack() as at_the_end:
        try:
            connection = access.connection(address, CONNECT_S)
            at_the_end.callback(connection.close)
            connection.connect()
            sock: socket.socket = connection.sock
            sock.settimeout(answer_s)
            headers = {"Content-Type": "application/json"} if body else {}
            if authorization:
                headers["Authorization"] = authorization
            connection.request(method, path, body or None, headers)
            incoming = Incoming(sock, time.monotonic() + answer_s)
            response = http.client.HTTPResponse(incoming, method=method)  # type: ignore[arg-type]
            response.begin()
            yield Answer(incoming, response)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(shown(str(error) or type(error).__name__)) from error
