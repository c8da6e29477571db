"""What each machine of a lab is to hold, put together from its role, the lab's profile and fleet."""

from coreos_kit.adapters.nspawn.dress import dress_tree
from coreos_kit.adapters.nspawn.files import Keys, machine_tree
from coreos_kit.adapters.nspawn.fleet import fleet_tree as fleet_files
from coreos_kit.adapters.nspawn.fleet import install_programs
from coreos_kit.adapters.nspawn.keys import host_key
from coreos_kit.adapters.nspawn.machine import Machine
from coreos_kit.adapters.nspawn.network import uplink_mtu
from coreos_kit.adapters.nspawn.root import Root, add_podman
from coreos_kit.adapters.nspawn.sources import Upstream
from coreos_kit.adapters.nspawn.tree import Tree


def full_tree(machine: Machine, upstream: Upstream) -> Tree:
    """Return everything that it is to hold."""
    return base_tree(machine, upstream) | profile_tree(machine) | fleet_tree(machine)


def base_tree(machine: Machine, upstream: Upstream) -> Tree:
    """Return what it holds whatever its profile."""
    lab = machine.lab
    key = host_key(lab, machine.member.name)
    keys = Keys(
        host_key=key.read_text("utf-8"),
        host_key_public=key.with_suffix(".pub").read_text("utf-8"),
        authorized=lab.identity_file.with_suffix(".pub").read_text("utf-8"),
    )
    return machine_tree(lab, machine.member, keys, upstream, uplink_mtu())


def profile_tree(machine: Machine) -> Tree:
    """Return what its profile puts there; the registry has none."""
    return dress_tree(machine.lab, machine.member, machine.lab.profile) if _is_member(machine) else Tree()


def fleet_tree(machine: Machine) -> Tree:
    """Return what fleet needs there, where the lab has fleet."""
    wanted = machine.lab.fleet and _is_member(machine)
    return fleet_files(machine.lab, machine.member, machine.lab.profile) if wanted else Tree()


def add_programs(machine: Machine, root: Root) -> None:
    """Put programs there that are not in the shared root, whether it runs or not."""
    if _is_member(machine) and root.podman is not None:
        add_podman(root.podman, machine.root)
    if _is_member(machine) and machine.lab.fleet:
        install_programs(machine.lab, machine.root)


def _is_member(machine: Machine) -> bool:
    return machine.member != machine.lab.registry_machine
