"""A control group for each machine, so that its processes can be told from all others.

Where the workstation's PID 1 is systemd, machined makes that group (machine-<name>.scope). Elsewhere it is
made here, in every hierarchy: a systemd takes over the group that it is booted in, so none may be shared.
"""

import errno
import os
import time
from pathlib import Path

from coreos_kit.errors import TimedOut


def hierarchies(table: str | None = None) -> list[Path]:
    """Return where control groups are mounted: once with version 2, with version 1 for each controller."""
    text = Path("/proc/self/mounts").read_text("utf-8") if table is None else table
    fields = (line.split(" ") for line in text.splitlines())
    return [Path(field[1]) for field in fields if field[2] in {"cgroup", "cgroup2"}]


def make_group(group: str) -> list[Path]:
    """Make a machine's group in every hierarchy and return the folders."""
    folders = []
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in group.split("/"):
            above, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            for name in (
                "cpuset.cpus",
                "cpuset.mems",
            ):  # version 1: empty in a new group, and then it takes no process
                if (above / name).exists() and not (folder / name).read_text().strip():
                    (folder / name).write_text((above / name).read_text())
        folders.append(folder)
    return folders


def remove_groups(group: str) -> None:
    """Remove a machine's group, those inside it, and those above it that are then empty."""
    for hierarchy in hierarchies():
        top = hierarchy / group
        if top.exists():
            for folder in sorted((folder for folder in top.rglob("*") if folder.is_dir()), reverse=True):
                _remove(folder)
            for folder in (top, *top.parents):
                if folder == hierarchy or any(child.is_dir() for child in folder.iterdir()):
                    break
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove an empty group; the kernel takes a moment to let go of one whose last process has just died."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.05)
        else:
            return
    raise TimedOut(f"control group {folder} stays busy")


def processes_in(marks: tuple[str, ...]) -> list[int]:
    """Return the processes whose group's path (with a slash at its end) holds one of `marks`."""
    return [pid for pid in _pids() if (groups := _groups_of(pid)) and any(mark in groups for mark in marks)]


def namespace_pids(pid: int) -> list[int]:
    """Return a process's ids, from ours to its innermost PID namespace's; empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "NSpid:")
    return [int(word) for word in line.split()[1:]]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (asked for many times a second)


def _groups_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cgroup", "rb") as file:  # noqa: PTH123 (likewise)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "".join(line.split(":", 2)[2] + "/\n" for line in lines)
