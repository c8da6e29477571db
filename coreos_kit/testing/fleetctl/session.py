"""One run of the double: whose fleetd it asks, where its words go, and how it waits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from coreos_kit.testing.fleetctl import lists
from coreos_kit.testing.fleetctl.arguments import Asked
from coreos_kit.testing.fleetctl.cluster import FleetCluster
from coreos_kit.testing.fleetctl.members import Job
from coreos_kit.testing.fleetctl.state import StateFolder
from coreos_kit.units.fleet_hash import fleet_text

POLL_S = 0.25
WINDOW_S = 2.0  # of one attempt: a look every quarter of a second, the last one before the bell
SOCKET = "/var/run/fleet.sock"

# fleetctl gives a unit's type to names without one, and knows fewer types than fleetd: not .target.
_TYPES = (".service", ".socket", ".timer", ".path", ".device", ".mount", ".automount")


class Failed(Exception):
    """The command ends here with code 1; the text is what fleetctl says on standard error."""


@dataclass(frozen=True, slots=True)
class Session:
    """A command that was understood, and what it needs to be answered."""

    asked: Asked
    version: tuple[int, ...]
    state: StateFolder
    folder: Path
    machine_id: str
    out: TextIO
    err: TextIO

    def has(self, switch: str) -> bool:
        """Tell whether a flag like --no-block was given."""
        return switch in self.asked.switches

    def say(self, line: str) -> None:
        """Print a line on standard output."""
        self.out.write(line + "\n")

    def complain(self, line: str) -> None:
        """Print a line on standard error."""
        self.err.write(line + "\n")

    def log(self, where: str, said: str) -> None:
        """Print a line on standard error as fleetctl's log does, with its own local time."""
        self.complain(f"{datetime.now().astimezone():%Y/%m/%d %H:%M:%S} {where}: {said}")

    @contextmanager
    def registry(self, path: str, failed: str) -> Iterator[FleetCluster]:
        """Talk to the fleetd behind the endpoint; `failed` is what is said where it does not answer."""
        with self.state.opened() as kept:
            cluster = kept.cluster
            own = cluster.member(self.machine_id) or cluster.members[0]
            kind, _, address = self.asked.endpoint.partition("://")
            if kind == "unix" and address == SOCKET and own.is_working:
                yield cluster
                return
            if kind == "unix":
                where, host = f"dial unix {address}", "domain-sock"
                why = "connection refused" if address == SOCKET else "no such file or directory"
            else:
                where, host, why = f"dial tcp {address}", address, "connection refused"
            url = f"http://{host}/fleet/v1/{path}?alt=json"
            raise Failed(failed.format(f'Get "{url}": {where}: connect: {why}'))

    def unit(self, name: str, failed: str) -> Job | None:
        """Return a unit of the registry as it is now."""
        with self.registry(unit_path(name), failed) as cluster:
            return cluster.jobs.get(name)

    def state_of(self, name: str) -> str:
        """Return a unit's STATE."""
        with self.state.opened() as kept:
            return kept.cluster.state_of(kept.cluster.jobs[name])

    def found(self) -> list[str]:
        """Return those of the units asked for that exist; the others are dropped without a word."""
        with self.registry("units", "{}") as cluster:
            return [name for name in map(mangled, self.asked.args) if name in cluster.jobs]

    def read(self, path: str) -> str | None:
        """Return a file as fleet makes it; None where there is none. Raises what fleet refuses."""
        file = self.folder / path
        return fleet_text(file.read_bytes().decode(errors="surrogateescape")) if file.exists() else None

    def wait_for(self, state: str, names: Sequence[str], failed: str, verb: str) -> None:
        """Wait until fleet, which is not systemd, says that the units are in a state."""
        if self.has("no-block"):
            for name in names:
                self.say(f"Triggered unit {name} {verb}")
            return
        late = self.wait_until(
            names, lambda cluster, name: self.has_state(cluster, name, state), attempts=self.asked.attempts
        )
        if late:
            error = f"timed out waiting for unit {late[-1]} to report state {state}"
            self.complain(f"Error waiting for units: {error}")
            raise Failed(failed.format(error))

    def wait_for_active(self, names: Sequence[str]) -> None:
        """Give systemd one window of two seconds, however many attempts were granted: the trap of 1.0.0."""
        if self.has("no-block"):
            for name in names:
                self.say(f"Triggered unit {name} start")
            return
        late = self.wait_until(names, _is_active, attempts=1)
        if late:
            why = "Failed to fetch states within 2s"
            error = f"Failed to find an active unit {late[-1]} within 2s, err: {why}"
            self.complain(f"Error waiting for units: {error}")
            raise Failed(f"Error waiting for systemd unit states, err: {error}")

    def wait_until(
        self, names: Sequence[str], is_there: Callable[[FleetCluster, str], bool], *, attempts: int
    ) -> list[str]:
        """Look until all are there, for so many windows (0: for ever); return those that are not."""
        waiting = list(names)
        attempt = 0
        while waiting and (not attempts or attempt < attempts):
            attempt += 1
            for _ in range(int(WINDOW_S / POLL_S) - 1):
                self.state.sleep(POLL_S)
                with self.state.opened() as kept:
                    # The last one asked for is the first one looked at, as Go starts its goroutines.
                    there = [name for name in reversed(waiting) if is_there(kept.cluster, name)]
                waiting = [name for name in waiting if name not in there]
                if not waiting:
                    return []
            self.state.sleep(POLL_S)
        return waiting

    def has_state(self, cluster: FleetCluster, name: str, state: str) -> bool:
        """Tell whether a unit has come to a STATE, and say so where it has."""
        job = cluster.jobs.get(name)
        if job is None or (job.desired if job.is_global else cluster.state_of(job)) != state:
            return False
        on = f" on {lists.legend(cluster, job.target, full=False)}" if job.target else ""
        self.say(f"Unit {name} {cluster.state_of(job)}{on}")
        return True


def typed(arg: str) -> str:
    """Return an argument with the type that fleetctl gives to names without one that it knows."""
    return arg if arg.endswith(_TYPES) else f"{arg}.service"


def mangled(arg: str) -> str:
    """Return the unit that an argument means, which may be a path: its last part."""
    return typed(arg.rpartition("/")[2])


def unit_path(name: str) -> str:
    """Return where fleet's API has a unit."""
    return f"units/{quote(name, safe='')}"


def _is_active(cluster: FleetCluster, name: str) -> bool:
    states = [member.published[name] for member in cluster.members if name in member.published]
    return any(state.active == "active" for state in states)
