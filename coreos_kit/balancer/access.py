"""What etcd wants to see before it answers: TLS, a client's certificate, a login.

It lies in a folder that the machine mounts here, and is read anew for each connection: a renewed certificate
or a new password is used at once, and nothing of either stays in an environment variable or an argument.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
from dataclasses import dataclass
from typing import Optional, Tuple

CA, CERT, KEY, LOGIN = "ca.pem", "cert.pem", "key.pem", "login"


@dataclass(frozen=True)
class Access:
    """How etcd is spoken to. What is not in the folder is not shown; without one there is nothing to show."""

    scheme: str = "http"
    folder: str = ""

    def connection(self, address: Tuple[str, int], timeout_s: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet. Raises `OSError` for files that can't be used."""
        if self.scheme != "https":
            return http.client.HTTPConnection(*address, timeout=timeout_s)
        context = ssl.create_default_context(cafile=self._try_file(CA))
        certificate = self._try_file(CERT)
        if certificate:
            context.load_cert_chain(certificate, self._try_file(KEY))
        return http.client.HTTPSConnection(*address, timeout=timeout_s, context=context)

    def login(self) -> Optional[Tuple[str, str]]:
        """Return user and password. Raises `OSError` for a file that can't be read."""
        path = self._try_file(LOGIN)
        if path is None:
            return None
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            user, _, password = file.read().partition(":")
        return user, password

    def _try_file(self, name: str) -> Optional[str]:
        path = os.path.join(self.folder, name)
        return path if self.folder and os.path.exists(path) else None


OPEN = Access()


def basic(login: Tuple[str, str]) -> str:
    """Return the header that shows a login to etcd's v2 API."""
    pair = ":".join(login).encode("utf-8", "surrogateescape")
    return "Basic " + base64.b64encode(pair).decode("ascii")
