"""fleetctl, as a test needs it: its commands, their answers and their exit codes, which say little."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from coreos_kit.model.names import UnitName
from coreos_kit.testing.fleetctl import looking
from coreos_kit.testing.fleetctl.arguments import Asked, WrongUsage, parse
from coreos_kit.testing.fleetctl.creating import create_units
from coreos_kit.testing.fleetctl.members import INACTIVE, LAUNCHED, LOADED
from coreos_kit.testing.fleetctl.session import Failed, Session, mangled, unit_path
from coreos_kit.testing.fleetctl.state import StateFolder


@dataclass(frozen=True, slots=True)
class Fleetctl:
    """fleetctl in a working directory of the machine `machine_id`; "" is the first one."""

    state: StateFolder
    folder: Path
    machine_id: str = ""
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    def run(self, argv: Sequence[str]) -> int:
        """Answer a command line and return the exit code."""
        with self.state.opened() as kept:
            text = kept.version
        version = tuple(int(part) for part in text.split("."))
        try:
            asked = parse(argv, version)
        except WrongUsage as wrong:
            self.err.write(str(wrong))
            return 2 if version < (0, 13) else 0
        session = self._session(asked, version)
        if asked.command == "version":
            session.say(f"fleetctl version {text}")
            return 0
        try:
            return _COMMANDS[asked.command](session)
        except Failed as failed:
            session.complain(str(failed))
            return 1

    def _session(self, asked: Asked, version: tuple[int, ...]) -> Session:
        return Session(asked, version, self.state, self.folder, self.machine_id, self.out, self.err)


def _submit(session: Session) -> int:
    create_units(session)
    return 0


def _load(session: Session) -> int:
    create_units(session)
    return _bring(session, "load", "loading", LOADED)


def _start(session: Session) -> int:
    create_units(session)
    return _bring(session, "start", "starting", LAUNCHED)


def _bring(session: Session, verb: str, doing: str, desired: str) -> int:
    """Set the state that units shall have. Those that have it already are left alone, failed or not."""
    failed = f"Error {doing} units: {{}}"
    waiting: list[str] = []
    for name in map(mangled, session.asked.args):
        with session.registry(unit_path(name), failed) as cluster:
            job = cluster.jobs.get(name)
            if job is None:
                raise Failed(failed.format(f"unable to find unit {name}"))
            if job.desired == desired:
                continue
            if UnitName.parse(name).is_template:
                raise Failed(failed.format(f'googleapi: Error 400: cannot activate template "{name}"'))
            cluster.set_desired(name, desired)
        if job.is_global:
            session.say(f"Triggered global unit {name} {verb}")
        else:
            waiting.append(name)
    session.wait_for(desired, waiting, "Error waiting for unit states, exit status: {}", verb)
    if desired == LAUNCHED and session.version >= (1,):
        session.wait_for_active(waiting)
    return 0


def _stop(session: Session) -> int:
    return _take_back(session, "stop", "stopped", LOADED)


def _unload(session: Session) -> int:
    return _take_back(session, "unload", "unloaded", INACTIVE)


def _take_back(session: Session, verb: str, done: str, desired: str) -> int:
    names = _found(session)
    if not names:
        return 0
    waiting: list[str] = []
    for name in names:
        with session.registry(unit_path(name), "{}") as cluster:
            job = cluster.jobs[name]
            state = cluster.state_of(job)
            if state == INACTIVE and verb == "stop":
                raise Failed(f"Unable to stop unit {name} in state {INACTIVE}")
            if state in {INACTIVE, desired}:
                continue  # even one that is pending and shall be launched
            cluster.set_desired(name, desired)
        if job.is_global:
            session.say(f"Triggered global unit {name} {verb}")
        else:
            waiting.append(name)
    listed = f"[{' '.join(waiting)}]"
    session.wait_for(desired, waiting, f"Failed to {verb} units {listed}. err: {{}}", verb)
    if session.version >= (0, 13):
        session.complain(f"Successfully {done} units {listed}.")
    return 0


def _destroy(session: Session) -> int:
    """Forget units and return at once; what runs is noticed later."""
    for name in _found(session):
        with session.registry(unit_path(name), "Error destroying units: {}") as cluster:
            if name in cluster.jobs:
                cluster.destroy(name)
        session.say(f"Destroyed {name}")
    return 0


def _found(session: Session) -> list[str]:
    names = session.found()
    if not names:
        session.complain("Units not found in registry")
    return names


def _restart(session: Session) -> int:
    """Ask for a stop and a start so fast that no agent sees it: a launched unit just runs on."""
    names = session.found()
    create_units(session)
    for name in names:
        state = session.state_of(name)
        if state == INACTIVE:
            session.complain(f"Unable to restart unit {name} in state {INACTIVE}")
        elif state == LOADED:
            session.log("INFO restart.go:82", f"Unit({name}) already loaded, starting.")
            _restart_step(session, name, LAUNCHED)
        else:
            _restart_step(session, name, LOADED)
            _restart_step(session, name, LAUNCHED)
            session.log("INFO restart.go:100", f"Unit({name}) was restarted.")
    return 0


def _restart_step(session: Session, name: str, desired: str) -> None:
    with session.registry(unit_path(name), "{}") as cluster:
        cluster.set_desired(name, desired)
    session.wait_for(LAUNCHED, [name], "Error waiting for unit states, exit status: {}", "restart")


def _of_units(command: Callable[[Session], int]) -> Callable[[Session], int]:
    """Take the case without any unit away."""

    def run(session: Session) -> int:
        if session.asked.args:
            return command(session)
        session.complain("No units given")
        return 0

    return run


_COMMANDS: Mapping[str, Callable[[Session], int]] = {
    "cat": looking.cat,
    "destroy": _of_units(_destroy),
    "journal": looking.journal,
    "list-machines": looking.list_machines,
    "list-unit-files": looking.list_unit_files,
    "list-units": looking.list_units,
    "load": _of_units(_load),
    "restart": _of_units(_restart),
    "start": _of_units(_start),
    "status": looking.status,
    "stop": _of_units(_stop),
    "submit": _of_units(_submit),
    "unload": _of_units(_unload),
}
