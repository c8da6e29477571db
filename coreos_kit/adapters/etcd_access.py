"""Where etcd is and what it wants to see before it answers: addresses, certificates, a password."""

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from coreos_kit.errors import InvalidConfig, Unreachable
from coreos_kit.model.project import EtcdSettings

CLIENT_PORT = 2379


class HungUp(Unreachable):
    """Nobody is there, or somebody who does not speak the API's protocol."""


class LoginRefused(Unreachable):
    """etcd answers, but not this user."""


@dataclass(frozen=True, slots=True)
class EtcdAddress:
    """One etcd as the workstation connects to it; `name` is how messages call it."""

    name: str
    host: str
    port: int
    is_secure: bool = False


@dataclass(frozen=True, slots=True)
class EtcdWay:
    """A way to one etcd, opened when it is needed: an endpoint, or a tunnel to a machine."""

    name: str
    open: Callable[[], AbstractContextManager[EtcdAddress]]


@dataclass(frozen=True, slots=True)
class EtcdCredentials:
    """What is shown to etcd. The password is never printed."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def load(cls, settings: EtcdSettings) -> "EtcdCredentials":
        """Read the password and check that the other files are there; `InvalidConfig` names what is not."""
        for name, path in (("ca", settings.ca), ("cert", settings.cert), ("key", settings.key)):
            if path and not Path(path).is_file():
                raise InvalidConfig(f"etcd.{name} names {path}, which is no file")
        if bool(settings.cert) != bool(settings.key):
            raise InvalidConfig("etcd.cert and etcd.key belong together, and one of them is missing")
        password = _read_password(settings.password_file) if settings.password_file else ""
        if bool(settings.username) != bool(password):
            raise InvalidConfig(
                "etcd.username and etcd.password_file belong together, and one of them is missing"
            )
        return cls(settings.ca, settings.cert, settings.key, settings.username, password)

    @property
    def wants_tls(self) -> bool:
        """Whether certificates are configured; then etcd on a machine is asked over TLS as well."""
        return bool(self.ca or self.cert)

    def ssl_context(self) -> ssl.SSLContext:
        """Return the context for HTTPS: the configured authority, or those of the system."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (ssl.SSLError, OSError) as error:
            raise InvalidConfig(f"etcd's certificates can't be used: {error}") from error
        return context


def parse_endpoint(text: str) -> EtcdAddress:
    """Read one of `etcd.endpoints`: ``https://host:2379``, ``http://host:2379`` or ``host:2379``."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or CLIENT_PORT
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port or parts.path not in {"", "/"}:
        raise InvalidConfig(
            f"etcd endpoint {text!r} is not one",
            hint="Write https://etcd1.example:2379, or http://… without TLS.",
        )
    return EtcdAddress(name=text, host=parts.hostname, port=port, is_secure=parts.scheme == "https")


def _read_password(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"etcd.password_file {path} can't be read: {error}") from error
