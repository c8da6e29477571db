"""Writing whole files, so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
from typing import Callable, Optional


def replace_file(path: str, text: str) -> None:
    """Write `text` to `path` atomically, readable by its owner only."""
    staged = f"{path}.new"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)


def replace_link(path: str, target: str) -> None:
    """Make `path` a symlink to `target` atomically."""
    staged = f"{path}.new"
    if os.path.lexists(staged):
        os.unlink(staged)
    os.symlink(target, staged)
    os.replace(staged, path)


class KeptFile:
    """A file that is to hold what somebody says again and again; written when that is something else.

    A disk that can't be written is said once, and tried again each time: it must not end what serves.
    """

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._holds: Optional[str] = None
        self._is_said = False

    def try_keep(self, text: str) -> bool:
        """Return whether the file holds `text` now."""
        if text == self._holds:
            return True
        try:
            replace_file(self._path, text)
        except OSError as error:
            if not self._is_said:
                self._say(f"{self._path} is not written: {error.strerror}")
            self._holds, self._is_said = None, True
            return False
        self._holds, self._is_said = text, False
        return True
