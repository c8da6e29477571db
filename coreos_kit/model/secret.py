"""Secrets: values that nothing prints, and where the configuration says they come from."""

from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Bytes that show up nowhere: however it is printed, it is `[redacted]`. `reveal` is the one way in."""

    _content: bytes = field(default=b"", repr=False)

    def reveal(self) -> bytes:
        """Return the content, for the file that it goes into."""
        return self._content

    def __repr__(self) -> str:
        """Say that there is something, and nothing more."""
        return "[redacted]"

    def __str__(self) -> str:
        """Say that there is something, and nothing more."""
        return "[redacted]"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a file by way of it."""
        raise TypeError("a secret can't be serialised")


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one secret comes from, on the workstation: exactly one of the three is given."""

    name: str
    env: str = ""
    file: str = ""
    command: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Return where it is looked for, for messages."""
        if self.env:
            return f"the environment variable {self.env}"
        return f"the file {self.file}" if self.file else f"the command {self.command[0]}"


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Who pulls a cluster's images on its machines; the password is a secret of that name."""

    username: str
    password_secret: str


@dataclass(frozen=True, slots=True)
class SeenFiles:
    """What one machine has below /etc/coreos-kit/<project>/: each file's keyed digest, never its content.

    A file that others than root could read or write has the digest "", and so never the right one.
    """

    key: Secret | None = None  # what the digests are made with; None: the machine has none yet
    digests: dict[str, str] = field(default_factory=dict)  # path below the folder -> digest


@dataclass(frozen=True, slots=True)
class FileNames:
    """Which of those files change on one machine: written before any unit is touched, removed after all."""

    write: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
