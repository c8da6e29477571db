"""The fleet driver on a double of fleet: its scripts run here, on a cluster that is kept in a folder."""

import base64
import io
import shlex
import socketserver
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.model.cluster import Observation, ObservedMachine
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.ports import Check, Completed, Glance, Runner, UnitOutcome
from coreos_kit.testing.fleetctl import Fleetctl, StateFolder
from coreos_kit.testing.fleetctl.__main__ import WallClock

SPEED = 10.0

# A Python that starts for every call would take most of the suite's time.
CALL = r"""#!/bin/bash
exec 3<> /dev/tcp/127.0.0.1/{port}
printf '%s\0' {machine} "$PWD" "$@" | base64 -w0 >&3
echo >&3
read -r code <&3; read -r out <&3; read -r err <&3
base64 -d <<< "$out"
base64 -d <<< "$err" >&2
exit "$code"
"""


@dataclass(frozen=True)
class DoubleRunner(LocalRunner):
    """A machine of the double's cluster: this one, with its own fleetctl before all others."""

    name: str
    programs: Path

    @property
    def machine(self) -> str:
        return self.name

    def run_script(
        self,
        script: str,
        args: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        here = f"PATH={shlex.quote(str(self.programs))}:$PATH\n{script}"
        return super().run_script(here, args, stdin=stdin, root=False, timeout_s=timeout_s, check=check)


@dataclass(frozen=True)
class DoubleMachines:
    """The double's machines, as `SystemdDriver` would show them: how systemd has each unit."""

    cluster: Cluster
    runners: Mapping[str, Runner]
    state: StateFolder
    ids: Mapping[str, str]

    def observe(self, names: Collection[UnitName]) -> Observation:
        del names
        machines = {
            entry.name: ObservedMachine(entry.name, self.ids[entry.name], "b", entry.private_ip, "", {})
            for entry in self.cluster.machines
        }
        return Observation(machines)

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        del checks
        deadline = time.monotonic() + timeout_s
        while True:
            with self.state.opened() as kept:
                member = kept.cluster.member(self.ids[machine])
                assert member
                states = {unit: member.host.state(str(unit)) for unit in units}
            if (
                all(state[0] in ("active", "failed") for state in states.values())
                or time.monotonic() > deadline
            ):
                outcomes = tuple(UnitOutcome(unit, machine, *state, "") for unit, state in states.items())
                return outcomes, all(state[0] == "active" for state in states.values())
            time.sleep(0.05)

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        del machine, sidekicks  # the double's units are processes that heed no signal
        return Glance("b", dict.fromkeys(look_at, ""))

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        del machine, sidekicks


@contextmanager
def answering(state: StateFolder) -> Iterator[int]:
    """Run the double for whoever asks on a port of loopback."""

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            machine, folder, *argv = base64.b64decode(self.rfile.readline()).decode().split("\0")[:-1]
            out, err = io.StringIO(), io.StringIO()
            code = Fleetctl(state, Path(folder), machine, out=out, err=err).run(argv)
            said = (base64.b64encode(text.getvalue().encode()) for text in (out, err))
            self.wfile.write(b"\n".join([str(code).encode(), *said, b""]))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@contextmanager
def fleet_with_the_double(folder: Path) -> Iterator[FleetDriver]:
    """A fleet of three machines whose time runs ten times as fast."""
    entries = tuple(MachineEntry(f"core-{n}", f"core-{n}", private_ip=f"192.0.2.{n}") for n in (1, 2, 3))
    ids = {entry.name: entry.name[-1] * 32 for entry in entries}
    state = StateFolder(folder / "state", WallClock(), SPEED)
    state.create({ids[entry.name]: (entry.private_ip, {"n": entry.name[-1]}) for entry in entries})
    runners: dict[str, Runner] = {}
    cluster = Cluster("contract", PROFILES["coreos"], DriverKind.FLEET, entries, (), ())
    with answering(state) as port:
        for entry in entries:
            programs = folder / entry.name
            programs.mkdir()
            call = CALL.replace("{port}", str(port)).replace("{machine}", ids[entry.name])
            (programs / "fleetctl").write_text(call)
            (programs / "fleetctl").chmod(0o755)
            runners[entry.name] = DoubleRunner(entry.name, programs)
        machines = DoubleMachines(cluster, runners, state, ids)
        yield FleetDriver(machines, Gateway("contract", runners), lambda entry: None)  # type: ignore[arg-type]
