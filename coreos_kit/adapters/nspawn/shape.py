"""What a lab shall be: its subnet, its machines, its profile; new, or as an existing one is to continue."""

import shutil
from dataclasses import replace
from pathlib import Path

from coreos_kit.adapters.nspawn.mounts import unmount_below
from coreos_kit.adapters.nspawn.network import Network, choose_number
from coreos_kit.adapters.nspawn.root import Root
from coreos_kit.adapters.nspawn.state import lab_folder, write_lab
from coreos_kit.adapters.nspawn.sysctls import lock_workstation
from coreos_kit.errors import KitError
from coreos_kit.model.lab import Lab, etcd_members_of, machine_of

DEFAULT_MACHINES = 3
DEFAULT_PROFILE = "debian"


def settle(name: str, root: Root, known: Lab | None, machines: int | None, profile: str | None) -> Lab:
    """Return the lab as it shall be. A new one is written here, once its subnet is chosen and taken."""
    if known is None:
        with lock_workstation():
            lab = _new_lab(
                name, choose_number(), root, machines or DEFAULT_MACHINES, profile or DEFAULT_PROFILE
            )
            if lab.folder.exists():  # of a `down` that was killed: its disks are no longer whole
                clear_folder(lab.folder)
            lab.folder.mkdir(parents=True)
            write_lab(lab)  # from here on `down` finds everything
            Network(lab.number).make_bridge()
        return lab
    if not known.root.exists():
        hint = f"Take it down and make it anew: coreos-kit lab down --name {name}"
        raise KitError(f"lab {name} lies over {known.root}, which is no longer in the cache", hint=hint)
    count = max(machines or 0, len(known.machines))
    members = tuple(machine_of(name, known.number, index) for index in range(1, count + 1))
    return replace(known, machines=members, profile=profile or known.profile)


def clear_folder(folder: Path) -> None:
    """Remove a folder that is no lab's any more, and what is still mounted in it."""
    unmount_below(folder)
    shutil.rmtree(folder)


def _new_lab(name: str, number: int, root: Root, count: int, profile: str) -> Lab:
    return Lab(
        name=name,
        number=number,
        profile=profile,
        machines=tuple(machine_of(name, number, index) for index in range(1, count + 1)),
        registry_machine=machine_of(name, number, 0),
        etcd_members=etcd_members_of(count),
        folder=lab_folder(name),
        root=root.system,
    )
