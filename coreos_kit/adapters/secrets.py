"""Where secrets come from on the workstation: a variable, a file, a command such as a password manager's."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coreos_kit.errors import InvalidConfig
from coreos_kit.model.secret import Secret, SecretSource

COMMAND_TIMEOUT_S = 60  # somebody may have to type a passphrase
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class SecretReader:
    """`ports.SecretReader`: reads each secret once; files and commands are relative to the workspace.

    `InvalidConfig` says what is missing and where it was looked for. Nothing that a source gives gets into a
    message, what a command prints when it fails included.
    """

    root: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _read: dict[str, Secret] = field(default_factory=dict)

    def __call__(self, source: SecretSource) -> Secret:
        """Return the secret, without the newline at its end."""
        if source.name not in self._read:
            content = self._content(source)
            content = content.removesuffix(b"\n").removesuffix(b"\r")
            if not content:
                raise _missing(source, "is empty")
            if len(content) > _LARGEST:
                raise _missing(source, f"has more than {_LARGEST >> 10} KB")
            self._read[source.name] = Secret(content)
        return self._read[source.name]

    def _content(self, source: SecretSource) -> bytes:
        if source.env:
            value = self.environ.get(source.env)
            if value is None:
                raise _missing(source, "is not set")
            return os.fsencode(value)
        if source.file:
            try:
                with (self.root / Path(source.file).expanduser()).open("rb") as file:
                    return file.read(_LARGEST + 2)
            except (OSError, RuntimeError) as error:  # RuntimeError: there is no such home
                raise _missing(
                    source, f"can't be read: {getattr(error, 'strerror', None) or error}"
                ) from error
        return self._said(source)

    def _said(self, source: SecretSource) -> bytes:
        try:
            done = subprocess.run(
                source.command,
                cwd=self.root,
                env=dict(self.environ),
                stdout=subprocess.PIPE,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )  # its questions and complaints go where the kit's own go
        except OSError as error:
            raise _missing(source, f"can't be run: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            # Not chained: the exception holds what the command had printed.
            raise _missing(source, f"did not come to its end within {COMMAND_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise _missing(source, f"ended with code {done.returncode}")
        return done.stdout


def _missing(source: SecretSource, problem: str) -> InvalidConfig:
    return InvalidConfig(
        f"the secret {source.name} is missing: {source.where} {problem}",
        hint=f"Look at [secrets.{source.name}] in coreos-kit.toml.",
    )
