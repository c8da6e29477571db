"""The double against a real fleet: the same commands to both, and the same answers.

Runs where COREOS_KIT_FLEET_BIN names a folder with fleetd and fleetctl 1.0.0, in a lab of its own.
"""

import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coreos_kit.adapters.nspawn.login import ssh_argv
from coreos_kit.adapters.nspawn.state import read_lab
from coreos_kit.model.lab import Lab
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.fleetctl import Fleetctl, StateFolder

FLEET = os.environ.get("COREOS_KIT_FLEET_BIN", "")
LAB = "fleetctl"

pytestmark = [
    pytest.mark.real_fleet,
    pytest.mark.skipif(not FLEET, reason="COREOS_KIT_FLEET_BIN names no folder with fleetd and fleetctl"),
]

CONTAINER = (
    "[Unit]\nRequires=docker.service\nAfter=docker.service\n[Service]\nKillMode=none\nTimeoutStartSec=0\n"
    "ExecStartPre=-/usr/bin/docker rm -f %p\nExecStartPre=/usr/bin/docker pull debian:bookworm-slim\n"
    "ExecStart=/usr/bin/docker run {options}--name %p debian:bookworm-slim /bin/sleep 100000\n"
    "ExecStop=/usr/bin/docker stop %p\n"
)
SIDEKICK = (
    "[Unit]\nBindsTo={main}\nRequires={main}\nAfter={main}\n[Service]\nExecStart=/bin/sleep 100000\n"
    "ExecStop=/bin/sleep 0.2\n[X-Fleet]\nMachineOf={main}\n"
)
SLEEPS = "[Service]\nExecStart=/bin/sleep 100000\n"
FILES = {
    "plain.service": f"[Unit]\nDescription=a sleeper\n{SLEEPS}",
    "changed/plain.service": f"# another\n[Unit]\nDescription=another\n{SLEEPS}",
    "slow.service": f"[Service]\nExecStartPre=/bin/sleep 8\n{SLEEPS}",
    "stubborn.service": (
        "[Unit]\nDescription=does not listen\n[Service]\n"
        "ExecStart=/bin/bash -c \"trap '' TERM; while true; do /bin/sleep 1; done\"\n"
    ),
    "once.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1\n",
    "fails.service": "[Service]\nExecStart=/bin/false\n",
    "web@.service": f"[Unit]\nDescription=web %i\n{SLEEPS}[X-Fleet]\nConflicts=web@*.service\n",
    "side@.service": (
        "[Unit]\nDescription=beside web %i\nBindsTo=web@%i.service\nAfter=web@%i.service\n"
        f"{SLEEPS}[X-Fleet]\nMachineOf=web@%i.service\n"
    ),
    "all.service": f"[Unit]\nDescription=everywhere\n{SLEEPS}[X-Fleet]\nGlobal=true\n",
    "refused.service": f"{SLEEPS}[X-Fleet]\nMachineID=abc\nConflicts=x\n",
    "odd.service": f"{SLEEPS}[X-Fleet]\nFoo=1\n",
    "nowhere.service": f"{SLEEPS}[X-Fleet]\nMachineMetadata=n=9\n",
    "broken.service": "[Service\nExecStart=/bin/sleep\n",
    "garbage.service": "garbage\n",
    "alone.service": CONTAINER.format(options=""),
    "deaf@.service": CONTAINER.format(options=""),
    "deaf-side@.service": SIDEKICK.format(main="deaf@%i.service"),
    "init@.service": CONTAINER.format(options="--init "),
    "init-side@.service": SIDEKICK.format(main="init@%i.service"),
}
UNITS = "list-units --full --no-legend --fields=unit,machine,load,active,sub,hash"
FILED = "list-unit-files --full --no-legend --fields=unit,hash,dstate,state,target,global,desc"

