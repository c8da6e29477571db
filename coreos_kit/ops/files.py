"""Files of a workspace: written atomically, and never through a symlink that leads out of it."""

import os
import tempfile
from pathlib import Path

from coreos_kit.errors import KitError, Refused


def is_inside(root: Path, path: Path) -> bool:
    """Tell whether `path`, with all symlinks followed, lies in the workspace; it need not exist."""
    # realpath, because Path.resolve raises on a symlink that leads to itself.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def way_out(root: Path, path: Path) -> Path | None:
    """Return the first symlink on the way from `root` to `path` that leads out of `root`, if there is one.

    `path` itself counts; it need not exist.
    """
    at = root
    for part in path.relative_to(root).parts:
        at = at / part
        if part == ".." or (at.is_symlink() and not is_inside(root, at)):
            return at
    return None


def write_atomically(path: Path, content: str | bytes, *, root: Path, mode: int = 0o644) -> None:
    """Write a file below `root` as a whole or not at all; missing folders are made.

    A symlink at `path` is replaced, not followed. Raises `Refused` where the way there leads out of `root`.
    """
    if out := way_out(root, path.parent):
        raise Refused(f"{out} leads out of {root}", hint=f"Replace it by a folder: rm {out} && mkdir {out}")
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, mode)
    except OSError as error:
        hint = "Look at the permissions of its folder, and at the room left: df -h"
        raise KitError(f"{path} can't be written: {error.strerror or error}", hint=hint) from error


def read_text_inside(root: Path, path: Path) -> str:
    """Read a text file below `root`. Raises `Refused` for what leads out of it or is not UTF-8."""
    if out := way_out(root, path):
        raise Refused(f"{out} leads out of {root}", hint="Replace it by the file that it points to.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8: byte {error.start}", hint="Convert it to UTF-8.") from error
    except OSError as error:
        hint = f"Look at it: ls -l {path}"
        raise KitError(f"{path} can't be read: {error.strerror or error}", hint=hint) from error


def _replace(path: Path, data: bytes, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
