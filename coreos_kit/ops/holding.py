"""What is held still, as it stands in etcd, and what it means for a plan."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from coreos_kit.errors import KitError
from coreos_kit.model.holding import Holding, Mark, holding_of
from coreos_kit.model.keys import cordons_folder, holds_folder
from coreos_kit.model.lock import as_time
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions
from coreos_kit.planning.still import with_sidekicks
from coreos_kit.units.sources import SUFFIX


def read_holding(session: Session) -> Holding:
    """Return all that is held still; raises `Unreachable` where etcd is."""
    project, store = session.project.name, session.store()
    entries = (*store.entries(cordons_folder(project)), *store.entries(holds_folder(project)))
    machines = [machine.name for machine in session.cluster.machines]
    return holding_of(project, entries, machines, frozenset(_prefixes(session)))


def _prefixes(session: Session) -> Iterator[str]:
    """Yield what the project's units are called, up to the @: an instance may be configured no more."""
    for service in session.cluster.services:
        yield from (template.prefix for template in (service.template, service.sidekick) if template)
    yield from (balancer.name for balancer in session.cluster.load_balancers)
    yield from (template.prefix for template in session.project.unit_instances)
    yield from (own.removesuffix(SUFFIX).rpartition(".")[0].partition("@")[0] for own in session.sources)


def try_read_holding(session: Session) -> tuple[Holding, str]:
    """Return what is held still, or nothing and why that is not known; never raises for it."""
    try:
        return read_holding(session), ""
    except KitError as error:
        return Holding(), str(error)


def with_holding(options: PlanOptions, holding: Holding, desired: Sequence[DesiredUnit]) -> PlanOptions:
    """Add to what a plan may not touch what somebody holds still."""
    held = with_sidekicks(options.held_units | holding.held.keys(), desired)
    return replace(options, cordoned=options.cordoned | holding.cordoned.keys(), held_units=held)


def holding_notes(holding: Holding, error: KitError | None) -> Iterator[str]:
    """Say what is held still, or that it is not known."""
    if error is not None:
        yield f"what is cordoned or held is not known: {error}"
    yield from holding.notes()


def mark(session: Session, why: str) -> Mark:
    """Say who holds something still, since now, and why."""
    author = session.author
    return Mark(f"{author.owner} on {author.host}", as_time(session.clock.wall()), why)
