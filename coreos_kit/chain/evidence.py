"""What `verify` has looked at, and where in it each unit is found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.model.cluster import EtcdEntry, Observation, ObservedMachine
from coreos_kit.model.holding import Holding
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.model.project import Cluster
from coreos_kit.model.services import LoadBalancer
from coreos_kit.ports import Probe


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that `verify` has looked at; `None` or a missing key means that it could not be looked at."""

    project: str
    cluster: Cluster
    observed: Observation
    entries: Mapping[str, tuple[EtcdEntry, ...]] = field(default_factory=dict)  # by prefix
    etcd_error: str = ""
    probes: Mapping[str, Probe] = field(
        default_factory=dict
    )  # by place of a balancer, as `balancer_places` names it; "machine:NAME" where there is none
    probe_errors: Mapping[str, str] = field(default_factory=dict)
    other_entries: Mapping[str, tuple[EtcdEntry, ...]] = field(default_factory=dict)  # of the other API
    other_error: str = ""
    holding: Holding = field(default_factory=Holding)
    desired: tuple[DesiredUnit, ...] | None = None  # as rendered today; None: it can't be rendered
    render_error: str = ""
    recorded: Mapping[UnitName, Collection[str]] = field(
        default_factory=dict
    )  # where the last deploy put each unit; read only where one stands on several machines


def places(evidence: Evidence, unit: UnitName) -> list[ObservedMachine]:
    """Return the machines on which the project's unit of that name stands."""
    return [
        machine
        for _, machine in sorted(evidence.observed.machines.items())
        if any(seen.name == unit and seen.project == evidence.project for seen in machine.units)
    ]


def places_or_nowhere(evidence: Evidence, unit: UnitName) -> Sequence[ObservedMachine | None]:
    """Return where a unit stands; where it stands nowhere, that is one place, too."""
    return places(evidence, unit) or [None]


def balancer_places(
    evidence: Evidence, balancer: LoadBalancer
) -> Mapping[str, tuple[UnitName, ObservedMachine]]:
    """Return where a balancer stands, by the words that tell its places apart: for one, its name."""
    found = [(unit, machine) for unit in balancer.units() for machine in places(evidence, unit)]
    if len(found) == 1 and not balancer.may_be_several:
        return {balancer.name: found[0]}
    return {f"{unit.stem} on {machine.name}": (unit, machine) for unit, machine in found}
