"""Cordons: machines that get nothing new. What stands there stays."""

from dataclasses import dataclass

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.cluster import Observation
from coreos_kit.model.holding import Mark
from coreos_kit.model.keys import cordon_key, cordons_folder
from coreos_kit.ops.holding import mark, read_holding
from coreos_kit.ops.session import Session


@dataclass(frozen=True, slots=True)
class Cordon:
    """One machine after it was cordoned or not any more; `changed` says whether it was otherwise before."""

    machine: str
    mark: Mark | None
    changed: bool


def cordon(session: Session, machine: str, why: str) -> Cordon:
    """Let nothing new onto a machine; one that is cordoned stays as it is. Raises `Refused` under fleet."""
    refuse_scheduler(session.driver.observe([]), machine)
    refuse_unknown(session, machine)
    if before := read_holding(session).cordoned.get(machine):
        return Cordon(machine, before, changed=False)
    made = mark(session, why)
    session.store().put(cordon_key(session.project.name, machine), made.text())
    return Cordon(machine, made, changed=True)


def uncordon(session: Session, machine: str) -> Cordon:
    """Let new units onto a machine again; safe to repeat."""
    entries = session.store().entries(cordons_folder(session.project.name))
    found = next((e for e in entries if e.key == cordon_key(session.project.name, machine)), None)
    if found is None:
        refuse_unknown(session, machine)
        return Cordon(machine, None, changed=False)
    return Cordon(machine, None, changed=session.store().delete_if_value(found.key, found.value))


def refuse_scheduler(observed: Observation, machine: str) -> None:
    """Refuse to hold a machine still where fleet places units: it can't be told."""
    if observed.scheduler is not None:
        raise Refused(
            f"fleet can't be told to keep units off {machine}, so nothing was touched",
            hint=f"Stop fleet there, and they move: coreos-kit ssh {machine} -- sudo systemctl stop fleet",
        )


def refuse_unknown(session: Session, machine: str) -> None:
    """Refuse a machine that the cluster does not have."""
    names = sorted(entry.name for entry in session.cluster.machines)
    if machine not in names:
        raise KitError(
            f"{session.cluster.name} has no machine {machine}", hint=f"Its machines are {', '.join(names)}."
        )
