"""Sidekicks that run and are not registered: one that a killed deploy held out is let in by the next one."""

from collections import defaultdict
from collections.abc import Mapping

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import server_of
from coreos_kit.ops.rollout.leaving import heeds_signals
from coreos_kit.ops.session import Session


def let_in_forgotten(session: Session, observed: Observation) -> Mapping[str, tuple[UnitName, ...]]:
    """Let in every sidekick that runs without its registration; return which, by machine.

    One that has other reasons to be out, a backend that is not well say, does not mind. Without etcd nobody
    can tell, so nothing is done.
    """
    forgotten: dict[str, tuple[UnitName, ...]] = {}
    try:
        found = _unregistered(session, observed)
        for machine, sidekicks in sorted(found.items()):
            session.driver.let_in(machine, sidekicks)
            names = ", ".join(map(str, sidekicks))
            session.progress(f"{machine}: {names} runs and is not registered, so it is let in again")
            forgotten[machine] = tuple(sidekicks)
    except KitError as error:
        session.progress(f"whether a sidekick was left held out can't be told: {error}")
    return forgotten


def _unregistered(session: Session, observed: Observation) -> Mapping[str, list[UnitName]]:
    found: dict[str, list[UnitName]] = defaultdict(list)
    for service in session.cluster.services:
        if not service.registration:
            continue
        running = [
            (machine, unit)
            for name, machine in sorted(observed.machines.items())
            if name not in observed.silent
            for unit in machine.units
            if unit.is_active
            and unit.project == session.project.name
            and unit.name.is_instance
            and unit.name.template == service.sidekick
            and heeds_signals(unit.text or "")
        ]
        if not running:
            continue
        registered = {
            entry.key: entry.value for entry in session.store().entries(service.registration.prefix)
        }
        for machine, unit in running:
            instance = unit.name.instance or ""
            key = service.registration.key_for(machine.private_ip, instance)
            if registered.get(key) != server_of(machine.private_ip, instance):
                found[machine.name].append(unit.name)
    return found
