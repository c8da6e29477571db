"""fleet on the lab's machines, from binaries that somebody has: no distribution carries it any more."""

import os
import shutil
from pathlib import Path

from coreos_kit.adapters.nspawn.dress import etcd_unit
from coreos_kit.adapters.nspawn.tree import Text, Tree, enabled
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.lab import Lab, LabMachine

PROGRAMS = ("fleetd", "fleetctl")

# As CoreOS shipped them (coreos/fleet contrib/), but for the profile's name of etcd's unit.
_SERVICE = """\
[Unit]
Description=fleet daemon
Wants={etcd} fleet.socket
After={etcd} fleet.socket

[Service]
ExecStart=/usr/bin/fleetd
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

_SOCKET = """\
[Unit]
Description=fleet API socket

[Socket]
ListenStream=/var/run/fleet.sock

[Install]
WantedBy=sockets.target
"""


def refuse_without_programs(source: Path) -> None:
    """Raise `InvalidConfig` where a folder does not hold fleetd and fleetctl."""
    for name in PROGRAMS:
        if not os.access(source / name, os.X_OK):
            hint = f"Give --fleet a folder that holds {' and '.join(PROGRAMS)}."
            raise InvalidConfig(f"{source / name} is no program", hint=hint)


def keep_programs(source: Path, lab: Lab) -> None:
    """Copy fleetd and fleetctl into the lab's folder, where machines that are made later find them."""
    kept = lab.folder / "fleet"
    kept.mkdir(exist_ok=True)
    for name in PROGRAMS:
        part = kept / f"{name}.part"
        shutil.copyfile(source / name, part)
        part.chmod(0o755)
        part.replace(kept / name)


def install_programs(lab: Lab, root: Path) -> None:
    """Put the programs into a machine's root; a fleetd that runs keeps its old file until it is restarted."""
    for name in PROGRAMS:
        part = root / "usr/bin" / f"{name}.part"
        shutil.copy2(lab.folder / "fleet" / name, part)
        part.replace(root / "usr/bin" / name)


def fleet_tree(lab: Lab, machine: LabMachine, profile: str) -> Tree:
    """Return fleet's configuration and units. fleet 1.0 needs etcd's v2 keys, which the lab's etcd serves."""
    return Tree(
        files={
            "etc/fleet/fleet.conf": Text(fleet_configuration(lab, machine)),
            "etc/systemd/system/fleet.service": Text(_SERVICE.format(etcd=etcd_unit(profile))),
            "etc/systemd/system/fleet.socket": Text(_SOCKET),
        },
        links={**enabled("fleet.service"), **enabled("fleet.socket", "sockets.target")},
    )


def fleet_configuration(lab: Lab, machine: LabMachine) -> str:
    """Return fleet.conf; fleet's public_ip is the address that other machines know this one by.

    The metadata give units something to choose by: all machines share a region, each has its number.
    """
    return (
        'etcd_servers=["http://127.0.0.1:2379"]\n'
        f'public_ip="{machine.private_ip}"\n'
        f'metadata="region=lab,n={lab.machines.index(machine) + 1}"\n'
    )
