"""Which keys are shown to a server, in OpenSSH's order: those configured, then the agent's.

paramiko's own order tries files first, and knows no IdentitiesOnly.
"""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import overload

import paramiko
from paramiko.agent import AgentSSH
from paramiko.auth_strategy import AuthSource, AuthStrategy, InMemoryPrivateKey, SourceResult
from paramiko.config import SSHConfig
from paramiko.pkey import PKey, PublicBlob, UnknownKeyType

from coreos_kit.adapters.ssh_config import SshSettings

_LIST_S = 3.0
_SIGN_S = 60.0  # somebody may have to touch a key
MAX_KEYS = 6  # sshd's MaxAuthTries: what comes after is never looked at


class _NamedKey(InMemoryPrivateKey):
    """A key that says where it comes from when its refusal is reported."""

    def __init__(self, user: str, key: PKey, label: str) -> None:
        super().__init__(username=user, pkey=key)
        self.label = label

    def __repr__(self) -> str:
        return self.label


class _BrokenKey(AuthSource):
    """A key file that can't be used; it takes no attempt of the server's, only a place in the report."""

    def __init__(self, user: str, label: str, error: Exception) -> None:
        super().__init__(username=user)
        self.label = label
        self.error = error

    def __repr__(self) -> str:
        return self.label

    def authenticate(self, transport: paramiko.Transport) -> list[str]:  # noqa: ARG002
        raise self.error


class KeysOnly(AuthStrategy):
    """Keys in OpenSSH's order; passwords are never asked for, and the agent is never forwarded."""

    def __init__(self, settings: SshSettings, patience_s: float) -> None:
        super().__init__(ssh_config=SSHConfig())
        self._settings = settings
        self._patience_s = patience_s
        self._agent_keys: tuple[PKey, ...] = ()

    def authenticate(self, transport: paramiko.Transport) -> list[SourceResult]:
        """Try the keys one after the other."""
        agent = _open_agent(self._settings.identity_agent)
        try:
            self._agent_keys = tuple(agent.get_keys()) if agent else ()
            return super().authenticate(transport)
        finally:
            if agent:
                agent.close()

    def get_sources(self) -> Iterator[AuthSource]:
        """Yield what to try, at most as many keys as a server looks at."""
        shown = 0
        for source in self._candidates():
            shown += not isinstance(source, _BrokenKey)
            if shown > MAX_KEYS:
                return
            asked = time.monotonic()
            yield source
            if time.monotonic() - asked >= self._patience_s:
                return  # it answered nothing, and would to no other key

    def _candidates(self) -> Iterator[AuthSource]:
        user = self._settings.user
        used: set[bytes] = set()
        for path in self._settings.identity_files:
            blob = _public_blob(f"{path}.pub")
            for key in self._agent_keys:
                if blob and key.asbytes() == blob:
                    used.add(blob)
                    yield _NamedKey(user, key, f"{path} from the agent")
            if blob in used or not Path(path).is_file():
                continue
            yield from self._from_file(path)
        if not self._settings.identities_only:
            for key in self._agent_keys:
                if key.asbytes() not in used:
                    yield _NamedKey(user, key, f"{getattr(key, 'comment', '') or 'a key'} from the agent")

    def _from_file(self, path: str) -> Iterator[AuthSource]:
        user = self._settings.user
        try:
            for certificate in (f"{path}-cert.pub", *self._settings.certificate_files):
                if Path(certificate).is_file() and (key := _load(path, certificate)):
                    yield _NamedKey(user, key, f"{path} with {certificate}")
            yield _NamedKey(user, _load(path), path)
        except (
            paramiko.PasswordRequiredException,
            TypeError,
        ) as error:  # TypeError: what cryptography says of it
            yield _BrokenKey(user, f"{path}: needs a passphrase, and no agent has it", error)
        except (paramiko.SSHException, UnknownKeyType, OSError, ValueError) as error:
            yield _BrokenKey(user, f"{path}: can't be read", error)


@overload
def _load(path: str) -> PKey: ...
@overload
def _load(path: str, certificate: str) -> PKey | None: ...
def _load(path: str, certificate: str = "") -> PKey | None:
    """Return the key, with the certificate if there is one, or None where that is another key's."""
    key = PKey.from_path(path)
    key.public_blob = None  # from_path may have taken a certificate along
    try:
        if certificate:
            key.load_certificate(certificate)
    except ValueError:
        return None
    return key


def _public_blob(path: str) -> bytes:
    try:
        return bytes(PublicBlob.from_file(path).key_blob)
    except (OSError, ValueError):
        return b""


class _Agent(AgentSSH):
    """The agent behind one socket, for IdentityAgent; paramiko's own looks into the environment only."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_LIST_S)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
            connection.settimeout(_SIGN_S)
        except (OSError, EOFError, paramiko.SSHException):
            connection.close()  # an agent that is gone, or says nothing, has no keys

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


def _open_agent(identity_agent: str) -> _Agent | None:
    path = identity_agent or os.environ.get("SSH_AUTH_SOCK", "")
    return _Agent(path) if path and path != "none" else None
