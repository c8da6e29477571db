"""Desired and observed -> the steps between. Pure: the same values give the same plan.

Refuses, before anything is touched, what can't be done: a machine that is silent, a unit that no machine
can take, a name that somebody else's unit has, a service that would vanish as a whole.
"""

from collections.abc import Iterator, Mapping, Sequence

from coreos_kit.model.cluster import Observation
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.model.project import Cluster
from coreos_kit.planning.downtime import downtimes_of, refuse_downtime, rollout_notes
from coreos_kit.planning.environments import environment_text, environments_of
from coreos_kit.planning.options import PlanOptions
from coreos_kit.planning.other_etcd import follows_other_etcd, other_etcd_notes
from coreos_kit.planning.placing import Placed, place_units, stale_units
from coreos_kit.planning.refusals import (
    refuse_foreign_units,
    refuse_silent_machines,
    refuse_vanishing_services,
)
from coreos_kit.planning.scheduler import options_under_scheduler, scheduler_notes
from coreos_kit.planning.waits import waits_s
from coreos_kit.planning.waves import change_of, waves_of

__all__ = ["PlanOptions", "change_of", "environment_text", "follows_other_etcd", "plan", "refuse_downtime"]


def plan(
    project: str,
    cluster: Cluster,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    options: PlanOptions | None = None,
    *,
    digests: Mapping[str, str] | None = None,
) -> Plan:
    """Return what has to be done so that `observed` becomes `desired`.

    Raises `Unreachable`, `Unplaceable` or `Refused`, each with every reason at once.
    """
    asked = options or PlanOptions()
    options = options_under_scheduler(observed, asked)
    refuse_silent_machines(cluster, observed, options)
    refuse_foreign_units(project, desired, observed)
    usable = {
        name: machine
        for name, machine in observed.machines.items()
        if name not in options.evacuate | options.skip
    }
    placed = place_units(project, desired, observed, options)
    stale = stale_units(project, desired, placed, observed, options)
    refuse_vanishing_services(cluster, desired, stale, options)
    at_a_time = {service.name: service.rollout.max_unavailable for service in cluster.services}
    moving = [unit for unit in desired if unit.name not in placed.still]
    waves = waves_of(moving, placed, stale, usable, at_a_time)
    downtimes = downtimes_of(cluster, desired, observed, waves)
    touched = {machine for machines in placed.machines.values() for machine in machines}
    return Plan(
        waves=waves,
        placements=placed.machines,
        environments=environments_of(cluster, [usable[name] for name in sorted(touched & set(usable))]),
        digests=dict(digests or {}),
        stuck=placed.stuck,
        downtimes=downtimes,
        waits_s=waits_s(cluster, waves),
        notes=(
            *rollout_notes(cluster, waves, downtimes),
            *other_etcd_notes(waves),
            *notes_of(placed, observed, options if observed.scheduler is None else PlanOptions()),
            *scheduler_notes(desired, observed, asked),
        ),
    )


def notes_of(placed: Placed, observed: Observation, options: PlanOptions) -> Iterator[str]:
    for name in sorted(options.skip):
        reason = f": {observed.unreachable[name]}" if name in observed.unreachable else ""
        yield f"{name} is skipped and stays as it is{reason}"
    for name in sorted(options.evacuate & set(observed.unreachable)):
        yield f"{name} can't be reached: its units go elsewhere, and what is left on it goes when it is back"
    for unit in sorted(placed.held):
        yield f"{unit} is seen nowhere and may stand on a skipped machine: it is not started elsewhere"
