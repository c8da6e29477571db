"""Planning for 1,000 machines and 10,000 units: pure functions on values in memory."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.budgets import PLANNING
from bench.processes import RUNS
from bench.row import Figure, Row, Unit
from coreos_kit.config import load_project
from coreos_kit.model.cluster import Observation
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.model.project import Cluster, MachineEntry, Project
from coreos_kit.model.services import Requirements, Service
from coreos_kit.ops.render import read_sources
from coreos_kit.planning import PlanOptions, change_of, plan
from coreos_kit.planning.losses import losses_of
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.units.render import desired_units

ROOT = Path(__file__).parents[1]
MACHINES = 1_000
SERVICES = 5  # of as many pairs as there are machines, but for EVACUATED
EVACUATED = 100
UNITS = 10_000
LIMIT_S = 2


def measure() -> Iterator[Row]:
    """Time every kind of plan, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        times = process.submit(time_plans).result()
    figures: list[Figure] = []
    for name, (seconds, cpu) in times.items():
        figures += [
            Figure(name, Unit.SECONDS, seconds, LIMIT_S),
            Figure(f"{name}, CPU time", Unit.SECONDS, cpu),
        ]
    yield Row(
        PLANNING.what,
        PLANNING.must,
        tuple(figures),
        how="`planning.plan` alone, and once what each machine's loss would mean after it; "
        f"{SERVICES} services of {MACHINES - EVACUATED} instances with sidekicks, "
        "one instance a machine, and one service without either that fills up to 10,000 units",
    )


_Times = tuple[tuple[float, ...], tuple[float, ...]]  # by the clock, and of the processor


def time_plans() -> Mapping[str, _Times]:
    """Return the seconds of each kind of plan; what is planned is checked before it is timed."""
    site = _Site.of(load_project(ROOT))
    kinds: dict[str, tuple[Callable[[], Plan], int]] = {
        "nothing deployed": (site.fresh, UNITS),
        "nothing to do": (site.unchanged, 0),
        "every unit changed": (site.changed, UNITS),
        "100 machines evacuated": (site.evacuated, -1),
        "half of the units removed": (site.halved, UNITS // 2),
        "nothing to do, and each machine's loss": (site.unchanged_with_losses, 0),
    }
    return {name: _timed(action, changes) for name, (action, changes) in kinds.items()}


def _timed(action: Callable[[], Plan], changes: int) -> _Times:
    planned = len(action().changes)
    if planned != changes and changes >= 0:
        raise RuntimeError(f"a plan has {planned} changes instead of {changes}")
    seconds, cpu = [], []
    for _ in range(RUNS):
        started, worked = time.perf_counter(), time.process_time()
        action()
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    return tuple(seconds), tuple(cpu)


@dataclass(frozen=True)
class _Site:
    """A cluster as it was seen before anything was there, and with all of it deployed."""

    project: Project
    cluster: Cluster
    desired: Sequence[DesiredUnit]
    empty: Observation
    full: Observation

    @classmethod
    def of(cls, project: Project) -> "_Site":
        cluster = _cluster(project.clusters["production"])
        desired = desired_units(project, cluster, read_sources(project.root))
        if len(desired) != UNITS:
            raise RuntimeError(f"there are {len(desired)} units instead of {UNITS}")
        fake = FakeCluster(cluster)
        empty = fake.observe([])
        made = plan(project.name, cluster, desired, empty)
        for machine, text in made.environments.items():
            fake.machines[machine].environment = text
        for step in (step for wave in made.waves for step in wave):
            fake.apply(change_of(step))
        return cls(project, cluster, desired, empty, fake.observe([]))

    def _plan(self, desired: Sequence[DesiredUnit], observed: Observation, options: PlanOptions) -> Plan:
        return plan(self.project.name, self.cluster, desired, observed, options)

    def fresh(self) -> Plan:
        return self._plan(self.desired, self.empty, PlanOptions())

    def unchanged(self) -> Plan:
        return self._plan(self.desired, self.full, PlanOptions())

    def unchanged_with_losses(self) -> Plan:
        made = self.unchanged()
        if len(losses_of(self.project.name, self.desired, self.full, made)) != MACHINES:
            raise RuntimeError("the losses are not those of every machine")
        return made

    def changed(self) -> Plan:
        changed = [
            replace(unit, text=unit.text.replace("[Service]", "[Service]\nNice=5")) for unit in self.desired
        ]
        return self._plan(changed, self.full, PlanOptions())

    def evacuated(self) -> Plan:
        gone = frozenset(list(self.full.machines)[:EVACUATED])
        return self._plan(self.desired, self.full, PlanOptions(evacuate=gone))

    def halved(self) -> Plan:
        allowed = frozenset(service.name for service in self.cluster.services)
        return self._plan(self.desired[: UNITS // 2], self.full, PlanOptions(allow_remove=allowed))


def _cluster(example: Cluster) -> Cluster:
    machines = tuple(
        MachineEntry(f"core-{n}", "core@192.0.2.1", private_ip=f"10.132.{n // 250}.{n % 250}")
        for n in range(MACHINES)
    )
    pattern = example.services[0]
    pairs = MACHINES - EVACUATED
    services = [_service(pattern, number, pairs) for number in range(SERVICES)]
    rest = UNITS - SERVICES * pairs * 2
    services.append(
        replace(_service(pattern, SERVICES, rest), registration=None, requirements=Requirements())
    )
    return replace(example, machines=machines, services=tuple(services), load_balancers=())


def _service(pattern: Service, number: int, instances: int) -> Service:
    name = f"web{number}"
    return replace(
        pattern,
        name=name,
        instances=tuple(f"{number}{instance:04}" for instance in range(instances)),
        requirements=replace(pattern.requirements, conflicts=(f"{name}@*.service",)),
    )
