"""What goes wrong with machines, for the length of a block: its end always mends it.

A fault reaches its machine by the back door, so neither the machine's network nor its sshd is needed.
"""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
from _pytest.mark.structures import ParameterSet

from coreos_kit.adapters.nspawn.login import machine_named
from coreos_kit.adapters.nspawn.machine import Machine
from coreos_kit.adapters.nspawn.state import read_lab
from tests.lab.conftest import Kit, Ran

SEED = int(os.environ.get("COREOS_KIT_FAULT_SEED", "1"))
REGISTRY = "registry"
UNITS = "/etc/systemd/system"

Fault = Callable[[Kit, str], AbstractContextManager[None]]


def inside(kit: Kit, machine: str, script: str, *, timeout_s: float = 60) -> str:
    """Run a script as root on a machine that may have neither network nor sshd."""
    lab = read_lab(kit.lab)
    target = Machine(lab, machine_named(lab, machine))
    return target.run(["/bin/bash", "-c", script], timeout_s=timeout_s).text


def machines(kit: Kit) -> list[str]:
    return [machine.name for machine in read_lab(kit.lab).machines]


def wait_for(what: Callable[[], object], *, within_s: float, step_s: float = 0.1) -> float:
    """Wait until it is so, and return the seconds that it took."""
    started = time.monotonic()
    while not what():
        waited = time.monotonic() - started
        assert waited < within_s, f"not so within {within_s} s"
        time.sleep(step_s)
    return time.monotonic() - started


# Machines


@contextmanager
def without_power(kit: Kit, machine: str) -> Iterator[None]:
    """Take its power away at once; its disk stays as it was at that moment."""
    kit("lab", "kill", "--name", kit.lab, machine)
    try:
        yield
    finally:
        kit("lab", "revive", "--name", kit.lab, machine)


@contextmanager
def cut_off(kit: Kit, machine: str) -> Iterator[None]:
    """Unplug it; it runs on."""
    kit("lab", "cut", "--name", kit.lab, machine)
    try:
        yield
    finally:
        kit("lab", "heal", "--name", kit.lab, machine)


@contextmanager
def rebooted(kit: Kit, machine: str) -> Iterator[None]:
    """Let it reboot by itself: it shuts down in order and comes back before the block begins."""
    lab = read_lab(kit.lab)
    target = Machine(lab, machine_named(lab, machine))
    target.run(["systemctl", "reboot", "--no-block"])
    try:
        wait_for(lambda: not target.processes(), within_s=100)
    finally:
        kit("lab", "revive", "--name", kit.lab, machine)
    yield


@contextmanager
def hanging_sshd(kit: Kit, machine: str) -> Iterator[None]:
    """Let sshd take connections and say nothing, on those that it has as well."""
    inside(kit, machine, "pkill -STOP sshd")
    try:
        yield
    finally:
        inside(kit, machine, "pkill -CONT sshd")


@contextmanager
def full_disk(kit: Kit, machine: str) -> Iterator[None]:
    """Lay a tmpfs over the units' folder, with the same files in it and not one page to spare."""
    inside(
        kit,
        machine,
        "set -e; cd /etc/systemd; cp -a system /run/units; size=$(($(du -sk system | cut -f1) + 64))k;"
        "mount -t tmpfs -o size=$size,mode=755 full system; cp -a /run/units/. system;"
        "systemctl daemon-reload; dd if=/dev/zero of=system/ballast 2>/dev/null || true; rm -rf /run/units",
    )
    try:
        yield
    finally:
        # A script of the deploy may still stand in there.
        inside(kit, machine, f"until umount {UNITS}; do sleep 0.2; done; systemctl daemon-reload")


@contextmanager
def wrong_clock(kit: Kit, machine: str) -> Iterator[None]:
    """Let its `date` be an hour ahead: the kernel's clock is the workstation's own."""
    with replaced(kit, machine, "date", 'exec /usr/bin/date --date="now + 1 hour" "$@"'):
        yield


@contextmanager
def garbage(kit: Kit, machine: str) -> Iterator[None]:
    """Let its systemctl print bytes that mean nothing, and say that all went well."""
    with replaced(kit, machine, "systemctl", "head -c 20000 /dev/urandom"):
        yield


@contextmanager
def megabytes(kit: Kit, machine: str) -> Iterator[None]:
    """Let its systemctl print a hundred of them."""
    with replaced(kit, machine, "systemctl", "yes nonsense | head -c 100000000"):
        yield


@contextmanager
def replaced(kit: Kit, machine: str, program: str, script: str) -> Iterator[None]:
    """Put a script before a program in root's PATH."""
    place = f"/usr/local/bin/{program}"
    inside(kit, machine, f"cat > {place} <<'END'\n#!/bin/sh\n{script}\nEND\nchmod +x {place}")
    try:
        yield
    finally:
        inside(kit, machine, f"rm -f {place}")


# etcd and the registry


def etcd_leader(kit: Kit) -> str:
    """Return the machine whose etcd leads."""
    asked = "ETCDCTL_API=3 etcdctl --command-timeout=10s endpoint status --cluster --write-out=json"
    status = json.loads(inside(kit, machines(kit)[0], asked))
    leads = next(
        entry["Endpoint"]
        for entry in status
        if entry["Status"]["leader"] == entry["Status"]["header"]["member_id"]
    )
    address = re.sub(r"^https?://|:\d+$", "", leads)
    return next(machine.name for machine in read_lab(kit.lab).machines if machine.private_ip == address)


