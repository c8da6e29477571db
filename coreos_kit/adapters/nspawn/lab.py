"""A whole lab: made, looked at, broken, mended, taken away.

Every step of `up` looks first at what is there, so that it continues a lab that was killed half way, and `down`
needs nothing but the lab's number.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from coreos_kit.adapters.nspawn.dress import ETCD_IMAGE, dress_tree, etcd_unit
from coreos_kit.adapters.nspawn.files import Keys, machine_tree
from coreos_kit.adapters.nspawn.fleet import fleet_tree, install_programs, keep_programs
from coreos_kit.adapters.nspawn.host import refuse_unless_able, script
from coreos_kit.adapters.nspawn.keys import ensure_keys, host_key
from coreos_kit.adapters.nspawn.login import machine_named
from coreos_kit.adapters.nspawn.machine import Machine, remove_remains
from coreos_kit.adapters.nspawn.network import Network, choose_number, lock_workstation, uplink_mtu
from coreos_kit.adapters.nspawn.readiness import wait_until_ready
from coreos_kit.adapters.nspawn.registry import Registry
from coreos_kit.adapters.nspawn.root import Root, add_podman, ensure_root
from coreos_kit.adapters.nspawn.sources import SUITE, Upstream, read_upstream
from coreos_kit.adapters.nspawn.state import (
    lab_folder,
    locked,
    read_lab,
    state_folder,
    try_read_lab,
    write_lab,
)
from coreos_kit.adapters.nspawn.tree import Tree, write_tree
from coreos_kit.errors import InvalidConfig, KitError, PartialFailure
from coreos_kit.model.lab import (
    MOST_MACHINES,
    Lab,
    LabDown,
    LabMachineStatus,
    LabStatus,
    LabUp,
    etcd_members_of,
    machine_of,
)
from coreos_kit.ports import Progress

DEFAULT_MACHINES = 3
DEFAULT_PROFILE = "debian"


class NspawnLab:
    """The labs of this workstation. Everything that changes one needs root and holds that lab's lock."""

    def __init__(self, progress: Progress = lambda _: None) -> None:
        self._progress = progress

    def up(
        self,
        name: str = "default",
        *,
        machines: int | None = None,
        profile: str | None = None,
        fleet: Path | None = None,
    ) -> LabUp:
        """Make a lab, or continue or extend the one that is there; what runs stays as it is.

        Left out, `machines` and `profile` are the lab's own, or 3 and debian for a new one. Another profile than
        the lab's changes the names on its machines in place. A lab never gets smaller: take it down for that.
        """
        started = time.monotonic()
        _refuse_wrong(machines, profile)
        refuse_unless_able()
        upstream = read_upstream()
        with _locked(name):
            known = try_read_lab(name)
            wants_podman = (profile or (known.profile if known else "")) == "fedora-coreos"
            if known and machines is not None and machines < len(known.machines):
                self._progress(f"lab {name} has {len(known.machines)} machines and keeps them")
            root = ensure_root(upstream, self._progress, podman=wants_podman)
            lab = _settle(name, root, known, machines, profile)
            if fleet is not None:
                keep_programs(fleet, lab)
                lab = replace(lab, fleet=True)
            write_lab(lab)
            ensure_keys(lab)
            network = Network(lab.number)
            network.make_bridge()
            network.open_way_out(lab.folder)
            booted = self._bring_up(lab, root, upstream)
        return LabUp(lab, booted, root.download_s, time.monotonic() - started)

    def down(self, name: str = "default") -> LabDown:
        """Take a lab away with everything that it added to the workstation, in whatever state it is."""
        folder = lab_folder(name)
        refuse_unless_able()
        with _locked(name):
            lab = try_read_lab(name)
            removed: list[str] = []
            if lab is not None:
                self._progress(f"taking lab {name} away")
                removed += remove_remains(folder, lab.number)
                removed += Network(lab.number).remove(folder)
            if folder.exists():
                shutil.rmtree(folder)
                removed.append(f"{folder}")
        _remove_empty(state_folder() / "labs", state_folder())
        return LabDown(name, tuple(removed))

    def status(self, name: str = "default") -> LabStatus:
        """Look at a lab; needs no root."""
        lab = read_lab(name)
        plugged = Network(lab.number).plugged()
        return LabStatus(
            lab,
            tuple(
                LabMachineStatus(member, Machine(lab, member).state(plugged)) for member in lab.all_machines
            ),
        )

    def kill(self, machine: str, name: str = "default") -> bool:
        """Take a machine's power away; return whether it ran. Its disk stays as it was at that moment."""
        with self._machine(name, machine) as target:
            return target.kill()

    def revive(self, machine: str, name: str = "default") -> bool:
        """Boot a machine that was killed and wait until it offers everything; return whether it had to be booted."""
        with self._machine(name, machine) as target:
            if target.try_leader() is not None:
                return False
            lab, upstream = target.lab, read_upstream()
            network = Network(lab.number)
            network.make_bridge()  # gone where the workstation itself was restarted
            network.open_way_out(lab.folder)
            target.prepare(_base_tree(target, upstream) | _profile_tree(target) | _fleet_tree(target))
            target.boot()
            wait_until_ready(target, lab.profile)
            return True

    def cut(self, machine: str, name: str = "default") -> None:
        """Unplug a machine: nothing reaches it or comes from it, the workstation included. It runs on."""
        with self._machine(name, machine) as target:
            _refuse_unless_running(target)
            Network(target.lab.number).cut(target.device)

    def heal(self, machine: str, name: str = "default") -> None:
        """Plug a machine in again."""
        with self._machine(name, machine) as target:
            _refuse_unless_running(target)
            Network(target.lab.number).heal(target.device)

    @contextmanager
    def _machine(self, name: str, machine: str) -> Iterator[Machine]:
        refuse_unless_able()
        read_lab(name)  # says what to do where there is none, before a lock is made
        with _locked(name):
            lab = read_lab(name)
            yield Machine(lab, machine_named(lab, machine))

    def _bring_up(self, lab: Lab, root: Root, upstream: Upstream) -> tuple[str, ...]:
        machines = [Machine(lab, member) for member in lab.all_machines]
        asleep = [machine for machine in machines if machine.try_leader() is None]
        awake = [machine for machine in machines if machine not in asleep]
        if asleep:
            self._progress(f"booting {', '.join(machine.member.name for machine in asleep)}")
        for machine in asleep:
            machine.prepare(_base_tree(machine, upstream) | _profile_tree(machine) | _fleet_tree(machine))
            _add_programs(machine, root)
            machine.boot()
        for machine in awake:
            self._catch_up(machine, root, upstream)
        self._fill_registry(lab, root, machines[0])
        since = time.monotonic()
        _each(machines, lambda machine: wait_until_ready(machine, lab.profile))
        if asleep:
            self._progress(f"all machines answer: {time.monotonic() - since:.1f} s")
        return tuple(machine.member.name for machine in asleep)

    def _catch_up(self, machine: Machine, root: Root, upstream: Upstream) -> None:
        """Bring a machine that runs to what it should be: plugged in, and carrying its profile's names."""
        lab, name = machine.lab, machine.member.name
        network = Network(lab.number)
        if machine.device not in network.plugged():
            self._progress(f"plugging {name} in again")
            network.heal(machine.device)
        write_tree(machine.root, _base_tree(machine, upstream))
        _add_programs(machine, root)
        if write_tree(machine.root, _profile_tree(machine)):
            self._progress(f"giving {name} the names of {lab.profile}")
            machine.run(["/bin/bash", "-c", script("dress.sh"), "dress", etcd_unit(lab.profile)])
        if write_tree(machine.root, _fleet_tree(machine)):
            self._progress(f"starting fleet on {name}")
            machine.run(["systemctl", "daemon-reload"])
            machine.run(["systemctl", "restart", "fleet.socket", "fleet.service"])

    def _fill_registry(self, lab: Lab, root: Root, machine: Machine) -> None:
        wait_until_ready(machine, lab.profile)
        registry = Registry(lab.registry)
        images = [("library/debian", f"{SUITE}-slim", [root.base_layer], ["bash"])]
        if lab.profile == "fedora-coreos":
            name, tag = ETCD_IMAGE.removeprefix("quay.io/").split(":")
            images.append((name, tag, [root.base_layer, root.etcd_layer], ["/usr/bin/etcd"]))
        for name, tag, tars, command in images:
            if not registry.has(name, tag):
                started = time.monotonic()
                registry.push(name, tag, tars, command=command)
                self._progress(f"put {name}:{tag} into the registry: {time.monotonic() - started:.1f} s")


