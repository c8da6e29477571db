"""One machine: its disk, its processes, its plug.

What it is and whether it runs is always read from the kernel (mounts, control groups, devices), never from a
record: records lie after a kill -9.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.adapters.nspawn import cgroups, mounts
from coreos_kit.adapters.nspawn.host import clean_environment, has_systemd, run, script, wait_until
from coreos_kit.adapters.nspawn.tree import Tree, write_tree
from coreos_kit.errors import CommandFailed, TimedOut
from coreos_kit.model.lab import REGISTRY, Lab, LabMachine, LabMachineState
from coreos_kit.ports import Completed

# Real folders: neither overlay2 nor vfs may lie on an overlay, and the registry's blobs need no copy-up.
_BINDS = {
    "docker": "/var/lib/docker",
    "containers": "/var/lib/containers",
    "registry": "/var/lib/docker-registry",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a lab, as systemd-nspawn runs it."""

    lab: Lab
    member: LabMachine

    @property
    def folder(self) -> Path:
        """Where its disk and its console's log lie."""
        return self.lab.folder / "machines" / self.member.name

    @property
    def root(self) -> Path:
        """Where its root file system is mounted."""
        return self.folder / "root"

    @property
    def nspawn_name(self) -> str:
        """Its name for systemd-nspawn and machined; short, because its network device is called after it."""
        return nspawn_name(self.lab.number, self.member.name)

    @property
    def device(self) -> str:
        """The workstation's end of its network cable (systemd-nspawn(1), --network-bridge=)."""
        return f"vb-{self.nspawn_name}"

    @property
    def group(self) -> str:
        """The control group that is made for it where there is no machined."""
        return f"{lab_group(self.lab.number)}/{self.member.name}"

    def processes(self) -> list[int]:
        """Return the ids of all its processes and of its systemd-nspawn."""
        return cgroups.processes_in((f"/{self.group}/", f"/machine-{self.nspawn_name}.scope/"))

    def try_leader(self) -> int | None:
        """Return the id of its PID 1 as the workstation sees it, or None when it does not run."""
        for pid in self.processes():
            ids = cgroups.namespace_pids(pid)
            if len(ids) == 2 and ids[1] == 1:  # with more, it is the first process of one of its containers
                return pid
        return None

    def state(self, plugged: set[str]) -> LabMachineState:
        """Return what can be seen of it, given the devices on the lab's bridge."""
        if self.try_leader() is None:
            return LabMachineState.STOPPED if self.folder.exists() else LabMachineState.ABSENT
        return LabMachineState.RUNNING if self.device in plugged else LabMachineState.CUT

    def prepare(self, tree: Tree) -> None:
        """Make its disk, mount it and write the files; what is there is kept. Not for a machine that runs."""
        for name in ("upper", "work", "root", *_BINDS):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not mounts.mounts_below(self.root.resolve()):
            mounts.mount_overlay(
                self.root, lower=[self.lab.root], upper=self.folder / "upper", work=self.folder / "work"
            )
        write_tree(self.root, tree)

    def boot(self) -> None:
        """Start it and return at once. It is nobody's child: it outlives this process and its terminal."""
        if Path("/sys/class/net", self.device).exists():  # of a systemd-nspawn that was killed
            run(["ip", "link", "delete", self.device])
        groups = [] if has_systemd() else cgroups.make_group(self.group)
        argv = [
            "setsid",
            "--fork",
            "/bin/bash",
            "-c",
            script("run-machine.sh"),
            "run-machine",
            *map(str, groups),
            "--",
        ]
        argv += nspawn_argv(self, registered=has_systemd())
        with (self.folder / "console.log").open("ab") as log:
            subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                cwd="/",
                check=True,
            )

    def kill(self) -> bool:
        """Take its power away: SIGKILL to everything at once. Return whether anything ran."""
        ran = kill_all(self.processes)
        cgroups.remove_groups(self.group)
        return ran

    def run(self, argv: Sequence[str], *, timeout_s: float = 60, check: bool = True) -> Completed:
        """Run a command inside as root, by the back door: neither its network nor its sshd is needed."""
        leader = self.try_leader()
        if leader is None:
            raise CommandFailed(f"{self.member.name} does not run", machine=self.member.name, argv=argv)
        enter = [
            "nsenter",
            f"--target={leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wd",
        ]
        return run([*enter, *argv], timeout_s=timeout_s, check=check)

    def run_script(self, name: str, *args: str) -> Completed:
        """Run a script of `scripts/` inside; values reach it as positional arguments only."""
        return self.run(["/bin/bash", "-c", script(name), name, *args])

    def console(self, lines: int = 12) -> str:
        """Return the end of what it said on its console, without colours."""
        file = self.folder / "console.log"
        text = file.read_text("utf-8", "replace") if file.exists() else ""
        return "\n".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text).splitlines()[-lines:])


def nspawn_name(number: int, machine: str) -> str:
    """Return a machine's name for systemd-nspawn: ck1m2 is core-2 on 10.132.1.0/24, ck1m0 its registry."""
    index = "0" if machine == REGISTRY else machine.removeprefix("core-")
    return f"ck{number}m{index}"


def lab_group(number: int) -> str:
    """Return the control group that holds those of a lab's machines; no two labs have one number."""
    return f"coreos-kit/{number}"


def nspawn_argv(machine: Machine, *, registered: bool) -> list[str]:
    """Return the command line that boots a machine.

    Docker needs all capabilities and the three system calls (keys for containers, bpf for devices). Without
    machined, `--register=no --keep-unit` runs the machine in the control group that it is started in.
    """
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        *([] if registered else ["--register=no", "--keep-unit"]),
        f"--directory={machine.root}",
        f"--machine={machine.nspawn_name}",
        f"--hostname={machine.member.name}",
        f"--network-bridge=coreos-kit{machine.lab.number}",
        "--capability=all",
        "--system-call-filter=add_key keyctl bpf",
        *(f"--bind={machine.folder / name}:{target}" for name, target in _BINDS.items()),
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
    ]


def remove_remains(lab_folder: Path, number: int) -> list[str]:
    """End all processes of a lab's machines, take their mounts and groups away; return what there was."""
    removed = []
    marks = (f"/{lab_group(number)}/", f"/machine-ck{number}m")
    if kill_all(lambda: cgroups.processes_in(marks)):
        removed.append("its machines")
    cgroups.remove_groups(lab_group(number))
    for name in [path.name for path in Path("/sys/class/net").glob(f"vb-ck{number}m*")]:
        # With its machine a device goes by itself, a little later: then there is nothing to delete.
        run(["ip", "link", "delete", name], check=False)
    for left in Path("/run/systemd/nspawn/propagate").glob(f"ck{number}m*"):
        shutil.rmtree(left)
    count = mounts.unmount_below(lab_folder)
    if count:
        removed.append(f"{count} mounts")
    return removed


def kill_all(processes: Callable[[], list[int]]) -> bool:
    """SIGKILL until nothing is left; return whether there was anything.

    First every PID 1: with it the kernel ends all of a machine, and systemd-nspawn can still clean up.
    """
    pids = processes()
    if not pids:
        return False
    _kill(pid for pid in pids if cgroups.namespace_pids(pid)[1:] == [1])
    if not wait_until(lambda: not processes(), timeout_s=3, step_s=0.05):
        _kill(processes())
    if not wait_until(lambda: not processes(), timeout_s=20, step_s=0.05):
        raise TimedOut(f"processes {processes()} did not end within 20 s of SIGKILL")
    return True


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has gone by itself
            os.kill(pid, signal.SIGKILL)
