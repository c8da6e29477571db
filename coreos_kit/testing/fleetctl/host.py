"""systemd on one machine, as far as fleet's agent and the lists of fleetctl can tell.

Units are loaded, started, stopped and unloaded; their processes take their time. No process is run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from coreos_kit.model.names import UnitName
from coreos_kit.testing.fleetctl.processes import Processes, Story, references
from coreos_kit.units.unit_file import UnitFile

START_LIMIT = 5  # starts within ten seconds, then systemd gives up
START_LIMIT_S = 10.0


@dataclass(slots=True)
class Run:
    """A unit in systemd's memory; it outlives its file for as long as it is not dead."""

    active: str = "inactive"
    sub: str = "dead"
    until: float | None = None  # when its processes come to their next step
    text: str = ""  # of the file that it was started with
    wants_start: bool = False  # a start job waits
    started: list[float] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Whether it runs or is about to."""
        return self.active in {"active", "activating"}


@dataclass(slots=True)
class Host:
    """What systemd knows: the files that fleet has put there, and what runs."""

    files: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)  # units whose containers nobody will ever stop
    stories: list[Story] = field(default_factory=list)

    def state(self, name: str) -> tuple[str, str]:
        """Return ActiveState and SubState."""
        run = self.runs.get(name, Run())
        return run.active, run.sub

    def load(self, name: str, text: str) -> None:
        """Put a file there."""
        self.files[name] = text
        self.runs.setdefault(name, Run())

    def start(self, name: str, now: float) -> None:
        """Ask for a start. A unit that requires one that is not loaded is refused, and nobody asks again."""
        required = references(*_parsed(name, self.files[name]), "Requires", "BindsTo")
        needed = {other for other in required if other in self.files or "@" in other}
        if not needed <= set(self.files):
            return  # "Unit apache-discovery@7777.service not found."
        for other in sorted({name, *needed}):
            run = self.runs[other]
            run.wants_start = run.wants_start or not run.is_up
        self._settle(now)

    def stop(self, name: str, now: float) -> None:
        """Stop a unit, and those bound to it, with its stop command."""
        run = self.runs.get(name)
        if run is None:
            return
        run.wants_start = False
        if not run.is_up:
            return
        told = self._told(name, run)
        if run.sub in {"auto-restart", "start-pre"}:
            self._end(name, run, now, failed=False)
        elif told.has_stop_command:
            self._goes(run, "deactivating", "stop", now + told.stops_in_s)
        elif told.ignores_sigterm:
            self._goes(run, "deactivating", "stop-sigterm", now + told.stop_timeout_s)
        else:
            self._end(name, run, now, failed=False)
        self._stop_bound(name, now, "Requires", "BindsTo")
        self.step(now)

    def unload(self, name: str, now: float) -> bool:
        """Stop a unit and take its file away in the same moment; tell whether systemd still knows it then.

        A stop command that has begun runs on. One that has to wait for the stop of another unit, a sidekick
        say, is lost with the file: systemd then has only SIGTERM, which a `docker run` passes on to a
        container that may not listen. After 90 s the client is killed, and the container runs on.
        """
        has_to_wait = name in self.runs and any(True for _ in self._stopped_before(name))
        self.stop(name, now)
        self.files.pop(name, None)
        run = self.runs.get(name)
        if run is None:
            return False
        if has_to_wait and run.sub == "stop":
            told = self._told(name, run)
            if told.ignores_sigterm:
                self._goes(run, "deactivating", "stop-sigterm", now + told.stop_timeout_s)
            else:
                self._end(name, run, now, failed=False)
        is_known = run.active in {"deactivating", "failed"}
        if run.active != "deactivating":
            self.runs.pop(name, None)
        return is_known

    def step(self, now: float) -> bool:
        """Let everything happen that is due; tell whether anything did."""
        happened = False
        while due := [name for name, run in self.runs.items() if run.until is not None and run.until <= now]:
            happened = True
            for name in sorted(due):
                if name in self.runs:
                    self._next(name, self.runs[name], now)
            self._settle(now)
        return happened

    @property
    def next_step(self) -> float | None:
        """When the next thing happens by itself."""
        return min((run.until for run in self.runs.values() if run.until is not None), default=None)

    def _next(self, name: str, run: Run, now: float) -> None:
        told = self._told(name, run)
        step = (run.active, run.sub)
        if step == ("activating", "auto-restart"):
            self._begin(name, run, now)
        elif step == ("activating", "start-pre"):
            self._run_main(run, told, now)
        elif step == ("activating", "start") and told.remains and not told.fails:
            self._goes(run, "active", "exited")
        elif run.is_up:
            self._end(name, run, now, failed=told.fails)
        elif run.sub == "stop-sigterm":
            if told.is_container:
                self.orphans.append(name)
            self._end(name, run, now, failed=True)
        else:
            self._end(name, run, now, failed=told.stop_ends_failed)

    def _begin(self, name: str, run: Run, now: float) -> None:
        run.wants_start, run.text = False, self.files.get(name, run.text)
        recent = [start for start in run.started if start > now - START_LIMIT_S]
        if len(recent) >= START_LIMIT:
            self._goes(run, "failed", "failed")
            return
        run.started = [*recent, now]
        told = self._told(name, run)
        if told.starts_in_s:
            self._goes(run, "activating", "start-pre", now + told.starts_in_s)
        else:
            self._run_main(run, told, now)

    def _run_main(self, run: Run, told: Processes, now: float) -> None:
        active, sub = ("activating", "start") if told.is_oneshot else ("active", "running")
        self._goes(run, active, sub, None if told.lasts_s is None else now + told.lasts_s)

    def _end(self, name: str, run: Run, now: float, *, failed: bool) -> None:
        told = self._told(name, run)
        stopped = run.active == "deactivating"
        if told.restarts and not stopped and failed and name in self.files:
            self._goes(run, "activating", "auto-restart", now + told.restart_in_s)
        else:
            self._goes(run, *(("failed", "failed") if failed else ("inactive", "dead")))
            self._stop_bound(name, now, "BindsTo")
        if name not in self.files and not run.is_up:
            del self.runs[name]

    def _stop_bound(self, name: str, now: float, *keys: str) -> None:
        for other, text in sorted(self.files.items()):
            if name in references(*_parsed(other, text), *keys) and self.runs[other].is_up:
                self.stop(other, now)

    def _stopped_before(self, name: str) -> Iterator[str]:
        """Give the units that are bound to this one, start after it, and so have to be stopped before it."""
        for other, run in self.runs.items():
            unit = _parsed(other, self.files.get(other, run.text))
            stands = run.is_up or run.active == "deactivating"
            if stands and name in references(*unit, "After") & references(*unit, "Requires", "BindsTo"):
                yield other

    def _settle(self, now: float) -> None:
        """Run the start jobs that wait for nothing more."""
        moved = True
        while moved:
            moved = False
            for name, run in sorted(self.runs.items()):
                if not run.wants_start or run.active == "deactivating" or name not in self.files:
                    continue
                if any(self._is_on_its_way(other) for other in self._before(name)):
                    continue
                if any(not self.runs[other].is_up for other in self._bound_before(name)):
                    run.wants_start = False  # "Dependency failed for …"
                else:
                    self._begin(name, run, now)
                moved = True

    def _is_on_its_way(self, name: str) -> bool:
        run = self.runs[name]
        return run.wants_start or run.active in {"activating", "deactivating"}

    def _before(self, name: str) -> Iterator[str]:
        """Give the loaded units that have to be started before this one."""
        after = references(*_parsed(name, self.files[name]), "After")
        for other, text in self.files.items():
            if other != name and (other in after or name in references(*_parsed(other, text), "Before")):
                yield other

    def _bound_before(self, name: str) -> set[str]:
        needed = references(*_parsed(name, self.files[name]), "Requires", "BindsTo")
        return set(self._before(name)) & needed

    def _told(self, name: str, run: Run) -> Processes:
        return Processes.of(UnitName.parse(name), run.text or self.files.get(name, ""), self.stories)

    @staticmethod
    def _goes(run: Run, active: str, sub: str, until: float | None = None) -> None:
        run.active, run.sub, run.until = active, sub, until


@lru_cache(maxsize=1024)
def _parsed(name: str, text: str) -> tuple[UnitName, UnitFile]:
    return UnitName.parse(name), UnitFile.parse(text)
