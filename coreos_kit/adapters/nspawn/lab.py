"""A whole lab: made, looked at, broken, mended, taken away.

Every step of `up` looks first at what is there, so that it continues a lab that was killed half way, and
`down` needs nothing but the lab's number.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from coreos_kit.adapters.nspawn.contents import add_programs, base_tree, fleet_tree, full_tree, profile_tree
from coreos_kit.adapters.nspawn.dress import ETCD_IMAGE, etcd_unit
from coreos_kit.adapters.nspawn.fleet import keep_programs, refuse_without_programs
from coreos_kit.adapters.nspawn.host import refuse_unless_able
from coreos_kit.adapters.nspawn.keys import ensure_keys
from coreos_kit.adapters.nspawn.login import machine_named
from coreos_kit.adapters.nspawn.machine import Machine, remove_remains
from coreos_kit.adapters.nspawn.network import Network
from coreos_kit.adapters.nspawn.readiness import unit_is_active, wait_until_ready
from coreos_kit.adapters.nspawn.registry import Registry
from coreos_kit.adapters.nspawn.root import Root, ensure_root
from coreos_kit.adapters.nspawn.shape import clear_folder, settle
from coreos_kit.adapters.nspawn.sources import SUITE, Upstream, read_upstream
from coreos_kit.adapters.nspawn.state import (
    lab_folder,
    lock_file,
    locked,
    read_lab,
    state_folder,
    try_read_lab,
    try_work,
    write_lab,
)
from coreos_kit.adapters.nspawn.tree import differs, write_tree
from coreos_kit.errors import InvalidConfig, KitError, PartialFailure
from coreos_kit.model.lab import (
    MOST_MACHINES,
    Lab,
    LabDown,
    LabMachineStatus,
    LabStatus,
    LabUp,
)
from coreos_kit.ports import Progress


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

        Left out, `machines` and `profile` are the lab's own, or 3 and debian for a new one. Another profile
        changes the names on running machines in place. A lab never gets smaller: take it down for that.
        """
        started = time.monotonic()
        _refuse_wrong(machines, profile, fleet)
        refuse_unless_able()
        upstream = read_upstream()
        with self._locked(name, "up"):
            known = try_read_lab(name)
            wants_podman = (profile or (known.profile if known else "")) == "fedora-coreos"
            if known and machines is not None and machines < len(known.machines):
                self._progress(f"lab {name} has {len(known.machines)} machines and keeps them")
            root = ensure_root(upstream, self._progress, podman=wants_podman)
            lab = settle(name, root, known, machines, profile)
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
        with self._locked(name, "down"):
            lab = try_read_lab(name)
            removed: list[str] = []
            if lab is not None:
                self._progress(f"taking lab {name} away")
                removed += remove_remains(folder, lab.number)
                removed += Network(lab.number).remove(folder)
                (folder / "lab.json").unlink()  # from here on there is no lab, only a folder to clear away
            if folder.exists():
                clear_folder(folder)
                removed.append(str(folder))
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
            try_work(name),
        )

    def kill(self, machine: str, name: str = "default") -> bool:
        """Take a machine's power away; return whether it ran. Its disk stays as it was at that moment."""
        with self._machine(name, machine, "kill") as target:
            return target.kill()

    def revive(self, machine: str, name: str = "default") -> bool:
        """Boot a killed machine and wait until it offers everything; return whether it had to be booted."""
        with self._machine(name, machine, "revive") as target:
            if target.try_leader() is not None:
                return False
            lab, upstream = target.lab, read_upstream()
            network = Network(lab.number)
            network.make_bridge()  # gone where the workstation itself was restarted
            network.open_way_out(lab.folder)
            target.prepare(full_tree(target, upstream))
            target.boot()
            wait_until_ready(target, lab.profile)
            return True

    def cut(self, machine: str, name: str = "default") -> None:
        """Unplug a machine: nothing reaches it or comes from it, the workstation included. It runs on."""
        with self._machine(name, machine, "cut") as target:
            _refuse_unless_running(target)
            Network(target.lab.number).cut(target.device)

    def heal(self, machine: str, name: str = "default") -> None:
        """Plug a machine in again."""
        with self._machine(name, machine, "heal") as target:
            _refuse_unless_running(target)
            Network(target.lab.number).heal(target.device)

    def _locked(self, name: str, verb: str) -> AbstractContextManager[None]:
        """Hold a lab's lock: two `lab up` at once would make everything twice."""

        def wait() -> None:
            work = try_work(name) or "another command is at work on it"
            self._progress(f"waiting for lab {name}: {work}")

        return locked(lock_file(name), wait, verb)

    @contextmanager
    def _machine(self, name: str, machine: str, verb: str) -> Iterator[Machine]:
        refuse_unless_able()
        read_lab(name)  # says what to do where there is none, before a lock is made
        with self._locked(name, verb):
            lab = read_lab(name)
            yield Machine(lab, machine_named(lab, machine))

    def _bring_up(self, lab: Lab, root: Root, upstream: Upstream) -> tuple[str, ...]:
        machines = [Machine(lab, member) for member in lab.all_machines]
        asleep = [machine for machine in machines if machine.try_leader() is None]
        awake = [machine for machine in machines if machine not in asleep]
        if asleep:
            self._progress(f"booting {', '.join(machine.member.name for machine in asleep)}")
        for machine in asleep:
            machine.prepare(full_tree(machine, upstream))
            add_programs(machine, root)
            machine.boot()
        self._fill_registry(lab, root, machines[0])
        _each(awake, lambda machine: self._catch_up(machine, root, upstream))
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
        write_tree(machine.root, base_tree(machine, upstream))
        add_programs(machine, root)
        self._dress(machine)
        if write_tree(machine.root, fleet_tree(machine)):
            self._progress(f"starting fleet on {name}")
            machine.run(["systemctl", "daemon-reload"])
            machine.run(["systemctl", "restart", "fleet.socket", "fleet.service"])

    def _dress(self, machine: Machine) -> None:
        tree, unit = profile_tree(machine), etcd_unit(machine.lab.profile)
        if machine.member == machine.lab.registry_machine:
            return
        if differs(machine.root, tree) or not unit_is_active(machine, unit):
            self._progress(f"giving {machine.member.name} the names of {machine.lab.profile}")
            machine.run_script("stop-etcd.sh")
            write_tree(machine.root, tree)
            machine.run_script("start-etcd.sh", unit)

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


def _refuse_wrong(machines: int | None, profile: str | None, fleet: Path | None) -> None:
    if machines is not None and not 1 <= machines <= MOST_MACHINES:
        raise InvalidConfig(
            f"a lab can't have {machines} machines", hint=f"Choose from 1 to {MOST_MACHINES}."
        )
    if profile is not None:
        etcd_unit(profile)  # refuses a profile that there is not
    if fleet is not None:
        refuse_without_programs(fleet)


def _refuse_unless_running(machine: Machine) -> None:
    if machine.try_leader() is None:
        name = machine.lab.name
        hint = f"coreos-kit lab revive {machine.member.name} --name {name}"
        raise KitError(f"{machine.member.name} of lab {name} does not run", hint=hint)


def _each(machines: Sequence[Machine], do: Callable[[Machine], object]) -> None:
    """Do something on all machines at once, and to the end on all, whatever fails."""
    with ThreadPoolExecutor(max_workers=MOST_MACHINES + 1) as pool:
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
