"""Host keys as OpenSSH knows them: known_hosts with its patterns, authorities and revoked keys.

paramiko's own reader takes neither markers nor patterns, and stumbles over a damaged line. See sshd(8),
SSH_KNOWN_HOSTS FILE FORMAT.
"""

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from coreos_kit.adapters.ssh_config import DEFAULT_PORT

CERT_AUTHORITY = "@cert-authority"
REVOKED = "@revoked"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file."""

    marker: str  # "", "@cert-authority" or "@revoked"
    patterns: tuple[str, ...]
    type: str
    blob: bytes
    where: str  # file:line

    def matches(self, name: str) -> bool:
        """Whether the line speaks of a host, given as known_hosts writes it: ``name`` or ``[name]:port``."""
        if any(pattern.startswith("!") and _pattern_matches(pattern[1:], name) for pattern in self.patterns):
            return False
        return any(_pattern_matches(pattern, name) for pattern in self.patterns)


def _pattern_matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            salt, wanted = (base64.b64decode(part, validate=True) for part in pattern.split("|")[2:4])
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), wanted)
    # Only * and ? are special here; fnmatch would also take [.
    return fnmatchcase(name, pattern.lower().replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The lines of all known_hosts files that count for a connection."""

    keys: tuple[KnownKey, ...] = ()

    @classmethod
    def load(cls, paths: Iterable[str]) -> "KnownHosts":
        """Read the files that exist; a damaged line is passed over, as OpenSSH does."""
        found: list[KnownKey] = []
        for path in paths:
            try:
                text = Path(path).read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
                continue
            found += parse_known_hosts(text, path)
        return cls(tuple(found))

    def for_host(self, name: str) -> tuple[KnownKey, ...]:
        """Return the lines that speak of a host, revoked ones included."""
        return tuple(key for key in self.keys if key.matches(name))

    def is_revoked(self, name: str, blob: bytes) -> KnownKey | None:
        """Return the line that revokes a key for a host."""
        return next((key for key in self.for_host(name) if key.marker == REVOKED and key.blob == blob), None)


def parse_known_hosts(text: str, path: str) -> list[KnownKey]:
    """Read the text of one known_hosts file."""
    found: list[KnownKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or marker not in {"", CERT_AUTHORITY, REVOKED}:
            continue
        names, key_type, encoded = fields[:3]
        try:
            blob = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        found.append(KnownKey(marker, tuple(names.split(",")), key_type, blob, f"{path}:{number}"))
    return found


def host_key_names(host: str, port: int, alias: str = "") -> tuple[str, ...]:
    """Return the names that a host's key may stand under, best first.

    An alias stands for itself, without a port. Off port 22 a line for the bare name counts where none names
    the port, as in OpenSSH's check_host_key().
    """
    if alias:
        return (alias.lower(),)
    name = host.lower()
    return (name,) if port == DEFAULT_PORT else (f"[{name}]:{port}", name)


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def key_type_of(blob: bytes) -> str:
    """Return the type that a public key's own bytes begin with."""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length].decode("ascii", "replace")


def algorithms(known: Sequence[KnownKey], offered: Sequence[str]) -> list[str]:
    """Order host key algorithms so that a server shows the key that is known of it.

    Without this a server with several keys may show one that is not in known_hosts, which then looks like a
    changed key. Where an authority is listed its certificates come first.
    """
    plain = [key.type for key in known if not key.marker]
    wanted = [f"{name}-cert-v01@openssh.com" for name in offered] if _authorities(known) else []
    for key_type in plain:
        wanted += ["rsa-sha2-512", "rsa-sha2-256"] if key_type == "ssh-rsa" else [key_type]
    rest = [name for name in offered if name not in wanted]
    return [*dict.fromkeys(name for name in wanted if name.split("-cert-v01@")[0] in offered), *rest]


def _authorities(known: Sequence[KnownKey]) -> list[KnownKey]:
    return [key for key in known if key.marker == CERT_AUTHORITY]


def remember(path: str, name: str, blob: bytes) -> None:
    """Append a host's key to a known_hosts file, creating it as private as OpenSSH does."""
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        text = handle.read()
        if text and not text.endswith("\n"):
            handle.write("\n")
        handle.write(f"{name} {key_type_of(blob)} {base64.b64encode(blob).decode()}\n")
