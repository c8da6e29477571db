"""Settings of the workstation's kernel that labs share: raised for the first, put back after the last.

They are counted for the whole workstation, whatever state folder a lab has. A restart empties both the record
and the settings.
"""

import json
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from coreos_kit.adapters.nspawn.state import locked

SHARED = Path("/run/coreos-kit")

# What a lab needs at least. Each machine takes eight to ten of root's inotify instances: of the kernel's 128
# none is left for the third lab, whose machines then fail to boot.
NEEDED = {"net/ipv4/ip_forward": 1, "fs/inotify/max_user_instances": 4096}


def lock_workstation() -> AbstractContextManager[None]:
    """Hold the lock under which things that all labs share are read and changed."""
    return locked(SHARED / "lock")


def hold(holder: Path) -> None:
    """Have the settings as a lab needs them; safe to repeat. `holder` is the lab's folder."""
    with lock_workstation():
        before, holders = _record()
        now = {name: _file(name).read_text().strip() for name in NEEDED}
        # First the record, then the change: whoever is killed in between has recorded the truth.
        _write_record({**now, **before}, sorted({*holders, str(holder)}))
        for name, needed in NEEDED.items():
            if int(now[name]) < needed:
                _file(name).write_text(f"{needed}\n")


def release(holder: Path) -> list[str]:
    """Let go of the settings; return those that were put back, because this was the last lab."""
    restored = []
    with lock_workstation():
        before, holders = _record()
        # Labs whose folders were removed by hand need them no longer.
        left = [other for other in holders if other != str(holder) and Path(other).exists()]
        if left:
            _write_record(before, left)
        elif holders:
            for name, value in before.items():
                if _file(name).read_text().strip() != value:
                    _file(name).write_text(value + "\n")
                    restored.append(name.replace("/", "."))
            (SHARED / "sysctls.json").unlink()
    with suppress(OSError):  # another lab has just put something there
        SHARED.rmdir()
    return restored


def _record() -> tuple[dict[str, str], list[str]]:
    """Return the values before the first lab came, and the folders of the labs that there are."""
    file = SHARED / "sysctls.json"
    if not file.exists():
        return {}, []
    record = json.loads(file.read_text())
    return dict(record["before"]), [str(holder) for holder in record["holders"]]


def _write_record(before: dict[str, str], holders: list[str]) -> None:
    part = SHARED / "sysctls.part"
    part.write_text(json.dumps({"before": before, "holders": holders}))
    part.replace(SHARED / "sysctls.json")


def _file(name: str) -> Path:
    return Path("/proc/sys") / name