# A command, and how long the cluster is left alone after it. fleet decides among units that wait at the same
# moment at random, so that units are started one by one; and a start needs up to 3 s, an agent's round 5 s.
# A unit that has moved can vanish from the lists at two beats of 24 s: hence the longest rests.
SCRIPT: tuple[tuple[str, float], ...] = (
    ("version", 0),
    ("list-machines", 0),
    ("list-machines --full --no-legend --fields=machine,metadata", 0),
    ("list-units", 0),
    (FILED, 0),
    ("start plain.service", 2),
    ("start stubborn", 2),
    ("list-units", 0),
    (UNITS, 0),
    (FILED, 0),
    ("start --block-attempts=5 slow.service", 0),
    (UNITS, 8),
    (UNITS, 0),
    ("restart plain.service", 2),
    ("start once.service", 2),
    ("start --block-attempts=5 fails.service", 2),
    (UNITS, 0),
    ("start --block-attempts=5 fails.service", 0),
    ("start changed/plain.service", 0),
    (FILED, 0),
    ("submit --replace changed/plain.service", 0),
    ("load --replace changed/plain.service", 3),
    (UNITS, 0),
    ("start --no-block changed/plain.service", 4),
    ("start --replace changed/plain.service", 50),
    (FILED, 0),
    (UNITS, 0),
    ("start --replace changed/plain.service", 0),
    ("stop --block-attempts=10 plain.service", 2),
    (UNITS, 0),
    ("stop plain.service", 0),
    ("unload plain.service slow.service", 3),
    (UNITS, 0),
    (FILED, 0),
    ("unload plain.service", 0),
    ("stop plain.service", 0),
    ("stop nosuch.service", 0),
    ("cat plain.service", 0),
    ("cat nosuch.service", 0),
    ("cat", 0),
    ("status nosuch.service", 0),
    ("status plain.service", 0),
    ("journal nosuch.service", 0),
    ("destroy stubborn.service", 0),
    (FILED, 32),
    (UNITS, 0),
    ("start --block-attempts=5 stubborn.service", 2),
    (UNITS, 0),
    ("destroy plain.service slow.service once.service fails.service nosuch.service", 7),
    (UNITS, 0),
    ("destroy nosuch.service", 0),
    ("submit web@.service", 0),
    ("submit web@.service", 0),
    ("start web@.service", 0),
    ("start --no-block web@1", 4),
    ("start --no-block web@2.service", 4),
    ("start --no-block web@3.service", 4),
    ("start --block-attempts=1 web@4.service", 1),
    ("start --no-block side@1.service", 4),
    ("start --no-block side@4.service", 4),
    ("start all", 8),
    (UNITS, 0),
    (FILED, 0),
    ("stop web@4.service", 0),
    ("unload web@4.service", 0),
    ("destroy web@1.service", 20),
    (UNITS, 0),
    (FILED, 0),
    ("stop all.service", 8),
    (UNITS, 0),
    ("submit odd.service nowhere.service", 0),
    ("start --no-block nowhere.service", 4),
    ("submit refused.service", 0),
    ("submit broken.service", 0),
    ("submit garbage.service", 0),
    ("submit missing", 0),
    ("submit missing@1.service", 0),
    ("submit missing.target", 0),
    (FILED, 0),
    ("list-units --fields=nosuch", 0),
    ("list-units --fields=", 0),
    ("list-units --l", 0),
    ("list-units -l", 0),
    ("list-unit-files --fields=unit,tmachine", 0),
    ("frobnicate", 0),
    ("list-unit", 0),
    ("start --nosuch plain.service", 0),
    ("start --block-attempts plain.service", 0),
    ("start", 0),
    ("destroy", 0),
    ("--version", 0),
    ("--endpoint=unix:///tmp/none.sock list-units", 0),
    ("--endpoint=unix:///tmp/none.sock list-machines", 0),
    ("--endpoint=unix:///tmp/none.sock cat plain.service", 0),
    ("--endpoint=unix:///tmp/none.sock start plain.service", 0),
    ("--endpoint=unix:///tmp/none.sock destroy plain.service", 0),
    (
        (
            "destroy web@.service web@2.service web@3.service web@4.service side@1.service side@4.service "
            "all.service odd.service nowhere.service stubborn.service"
        ),
        30,
    ),
    (UNITS, 0),
    (FILED, 0),
)


@dataclass(frozen=True)
class Answer:
    code: int
    rows: frozenset[tuple[str, ...]]
    stderr: str


def answer(code: int, stdout: str, stderr: str) -> Answer:
    """Keep what both have to agree on. Which machine a unit came to, fleetctl sometimes forgets to say."""
    rows = frozenset(tuple(re.sub(r" on \S+$", "", line).split()) for line in stdout.splitlines())
    if "unknown flag" in stderr or "unknown shorthand" in stderr or "invalid argument" in stderr:
        rows = frozenset()  # the usage, which the double leaves out
    return Answer(code, rows, re.sub(r"(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", stderr))


@dataclass(frozen=True)
class RealFleet:
    lab: Lab

    def run(self, command: str, machine: str = "core-1", *, check: bool = False) -> tuple[int, str, str]:
        member = self.lab.try_machine(machine)
        assert member is not None
        done = subprocess.run(
            ssh_argv(self.lab, member, ["bash", "-c", command]),
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )
        return done.returncode, done.stdout, done.stderr

    def fleetctl(self, command: str, machine: str = "core-1") -> Answer:
        return answer(*self.run(f"cd double && exec fleetctl {command}", machine))

    def machines(self) -> dict[str, tuple[str, dict[str, str]]]:
        _, stdout, _ = self.run("fleetctl list-machines --full --no-legend", check=True)
        found = {}
        for line in stdout.splitlines():
            machine_id, ip, metadata = line.split()
            found[machine_id] = ip, dict(pair.split("=") for pair in metadata.split(","))
        return found

    def everywhere(self, command: str) -> list[str]:
        return [self.run(command, machine.name)[1].strip() for machine in self.lab.machines]

    def is_empty(self) -> bool:
        return not self.run("fleetctl list-units --no-legend; fleetctl list-unit-files --no-legend")[1]


