"""Writing whole files, so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os


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
