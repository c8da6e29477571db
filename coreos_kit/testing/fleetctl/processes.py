"""How the processes of a unit behave, as far as its file tells: what fleetctl shows depends on it.

Nothing is run. A test that needs another story (a command that fails, a pull that takes a minute) tells it
with `Story`, by unit.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from coreos_kit.model.names import UnitName
from coreos_kit.units import globs
from coreos_kit.units.unit_file import UnitFile

PULL_S = 3.0  # longer than the two seconds that `fleetctl start` gives a unit
STOP_COMMAND_S = 0.2  # of a quick one; nothing takes no time
DOCKER_STOP_S = 10.0  # its grace for a container that does not listen, before SIGKILL
STOP_TIMEOUT_S = 90.0  # systemd's DefaultTimeoutStopSec=

_SLEEP = re.compile(r"^[-+!@:]*(?:/usr)?(?:/bin/)?sleep ([0-9.]+)$")
_CONTAINER = re.compile(r"\b(?:docker|podman) run\b")
_TRAP = re.compile(r"trap \\?[\"']\\?[\"'] (?:SIG)?TERM")


@dataclass(frozen=True, slots=True)
class Story:
    """What a test says of units whose names match `units`; None leaves what their files tell."""

    units: str  # a glob, as in Conflicts=
    starts_in_s: float | None = None
    fails: bool | None = None
    stops_in_s: float | None = None
    ignores_sigterm: bool | None = None


@dataclass(frozen=True, slots=True)
class Processes:
    """What becomes of a unit's processes. `lasts_s` None: the main one runs until it is stopped."""

    starts_in_s: float = 0.0
    lasts_s: float | None = None
    fails: bool = False
    is_oneshot: bool = False
    remains: bool = False  # RemainAfterExit=
    has_stop_command: bool = False
    stops_in_s: float = 0.0
    stop_ends_failed: bool = False
    ignores_sigterm: bool = False
    stop_timeout_s: float = STOP_TIMEOUT_S
    restarts: bool = False
    restart_in_s: float = 0.1
    is_container: bool = False

    @classmethod
    def of(cls, name: UnitName, text: str, stories: Iterable[Story] = ()) -> Self:
        """Read them from a unit's file; the stories told later win."""
        file = UnitFile.parse(text)
        start = " ; ".join(file.values("Service", "ExecStart"))
        before = file.values("Service", "ExecStartPre")
        stop = file.values("Service", "ExecStop")
        slept = _slept(start)
        one_shot = file.value("Service", "Type") == "oneshot"
        is_container = bool(_CONTAINER.search(start))
        deaf = bool(_TRAP.search(start)) or (is_container and " --init" not in start)
        forgiven = "137" in (file.value("Service", "SuccessExitStatus") or "").split()
        told = cls(
            starts_in_s=sum(_slept(command) or 0.0 for command in before)
            + (PULL_S if any(" pull " in command for command in before) else 0.0),
            lasts_s=0.0 if start.endswith(("/false", "/true")) or (one_shot and slept is None) else slept,
            fails=start.endswith("/false"),
            is_oneshot=one_shot,
            remains=_is_true(file.value("Service", "RemainAfterExit")),
            has_stop_command=bool(stop),
            stops_in_s=sum(_slept(command) or STOP_COMMAND_S for command in stop)
            + (DOCKER_STOP_S if deaf and any(" stop " in command for command in stop) else 0.0),
            stop_ends_failed=deaf and not forgiven,
            ignores_sigterm=deaf,
            stop_timeout_s=_seconds(file.value("Service", "TimeoutStopSec"), STOP_TIMEOUT_S),
            restarts=file.value("Service", "Restart") not in {None, "", "no"},
            restart_in_s=_seconds(file.value("Service", "RestartSec"), 0.1),
            is_container=is_container,
        )
        for story in stories:
            if globs.matches(story.units, str(name)):
                told = told.told_by(story)
        return told

    def told_by(self, story: Story) -> Self:
        """Return these as a story tells them."""
        said = {
            field: value
            for field in ("starts_in_s", "fails", "stops_in_s", "ignores_sigterm")
            if (value := getattr(story, field)) is not None
        }
        if "fails" in said:
            said["lasts_s"] = 0.0 if said["fails"] else None
        return replace(self, **said)


def references(name: UnitName, file: UnitFile, *keys: str) -> frozenset[str]:
    """Return the units that [Unit] names under these keys, specifiers expanded as systemd does."""
    return frozenset(
        word for key in keys for value in file.values("Unit", key) for word in name.expand(value).split()
    )


def _slept(command: str) -> float | None:
    found = _SLEEP.match(command.strip())
    return float(found[1]) if found else None


_UNITS: Mapping[str, float] = {"": 1, "s": 1, "sec": 1, "min": 60, "m": 60, "ms": 0.001, "h": 3600}


def _seconds(text: str | None, default: float) -> float:
    found = re.fullmatch(r"([0-9.]+) ?([a-z]*)", text or "")
    return float(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else default


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in {"1", "yes", "true", "on"}
