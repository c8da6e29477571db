"""What a plan refuses before anything is touched, every reason at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.model.project import Cluster
from coreos_kit.planning.options import PlanOptions


def refuse_silent_machines(cluster: Cluster, observed: Observation, options: PlanOptions) -> None:
    """Refuse machines that say nothing and are neither skipped nor evacuated, and unknown ones."""
    known = {machine.name for machine in cluster.machines} | observed.machines.keys()
    if unknown := sorted((options.skip | options.evacuate | options.drained) - known):
        raise Refused(
            f"{cluster.name} has no machine {unknown[0]}",
            hint=f"Its machines are {', '.join(sorted(known))}.",
        )
    if silent := silent_machines(observed, options):
        first = min(silent)
        raise Unreachable(
            f"{listed(sorted(silent))} can't be looked at, so nothing was touched",
            machine=first,
            details=[line for name, error in sorted(silent.items()) for line in _why_silent(name, error)],
            hint=_way_out(first, silent[first]),
        )
    if len(options.skip | options.evacuate) == len(known):
        raise Refused("every machine is skipped or evacuated", hint="Leave at least one machine to work on.")


def silent_machines(observed: Observation, options: PlanOptions) -> Mapping[str, KitError]:
    """Return the machines that say nothing and are neither skipped nor evacuated: planning refuses them."""
    return {
        name: error
        for name, error in observed.unreachable.items()
        if name not in options.skip | options.evacuate
    }


def _way_out(machine: str, error: KitError) -> str:
    """A machine that answers and refuses us may be running everything: evacuating it would run it twice."""
    if isinstance(error, Unreachable):
        return f"Leave it as it is with --skip {machine}, or move its units with --evacuate {machine}."
    return error.hint or f"Mend it, or leave it as it is with --skip {machine}."


def _why_silent(name: str, error: KitError) -> list[str]:
    """Skipping may not be what is wanted: a machine that only refuses the login has a way out of its own."""
    return [f"{name}: {error}", *(f"  {line}" for line in (*error.details, error.hint) if line)]


def refuse_foreign_units(project: str, desired: Sequence[DesiredUnit], observed: Observation) -> None:
    """Refuse where a unit of ours would replace one that is not the project's."""
    wanted = {unit.name for unit in desired}
    standing = [unit for _, machine in sorted(observed.machines.items()) for unit in machine.units]
    foreign = [
        unit for unit in (*standing, *observed.unplaced) if unit.name in wanted and unit.project != project
    ]
    if foreign:
        raise Refused(
            "a unit of the same name is not this project's, so nothing was touched",
            details=[f"{unit.machine or 'placed nowhere'}: {unit.name} {_whose(unit)}" for unit in foreign],
            hint=_way_past(foreign),
        )


def _way_past(foreign: Sequence[ObservedUnit]) -> str:
    first = foreign[0]
    if first.has_lost_its_file:
        return (
            f"coreos-kit ssh {first.machine} -- sudo systemctl daemon-reload, then deploy again: it writes it"
        )
    way = f"Rename the service in coreos-kit.toml, or remove that unit: {_removal(first)}"
    if first.project and {unit.project for unit in foreign} == {first.project}:
        return f"If this project was called {first.project} before, set project.name back to that. {way}"
    return way


def _removal(unit: ObservedUnit) -> str:
    if not unit.machine or not unit.fragment_path.startswith("/etc/systemd/system/"):
        return f"look at it first: coreos-kit ssh {unit.machine}" if unit.machine else "fleetctl destroy"
    name, path = unit.name, unit.fragment_path
    commands = f"systemctl stop {name}; rm -f {path}; systemctl daemon-reload"
    return f"coreos-kit ssh {unit.machine} -- sudo sh -c '{commands}'"


def _whose(unit: ObservedUnit) -> str:
    if unit.project:
        return f"belongs to the project {unit.project}"
    if unit.has_lost_its_file:
        return f"is loaded from {unit.fragment_path}, which is gone"
    return (
        f"stands at {unit.fragment_path}, without [X-CoreosKit]"
        if unit.fragment_path
        else "is somebody else's"
    )


def refuse_vanishing_services(
    cluster: Cluster, desired: Sequence[DesiredUnit], stale: Sequence[ObservedUnit], options: PlanOptions
) -> None:
    """Refuse to remove a whole service that nobody allowed to go."""
    configured = {unit.service for unit in desired}
    vanishing: dict[str, list[str]] = defaultdict(list)
    for unit in stale:
        if unit.service not in configured and unit.service not in options.allow_remove:
            vanishing[unit.service].append(f"{unit.machine}: {unit.name}")
    if vanishing:
        flags = " ".join(f"--allow-remove {service}" for service in sorted(vanishing))
        raise Refused(
            f"units stand that {cluster.name} no longer has configured: those of {listed(sorted(vanishing))}",
            details=[line for name in sorted(vanishing) for line in sorted(vanishing[name])],
            hint=f"Remove them with {flags}, or put them back into coreos-kit.toml.",
        )


def listed(names: Sequence[str]) -> str:
    """Put names into a sentence."""
    return ", ".join(names)