@dataclass(frozen=True)
class Double:
    state: StateFolder
    clock: FakeClock
    folder: Path
    ids: tuple[str, ...]

    def fleetctl(self, command: str, machine_id: str = "") -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = Fleetctl(self.state, self.folder, machine_id or self.ids[0], out, err).run(
            shlex.split(command)
        )
        return answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def real() -> Iterator[RealFleet]:
    """A lab with a real fleet on its three machines, and the files of the script in a folder there."""
    lab = [sys.executable, "-m", "coreos_kit", "lab"]
    subprocess.run(
        [*lab, "up", "--name", LAB, "--machines", "3", "--profile", "coreos", "--fleet", FLEET], check=True
    )
    fleet = RealFleet(read_lab(LAB))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in FILES.items():
            member = tarfile.TarInfo(f"double/{path}")
            member.size, member.mode = len(text.encode()), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    for machine in fleet.lab.machines:
        subprocess.run(ssh_argv(fleet.lab, machine, ["tar", "-x"]), input=packed.getvalue(), check=True)
    deadline = time.monotonic() + 60
    while len(fleet.machines()) < 3:
        assert time.monotonic() < deadline, "fleet does not see three machines"
        time.sleep(1)
    yield fleet
    if not os.environ.get("COREOS_KIT_KEEP_LAB"):
        subprocess.run([*lab, "down", "--name", LAB], check=True)


@pytest.fixture
def double(real: RealFleet, tmp_path: Path) -> Double:
    """The double of that lab: the same machines, the same files."""
    clock, machines = FakeClock(), real.machines()
    state = StateFolder(tmp_path / "state", clock)
    state.create(machines)
    for path, text in FILES.items():
        file = tmp_path / "double" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    by_address = sorted(machines, key=lambda id_: machines[id_][0])
    return Double(state, clock, tmp_path / "double", tuple(by_address))


def test_the_double_answers_as_a_real_fleet_does(real: RealFleet, double: Double) -> None:
    differences = []
    assert real.is_empty()

    for number, (command, rest_s) in enumerate(SCRIPT, 1):
        expected, found = real.fleetctl(command), double.fleetctl(command)
        if found != expected:
            differences.append(f"{number}. fleetctl {command}\n  fleet:  {expected}\n  double: {found}")
        time.sleep(rest_s)
        double.clock.sleep(rest_s)

    assert not differences, "\n".join(differences)


def test_without_fleetd_both_say_the_same_and_other_machines_answer(real: RealFleet, double: Double) -> None:
    last = double.ids[-1]
    real.run("sudo systemctl stop fleet.service fleet.socket", "core-3", check=True)
    with double.state.opened() as kept:
        member = kept.cluster.member(last)
        assert member is not None
        kept.cluster.stop_fleetd(member)

    try:
        for command in ("list-machines", UNITS, FILED, "cat plain.service", "start plain.service"):
            assert double.fleetctl(command, last) == real.fleetctl(command, "core-3")
        for command in ("stop plain.service", "destroy plain.service", "version"):
            assert double.fleetctl(command, last) == real.fleetctl(command, "core-3")
        assert double.fleetctl("list-machines") == real.fleetctl("list-machines")
    finally:
        real.run("sudo systemctl start fleet.socket fleet.service", "core-3", check=True)


def test_a_container_is_left_behind_if_it_does_not_listen_and_its_stop_had_to_wait_for_a_sidekick(
    real: RealFleet, double: Double
) -> None:
    mains, sides = ("alone", "deaf@1", "init@1"), ("deaf-side@1", "init-side@1")
    for unit in (*mains, *sides):
        command, rest_s = f"start --no-block {unit}.service", 40 if unit in mains else 5
        assert double.fleetctl(command) == real.fleetctl(command)
        time.sleep(rest_s)
        double.clock.sleep(rest_s)
    for command, rest_s in ((UNITS, 0), (f"destroy {' '.join((*mains, *sides))}", 30)):
        assert double.fleetctl(command) == real.fleetctl(command)
        time.sleep(rest_s)
        double.clock.sleep(rest_s)

    dying = real.everywhere("systemctl show -p SubState --value deaf@1.service")
    with double.state.opened() as kept:
        told = [member.host.state("deaf@1.service")[1] for member in kept.cluster.members]
    assert sorted(dying) == sorted(told) == ["dead", "dead", "stop-sigterm"]
    time.sleep(80)
    double.clock.sleep(80)

    with double.state.opened() as kept:
        orphans = [name for member in kept.cluster.members for name in member.host.orphans]
    left = real.everywhere("docker ps --format {{.Names}}; docker rm -f alone deaf init >&2")
    assert (sorted(left), orphans) == (["", "", "deaf"], ["deaf@1.service"])
