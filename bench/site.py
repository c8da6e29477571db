"""The example on a lab: machines, a workspace, everything deployed. A lab that was there before stays."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.startup import KIT
from coreos_kit.adapters.nspawn.state import read_lab, try_read_lab
from coreos_kit.adapters.ssh import open_machines
from coreos_kit.model.lab import Lab
from coreos_kit.model.project import MachineEntry
from coreos_kit.ports import Runner

KIT_TIMEOUT_S = 600
CALM_S = 120


@dataclass(frozen=True)
class Site:
    """A deployed workspace, the lab below it, and the doors to its machines, behind the kit's back."""

    workspace: Path
    lab: Lab
    runners: Mapping[str, Runner]

    def kit(self, *args: str) -> str:
        """Run `coreos-kit` in the workspace and return what it printed; raises `RuntimeError`."""
        return run_kit("--project", str(self.workspace), *args)

    def status(self) -> Any:
        """Return what `status --json` says."""
        return json.loads(self.kit("--json", "status"))

    def machine_of(self, unit: str) -> str:
        """Return the machine that has the unit."""
        return next(str(found["machine"]) for found in self.status()["units"] if found["unit"] == unit)

    def address_of(self, machine: str) -> str:
        """Return a machine's private address."""
        return next(known.private_ip for known in self.lab.machines if known.name == machine)

    def public_address_of(self, machine: str) -> str:
        """Return the address on which a balancer of the example listens."""
        return next(known.public_ip for known in self.lab.machines if known.name == machine)

    def script(self, machine: str, text: str, *values: str) -> str:
        """Run a script as root on a machine and return what it printed."""
        return self.runners[machine].run_script(text, values, root=True, timeout_s=CALM_S).text

    def becomes_whole(self) -> None:
        """Wait until every link holds; raises `RuntimeError` where that does not come."""
        self.kit("verify", "--wait", str(CALM_S))


def run_kit(*args: str) -> str:
    """Run `coreos-kit`; raises `RuntimeError` with what it said."""
    done = subprocess.run(
        [KIT, *args],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=KIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"coreos-kit {' '.join(args)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


@contextmanager
def deployed(lab_name: str, machines: int) -> Iterator[Site]:
    """Boot a lab of so many machines, or take the one that is there, and deploy the example on it."""
    with _lab(lab_name, machines) as lab, tempfile.TemporaryDirectory(prefix="coreos-kit-bench-") as folder:
        workspace = Path(folder) / "web"
        run_kit("init", str(workspace))
        file = workspace / "coreos-kit.toml"
        file.write_text(file.read_text().replace('lab = "default"', f'lab = "{lab.name}"'))
        with open_machines(_entries(lab)) as opened:
            site = Site(workspace, lab, {name: opened.runner(name) for name in opened.names})
            for args in (
                ["image", "build", "--on", "core-1"],
                ["image", "push", "--on", "core-1"],
                ["deploy", "--yes"],
            ):
                site.kit(*args)
            site.becomes_whole()
            yield site


@contextmanager
def _lab(name: str, machines: int) -> Iterator[Lab]:
    found = try_read_lab(name)
    if found is not None:
        run_kit("lab", "up", "--name", name)
        if len(found.machines) < machines:
            raise RuntimeError(f"lab {name} has {len(found.machines)} machines, and {machines} are needed")
        yield found
        return
    try:
        run_kit("lab", "up", "--name", name, "--machines", str(machines), "--profile", "debian")
        yield read_lab(name)
    finally:
        run_kit("lab", "down", "--name", name)


def _entries(lab: Lab) -> Sequence[MachineEntry]:
    return [
        MachineEntry(
            machine.name,
            f"{lab.user}@{machine.private_ip}",
            private_ip=machine.private_ip,
            identity_file=str(lab.identity_file),
            known_hosts_file=str(lab.known_hosts_file),
        )
        for machine in lab.machines
    ]
