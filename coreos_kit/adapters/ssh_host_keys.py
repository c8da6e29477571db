"""Decides whether the key that a host shows is that host's: known, certified, revoked, changed or unknown."""

import time
from dataclasses import dataclass

import paramiko
from paramiko.message import Message
from paramiko.pkey import PKey

from coreos_kit.adapters.ssh_config import DEFAULT_PORT, SshSettings
from coreos_kit.adapters.ssh_known_hosts import (
    CERT_AUTHORITY,
    KnownHosts,
    KnownKey,
    fingerprint,
    host_key_names,
    key_type_of,
    remember,
)
from coreos_kit.errors import Unreachable

_HOST_CERTIFICATE = 2
_KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """A host's key signed by an authority (openssh, PROTOCOL.certkeys)."""

    type: int
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, blob: bytes) -> "HostCertificate":
        """Read a certificate as it comes over the wire; `ValueError` where it is not one."""
        message = Message(blob)
        key_type = message.get_text().removesuffix("-cert-v01@openssh.com")
        if key_type not in _KEY_FIELDS:
            raise ValueError(f"certificates of type {key_type} are not understood")
        message.get_binary()  # nonce
        for _ in range(_KEY_FIELDS[key_type]):
            message.get_binary()
        message.get_int64()  # serial
        kind = message.get_int()
        message.get_binary()  # key id
        names = Message(message.get_binary())
        principals: list[str] = []
        while names.get_remainder():
            principals.append(names.get_text())
        valid_after, valid_before = message.get_int64(), message.get_int64()
        critical_options = message.get_binary()
        message.get_binary()  # extensions
        message.get_binary()  # reserved
        authority = message.get_binary()
        signed = message.get_so_far()
        signature = message.get_binary()
        return cls(
            kind, tuple(principals), valid_after, valid_before, critical_options, authority, signed, signature
        )

    def objection(self, host: str, now: float) -> str:
        """Say why the certificate does not prove a host's name; "" when it does."""
        if self.type != _HOST_CERTIFICATE:
            return "it is not a host certificate"
        if not self.valid_after <= now < self.valid_before:
            return "it is not valid at this time"
        if self.critical_options:
            return "it carries critical options, which host certificates have none of"
        # sshconnect.c asks for the bare name; an empty list is good for no host since OpenSSH 10.
        if host.lower() not in (name.lower() for name in self.principals):
            return f"it is for {', '.join(self.principals) or 'nobody'}, not for {host}"
        try:
            key = PKey.from_type_string(key_type_of(self.authority), self.authority)
            good = key.verify_ssh_sig(self.signed, Message(self.signature))
        except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError) as error:
            return f"its signature can't be checked: {error}"
        return "" if good else "its signature is wrong"


@dataclass(frozen=True, slots=True)
class HostKeyCheck(paramiko.MissingHostKeyPolicy):
    """The policy that paramiko is handed; with no keys loaded into its client it decides about every key.

    Rejects unless known_hosts, or an authority in it, vouches for the key. Only with `accept_new` the key of
    a host of which nothing is known is written down and taken.
    """

    machine: str
    settings: SshSettings
    known: KnownHosts

    def names(self) -> tuple[str, ...]:
        """Return the names under which the host's key may be listed."""
        return host_key_names(self.settings.host, self.settings.port, self.settings.host_key_alias)

    def lines(self) -> tuple[KnownKey, ...]:
        """Return the lines that speak of the host, those for the most exact name first."""
        found = (line for name in self.names() for line in self.known.for_host(name))
        return tuple(dict.fromkeys(found))

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        """Return when the key is the host's; raise `Unreachable` when it is not."""
        blob = bare_key(key)
        certificate = key.public_blob.key_blob if key.public_blob else b""
        shown = f"{key_type_of(blob)} {fingerprint(blob)}"
        self._refuse_revoked(blob, shown)
        why_not = self._certified(certificate) if certificate else "it showed no certificate"
        if certificate and not why_not:
            return
        if self._is_known(blob):
            return
        exact = [line for line in self.known.for_host(self.names()[0]) if not line.marker]
        authorities = [line for line in self.lines() if line.marker == CERT_AUTHORITY]
        if exact:
            self._refuse_changed(exact, shown)
        if authorities:
            self._refuse_uncertified(authorities, shown, why_not)
        if self.settings.accept_new and self.settings.known_hosts_files:
            remember(self.settings.known_hosts_files[0], self.names()[0], blob)
            return
        self._refuse_unknown(shown)

    def _is_known(self, blob: bytes) -> bool:
        return any(not line.marker and line.blob == blob for line in self.lines())

    def _certified(self, blob: bytes) -> str:
        try:
            certificate = HostCertificate.parse(blob)
        except (ValueError, paramiko.SSHException) as error:
            return f"its certificate can't be read: {error}"
        signers = [
            line
            for line in self.lines()
            if line.marker == CERT_AUTHORITY and line.blob == certificate.authority
        ]
        if not signers:
            return "its certificate is signed by another authority"
        self._refuse_revoked(certificate.authority, f"authority {fingerprint(certificate.authority)}")
        objection = certificate.objection(self.settings.host_key_alias or self.settings.host, time.time())
        return objection and f"its certificate does not count: {objection}"

    def _refuse_revoked(self, blob: bytes, shown: str) -> None:
        for name in self.names():
            if line := self.known.is_revoked(name, blob):
                raise self._refusal(
                    f"host key of {self._label} is revoked: {shown}",
                    hint="Somebody took this key out of use. Find out why before you go on.",
                    details=[f"revoked by {line.where}"],
                )

    def _refuse_changed(self, lines: list[KnownKey], shown: str) -> None:
        name = self.names()[0]
        file = lines[0].where.rpartition(":")[0]
        raise self._refusal(
            f"host key of {self._label} has changed: {shown}",
            hint=f"If the machine was rebuilt: ssh-keygen -f {file} -R '{name}', then confirm the new key.",
            details=[f"{line.where} has {line.type} {fingerprint(line.blob)}" for line in lines],
        )

    def _refuse_uncertified(self, authorities: list[KnownKey], shown: str, why_not: str) -> None:
        raise self._refusal(
            f"host key of {self._label} is vouched for by no listed authority: {why_not}",
            hint="Sign its key again (ssh-keygen -s CA -h -n HOST), or add the key to known_hosts.",
            details=[f"it showed {shown}", *(f"{line.where} lists the authority" for line in authorities)],
        )

    def _refuse_unknown(self, shown: str) -> None:
        looked = ", ".join(self.settings.known_hosts_files) or "nowhere"
        port = "" if self.settings.port == DEFAULT_PORT else f"-p {self.settings.port} "
        raise self._refusal(
            f"host key of {self._label} is not known: {shown}",
            hint=f"Connect by hand and compare: ssh {port}{self.settings.user}@{self.settings.host}",
            details=[f"looked in {looked}"],
        )

    @property
    def _label(self) -> str:
        return f"{self.machine} ({self.settings.where})"

    def _refusal(self, message: str, *, hint: str, details: list[str]) -> Unreachable:
        return Unreachable(message, machine=self.machine, hint=hint, details=details)


def bare_key(key: PKey) -> bytes:
    """Return a public key's own bytes; of a certificate, those of the key that it certifies."""
    return key.asbytes()
