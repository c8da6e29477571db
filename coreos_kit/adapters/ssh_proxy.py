"""A ProxyCommand of ssh_config: its input and output as one socket.

Not paramiko's: it runs no shell, never reads what the command complains about, and spins for ever when that
has ended.
"""

import contextlib
import socket
import subprocess
import tempfile


class ProxyCommand:
    """The running command; tokens are expanded already, the rest is the shell's (ssh_config(5))."""

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed in close()
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is the kit's to handle
            )

    def complaint(self) -> str:
        """Return the last line that it wrote to stderr."""
        self._errors.seek(0)
        lines = self._errors.read(64 * 1024).decode("utf-8", "replace").strip().splitlines()
        return f"ProxyCommand: {lines[-1]}" if lines else ""

    def close(self) -> None:
        """End the command."""
        self.socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._errors.close()
