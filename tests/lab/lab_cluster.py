"""A lab of three machines for the length of a module, without the command line in between."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from coreos_kit.adapters.ssh import open_machines
from coreos_kit.cli.wiring import with_lab
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind
from coreos_kit.ports import Runner


@contextmanager
def on_a_lab(lab: str, profile: str, *more: str) -> Iterator[tuple[Cluster, Mapping[str, Runner]]]:
    command = [sys.executable, "-m", "coreos_kit", "lab"]
    subprocess.run(
        [*command, "up", "--name", lab, "--machines", "3", "--profile", profile, *more],
        check=True,
        capture_output=True,
    )
    try:
        configured = Cluster("contract", PROFILES[profile], DriverKind.AUTO, (), (), (), lab=lab)
        cluster = with_lab(configured)
        with open_machines(cluster.machines) as machines:
            yield cluster, {entry.name: machines.runner(entry.name) for entry in cluster.machines}
    finally:
        if not os.environ.get("COREOS_KIT_KEEP_LAB"):
            subprocess.run([*command, "down", "--name", lab], check=True, capture_output=True)