def _base_tree(machine: Machine, upstream: Upstream) -> Tree:
    lab = machine.lab
    key = host_key(lab, machine.member.name)
    keys = Keys(
        host_key=key.read_text("utf-8"),
        host_key_public=key.with_suffix(".pub").read_text("utf-8"),
        authorized=lab.identity_file.with_suffix(".pub").read_text("utf-8"),
    )
    return machine_tree(lab, machine.member, keys, upstream, uplink_mtu())


def _profile_tree(machine: Machine) -> Tree:
    return dress_tree(machine.lab, machine.member, machine.lab.profile) if _is_member(machine) else Tree()


def _fleet_tree(machine: Machine) -> Tree:
    wanted = machine.lab.fleet and _is_member(machine)
    return fleet_tree(machine.lab, machine.member, machine.lab.profile) if wanted else Tree()


def _add_programs(machine: Machine, root: Root) -> None:
    if _is_member(machine) and root.podman is not None:
        add_podman(root.podman, machine.root)
    if _is_member(machine) and machine.lab.fleet:
        install_programs(machine.lab, machine.root)


def _is_member(machine: Machine) -> bool:
    return machine.member != machine.lab.registry_machine


def _settle(name: str, root: Root, known: Lab | None, machines: int | None, profile: str | None) -> Lab:
    """Return the lab as it shall be, its subnet chosen and taken. Written by the caller, once more, when it changes."""
    if known is None:
        with lock_workstation():
            lab = _new_lab(
                name, choose_number(), root, machines or DEFAULT_MACHINES, profile or DEFAULT_PROFILE
            )
            lab.folder.mkdir(parents=True, exist_ok=True)
            write_lab(lab)  # from here on `down` finds everything
            Network(lab.number).make_bridge()
        return lab
    if not known.root.exists():
        hint = f"Take it down and make it anew: coreos-kit lab down --name {name}"
        raise KitError(f"lab {name} lies over {known.root}, which is no longer in the cache", hint=hint)
    count = max(machines or 0, len(known.machines))
    members = tuple(machine_of(name, known.number, index) for index in range(1, count + 1))
    return replace(known, machines=members, profile=profile or known.profile)


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


