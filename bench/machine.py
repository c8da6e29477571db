"""The machine that a report was made on, in words that name neither it nor its owner."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to judge the figures."""

    cores: int
    memory_gib: int
    system: str
    kernel: str
    python: str

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{cores}, {self.memory_gib} GiB, {self.system}, Linux {self.kernel}, Python {self.python}"


def this_machine() -> Machine:
    """Describe this one."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        kernel=platform.release().split("-")[0],  # what follows is its builder's own
        python=platform.python_version(),
    )


def load() -> float:
    """Return the load of the last minute: processes that want a core, those that have one included."""
    return float(Path("/proc/loadavg").read_text().split()[0])
