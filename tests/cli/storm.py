"""A storm over a cluster in memory: faults that strike between the calls of a deploy."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock, current_thread, main_thread
from typing import Any

from coreos_kit.cli.settings import Settings
from coreos_kit.errors import CommandFailed, Unreachable
from coreos_kit.model.names import UnitName
from coreos_kit.ops.session import Session
from tests.cli.conftest import Kit, Site

MOST_FAULTS = 3
LASTS = (1, 3, 10, 1000)  # calls
LOST = (
    "apply", "apply_all", "hold_out", "let_in", "wait_until_up", "probe", "pull",
    "put", "create", "renew", "delete_if_value", "entry", "entries",
)  # fmt: skip
CHANGES = ("apply", "apply_all", "hold_out", "let_in", "delete_if_value")  # by which the kit touches the site

_MACHINES = ("core-1", "core-2", "core-3", "core-4")
_UNITS = (
    "apache@7777.service",
    "apache@8888.service",
    "apache-discovery@7777.service",
    "apache@9999.service",
)
_NOWHERE = ("",)
KINDS = {
    "cut off": _MACHINES,
    "no power": _MACHINES,
    "reboot": _MACHINES,
    "does not come up": _UNITS,
    "answers are lost": _NOWHERE,  # after what was asked has been done
    "etcd is away": _NOWHERE,
    "registry is away": _NOWHERE,
    "lock is lost": _NOWHERE,
    "killed": _NOWHERE,
    "ctrl-c": _NOWHERE,
}


class Killed(Exception):  # no KitError: nothing of the kit may catch it
    """The process that deploys is no more: every call of it ends here."""


@dataclass(frozen=True)
class Fault:
    """What happens before the `nth` call of one port's method, for so many calls of whichever."""

    kind: str
    target: str
    call: str
    nth: int
    lasts: int


def schedule(luck: random.Random, calls: Sequence[str]) -> list[Fault]:
    """Draw what happens, and before which of the calls that a deploy makes when nothing does."""
    touched = next(number for number, call in enumerate(calls) if call in CHANGES)
    faults = []
    for _ in range(luck.randint(1, MOST_FAULTS)):
        kind = luck.choice(list(KINDS))
        at = luck.randrange(luck.choice([0, touched]), len(calls))
        nth = calls[: at + 1].count(calls[at])
        faults.append(Fault(kind, luck.choice(KINDS[kind]), calls[at], nth, luck.choice(LASTS)))
    return faults


class Storm:
    """Lets faults happen as scheduled, and watches what the deploy does to the pool."""

    def __init__(self, site: Site, faults: Sequence[Fault] = ()) -> None:
        self.struck: list[Fault] = []
        self.calls: list[str] = []
        self.emptied: list[str] = []  # the calls by which the kit took the last one out of the pool
        self._site = site
        self._faults = faults
        self._ends: list[tuple[int, Callable[[], None]]] = []
        self._known: set[str] = set()  # what served when the kit looked at a pool last
        self._is_killed = False
        self._is_interrupted = False
        self._registry_is_away = False
        self._answers_are_lost = False
        self._lock = RLock()

    def around(self, session: Session) -> Session:
        """Return the session with every call going through the storm."""
        return replace(
            session,
            driver=_Through(session.driver, self),
            prober=_Through(session.prober, self),
            engines={name: _Through(engine, self) for name, engine in session.engines.items()},
            files=_Through(session.files, self),
            store=lambda: _Through(session.store(), self),
        )

    def is_over(self) -> None:
        """End whatever still lasts."""
        for _, end in self._ends:
            end()
        self._ends = []

    def call(self, name: str, action: Callable[[], Any]) -> Any:
        with self._lock:
            self._before(name)
            before = self._serving()
            if name == "probe":
                self._known = before
            try:
                return self._answer(name, action())
            finally:
                # What went away since the last look nobody could have known.
                if name in CHANGES and before and not self._serving() and self._known <= before:
                    self.emptied.append(f"{name} took the last out of the pool: {', '.join(sorted(before))}")

    def _answer(self, name: str, answer: Any) -> Any:
        if not self._answers_are_lost or name not in LOST:
            return answer
        lost = Unreachable("the connection was lost")
        if name == "apply_all":
            return dict.fromkeys(answer, lost)
        raise lost

    def _before(self, name: str) -> None:
        self.calls.append(name)
        now, nth = len(self.calls), self.calls.count(name)
        over = [end for at, end in self._ends if at <= now]
        self._ends = [(at, end) for at, end in self._ends if at > now]
        for end in over:
            end()
        for fault in self._faults:
            if fault not in self.struck and (fault.call, fault.nth) == (name, nth):
                self.struck.append(fault)
                self._ends.append((now + fault.lasts, self._begin(fault)))
        if self._is_interrupted and current_thread() is main_thread():
            self._is_interrupted = False
            raise KeyboardInterrupt
        if self._is_killed:
            raise Killed
        if self._registry_is_away and name == "pull":
            raise CommandFailed("the registry does not answer", code=1)

    def _begin(self, fault: Fault) -> Callable[[], None]:
        """Let it happen; return what ends it."""
        site = self._site
        match fault.kind:
            case "cut off" | "no power" if not site.machines[fault.target].is_down:
                site.machines[fault.target].is_down = True
                return lambda: self._comes_back(fault.target, booted=fault.kind == "no power")
            case "reboot":
                self._comes_back(fault.target, booted=True)
            case "does not come up":
                unit = UnitName.parse(fault.target)
                site.broken.add(unit)
                return lambda: site.broken.discard(unit)
            case "etcd is away":
                site.etcd_is_down = True
                return lambda: setattr(site, "etcd_is_down", False)
            case "answers are lost":
                self._answers_are_lost = True
                return lambda: setattr(self, "_answers_are_lost", False)
            case "registry is away":
                self._registry_is_away = True
                return lambda: setattr(self, "_registry_is_away", False)
            case "lock is lost":
                for key in [key for key in site.kept.keys if key.endswith("/lock")]:
                    del site.kept.keys[key]
            case "killed":
                self._is_killed = True
            case "ctrl-c":
                self._is_interrupted = True
        return lambda: None

    def _comes_back(self, name: str, *, booted: bool) -> None:
        machine = self._site.machines[name]
        machine.is_down = False
        if booted:
            machine.boot_id = f"{machine.boot_id}*"
            machine.held_out.clear()
            machine.active = set(machine.files)
            machine.active -= self._site.broken | machine.bound_to([*self._site.broken])
            machine.started = dict(machine.files)

    def _serving(self) -> set[str]:
        return {entry.value for entry in self._site._registrations() if self._site._answers(entry.value)}


class _Through:
    """A port, called through a storm."""

    def __init__(self, port: Any, storm: Storm) -> None:
        self._port = port
        self._storm = storm

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return lambda *args, **more: self._storm.call(name, lambda: found(*args, **more))


@dataclass
class StormyKit(Kit):
    """The command line, on a site through which a storm may go."""

    storm: Storm | None = None

    @contextmanager
    def open_session(self, settings: Settings, *, progress: Callable[[str], None]) -> Iterator[Session]:
        with super().open_session(settings, progress=progress) as session:
            yield self.storm.around(session) if self.storm else session