def _refuse_wrong(machines: int | None, profile: str | None) -> None:
    if machines is not None and not 1 <= machines <= MOST_MACHINES:
        raise InvalidConfig(
            f"a lab can't have {machines} machines", hint=f"Choose from 1 to {MOST_MACHINES}."
        )
    if profile is not None:
        etcd_unit(profile)  # refuses a profile that there is not


def _refuse_unless_running(machine: Machine) -> None:
    if machine.try_leader() is None:
        name = machine.lab.name
        hint = f"coreos-kit lab revive {machine.member.name} --name {name}"
        raise KitError(f"{machine.member.name} of lab {name} does not run", hint=hint)


def _locked(name: str) -> AbstractContextManager[None]:
    """Hold a lab's lock: two `lab up` at once would make everything twice."""
    return locked(state_folder() / "labs" / f"{name}.lock")


def _each(machines: Sequence[Machine], do: Callable[[Machine], object]) -> None:
    """Do something on all machines at once, and to the end on all, whatever fails."""
    with ThreadPoolExecutor(max_workers=len(machines)) as pool:
        futures = [pool.submit(do, machine) for machine in machines]
    failures = [error for future in futures if (error := future.exception()) is not None]
    wrong = [error for error in failures if isinstance(error, KitError)]
    for error in failures:
        if not isinstance(error, KitError) or len(wrong) == 1:
            raise error
    if wrong:
        raise PartialFailure(f"{len(wrong)} of {len(machines)} machines failed", wrong)


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
