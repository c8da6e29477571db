"""Mounts of the workstation: what is mounted where, and taking it away."""

import re
from pathlib import Path

from coreos_kit.adapters.nspawn.host import run


def mounts_below(folder: Path, table: str | None = None) -> list[Path]:
    """Return the mount points at or below a folder, innermost first."""
    text = Path("/proc/self/mountinfo").read_text("utf-8") if table is None else table
    points = [Path(_unescaped(line.split(" ")[4])) for line in text.splitlines()]
    inside = [point for point in points if point == folder or folder in point.parents]
    return inside[::-1]  # mountinfo lists them in the order in which they were mounted


def unmount_below(folder: Path) -> int:
    """Unmount everything at or below a folder and return how many that were."""
    points = mounts_below(folder.resolve())
    for point in points:
        if run(["umount", str(point)], check=False).code:
            # Somebody holds a file open in there: detach it now, the kernel frees it when they are done.
            run(["umount", "--lazy", str(point)])
    return len(points)


def mount_overlay(at: Path, *, lower: list[Path], upper: Path, work: Path) -> None:
    """Mount an overlay; the first of `lower` is on top."""
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "overlay", "-o", options, str(at)])


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
