"""What each machine's loss would mean: the scheduler, once for every machine taken away."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from coreos_kit.model.cluster import Observation
from coreos_kit.model.loss import MachineLoss
from coreos_kit.model.machine import Machine
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan, UnitKind
from coreos_kit.placement import Placements, PlacementUnit
from coreos_kit.placement.losses import Loss, Obstacle, losses
from coreos_kit.planning.options import PlanOptions
from coreos_kit.planning.placing import closed_to_new, standing_on
from coreos_kit.planning.scheduler import options_under_scheduler
from coreos_kit.units.x_fleet import UnitRequirements


def losses_of(
    project: str,
    desired: Sequence[DesiredUnit],
    observed: Observation,
    made: Plan,
    options: PlanOptions | None = None,
) -> tuple[MachineLoss, ...]:
    """Say for each machine what would become of its units, once the plan stands; in the machines' order.

    Beyond what is planned nothing is assumed to change; what is held still serves nobody and goes nowhere.
    Under fleet the same happens by itself.
    """
    options = options_under_scheduler(observed, options or PlanOptions())
    staying = {name: machine for name, machine in observed.machines.items() if name not in options.evacuate}
    id_of = {name: machine.machine_id for name, machine in staying.items()}
    name_of = {id_: name for name, id_ in id_of.items()}
    wanted = {unit.name for unit in desired}
    still = options.held_units & wanted
    units = [
        PlacementUnit(unit.name, UnitRequirements.of(unit.name, unit.text))
        for unit in desired
        if unit.name in made.placements and unit.name not in still
    ]
    found = losses(
        units,
        [Machine(machine.machine_id, machine.private_ip, machine.metadata) for machine in staying.values()],
        _placed(units, made, id_of),
        standing={
            machine.machine_id: tuple(standing_on(project, wanted - still, machine, observed, still))
            for machine in staying.values()
        },
        closed=closed_to_new(staying, observed, options),
    )
    services = _Services([unit for unit in desired if unit.name not in still], made)
    by_name = {name_of[id_]: loss for id_, loss in found}
    return tuple(_named(name, by_name[name], name_of, services) for name in sorted(by_name))


def _placed(units: Sequence[PlacementUnit], made: Plan, id_of: Mapping[str, str]) -> Placements:
    machine_of: dict[UnitName, str] = {}
    everywhere: dict[UnitName, frozenset[str]] = {}
    for unit in units:
        ids = [id_of[name] for name in made.placements[unit.name]]
        if unit.requirements.is_global:
            everywhere[unit.name] = frozenset(ids)
        elif ids:
            machine_of[unit.name] = ids[0]
    return Placements(machine_of, everywhere)


def _named(machine: str, loss: Loss, name_of: Mapping[str, str], services: "_Services") -> MachineLoss:
    down = services.only_on(machine)
    saved = {services.of[unit] for unit in loss.moves if unit in services.of}
    return MachineLoss(
        machine=machine,
        moves={unit: name_of[id_] for unit, id_ in sorted(loss.moves.items())},
        stranded={
            unit: tuple(_words(obstacle, name_of) for obstacle in obstacles)
            for unit, obstacles in sorted(loss.stranded.items())
        },
        down=down,
        stays_down=tuple(service for service in down if service not in saved),
    )


def _words(obstacle: Obstacle, name_of: Mapping[str, str]) -> str:
    named = ", ".join(sorted(name_of[id_] for id_ in obstacle.machines))
    more = obstacle.count - len(obstacle.machines)
    return f"{named}{f' and {more} more' if more else ''}: {obstacle.reason}"


class _Services:
    """How many places each service has, and how many of them on which machine; sidekicks don't count."""

    def __init__(self, desired: Sequence[DesiredUnit], made: Plan) -> None:
        self.of = {unit.name: unit.service for unit in desired if unit.kind is not UnitKind.SIDEKICK}
        self._places: Counter[str] = Counter()
        self._on: dict[str, Counter[str]] = defaultdict(Counter)
        for unit, service in self.of.items():
            # What is held back for a machine that is skipped is taken to stand there.
            machines = made.placements.get(unit, ("",))
            self._places[service] += len(machines)
            for machine in machines:
                self._on[machine][service] += 1

    def only_on(self, machine: str) -> tuple[str, ...]:
        """Return the services that have all their places on this machine."""
        here = self._on.get(machine, Counter())
        return tuple(sorted(service for service, count in here.items() if count == self._places[service]))