def etcd_answers(kit: Kit, machine: str) -> bool:
    asked = "ETCDCTL_API=3 timeout 3 etcdctl endpoint health > /dev/null 2>&1 && echo yes || echo no"
    return inside(kit, machine, asked).strip() == "yes"


@contextmanager
def etcd_stopped(kit: Kit, *on: str) -> Iterator[None]:
    """Stop etcd on these machines, or on every one."""
    try:
        for machine in on or machines(
            kit
        ):  # again where the restart of one that has lost the others comes between
            inside(kit, machine, "systemctl stop etcd || systemctl stop etcd")
        yield
    finally:
        for machine in on or machines(kit):  # not waited for: they need each other
            inside(kit, machine, "systemctl start --no-block etcd")
        wait_for(lambda: all(etcd_answers(kit, machine) for machine in machines(kit)), within_s=60)


@contextmanager
def etcd_leader_killed(kit: Kit, _machine: str = "") -> Iterator[None]:
    """Kill the etcd that leads; systemd starts it again, and meanwhile the others elect one."""
    inside(kit, etcd_leader(kit), "systemctl kill --signal=KILL etcd")
    yield
    wait_for(lambda: all(etcd_answers(kit, machine) for machine in machines(kit)), within_s=60)


@contextmanager
def registry_down(kit: Kit, _machine: str = "") -> Iterator[None]:
    """Take the power from the machine that has the images."""
    with without_power(kit, REGISTRY):
        yield


# A deploy that something happens to


@dataclass(frozen=True)
class Stage:
    """A moment of a deploy: so many seconds after a line of what `-v` says."""

    name: str
    line: str
    after_s: float = 0.0

    def __str__(self) -> str:
        return self.name


@dataclass
class Deploying:
    """A deploy that runs beside the test."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def reaches(self, stage: Stage, *, within_s: float = 180) -> None:
        """Wait until it has said the stage's line, and then the stage's seconds."""
        pattern = re.compile(stage.line)
        wait_for(
            lambda: any(pattern.search(line) for line in self.said) or self.process.poll() is not None,
            within_s=within_s,
            step_s=0.01,
        )
        assert any(pattern.search(line) for line in self.said), (
            f"the deploy never said {stage.line!r}\n{''.join(self.said)}"
        )
        time.sleep(stage.after_s)

    def dies(self) -> None:
        """Let the workstation die: SIGKILL."""
        self.process.kill()
        self.process.wait()

    def ends(self, *, within_s: float) -> Ran:
        """Wait for its end, whatever that is."""
        code = self.process.wait(timeout=within_s)
        return Ran(code, "", "".join(self.said), time.monotonic() - self.started)


@contextmanager
def deploying(kit: Kit, *more: str) -> Iterator[Deploying]:
    """Start `deploy --yes` beside the test; at the end it does not run any more."""
    argv = [sys.executable, "-m", "coreos_kit", "--project", str(kit.workspace), "-v", "deploy", "--yes"]
    with subprocess.Popen(
        [*argv, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deploy = Deploying(process)

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                deploy.said.append(line)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield deploy
        finally:
            process.kill()
            listener.join()


# Which there are, and which of them happen


@dataclass(frozen=True)
class Row:
    """A fault, and the machine that it strikes: a unit's, a spare one, or none where it knows itself."""

    kind: str
    fault: Fault
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.place.removesuffix('.service')}" if self.place else self.kind

    def strikes(self, kit: Kit) -> AbstractContextManager[None]:
        """Find the machine now, while all is well, and make it happen there as soon as the block begins."""
        return self.fault(kit, self._machine(kit))

    def _machine(self, kit: Kit) -> str:
        if self.place != SPARE:
            return kit.machine_of(self.place) if self.place else ""
        listed = kit("machines", "--json").json["machines"]
        return next(str(entry["name"]) for entry in listed if entry["units"] == 0)


INSTANCE, BALANCER, SPARE = "apache@7777.service", "nginx_lb.service", "a spare"
FAULTS = [
    Row("power off", without_power, INSTANCE),
    Row("power off", without_power, BALANCER),
    Row("power off", without_power, SPARE),
    Row("cut off", cut_off, INSTANCE),
    Row("cut off", cut_off, BALANCER),
    Row("reboot", rebooted, INSTANCE),
    Row("reboot", rebooted, BALANCER),
    Row("sshd hangs", hanging_sshd, INSTANCE),
    Row("disk full", full_disk, INSTANCE),
    Row("clock an hour ahead", wrong_clock, INSTANCE),
    Row("prints garbage", garbage, INSTANCE),
    Row("prints megabytes", megabytes, INSTANCE),
    Row("etcd leader killed", etcd_leader_killed),
    Row("etcd stopped everywhere", lambda kit, _: etcd_stopped(kit)),
    Row("registry down", registry_down),
]


def matrix(rows: Sequence[Row], stages: Sequence[Stage]) -> list[ParameterSet]:
    """Return every row at every stage, marked `campaign` but for one of each kind, which the seed draws."""
    cells = [(row, stage) for row in rows for stage in stages]
    drawn = [
        random.Random(f"{SEED} {kind}").choice([cell for cell in cells if cell[0].kind == kind])
        for kind in dict.fromkeys(row.kind for row in rows)
    ]
    return [
        pytest.param(*cell, id=f"{cell[0]}-{cell[1]}", marks=() if cell in drawn else pytest.mark.campaign)
        for cell in cells
    ]
