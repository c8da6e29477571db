"""start, stop and destroy, unit by unit, wherever the units stand. Needs no etcd."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from coreos_kit.errors import KitError, PartialFailure, Unreachable
from coreos_kit.model.cluster import Observation, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.ops.session import Session
from coreos_kit.ops.status import project_units
from coreos_kit.ops.verify import configured_units
from coreos_kit.parallel import on_each
from coreos_kit.planning.downtime import taken_down
from coreos_kit.ports import Change, UnitOutcome
from coreos_kit.spelling import nearest

DEFAULT_TIMEOUT_S = 90


@dataclass(frozen=True, slots=True)
class UnitsResult:
    """What was asked of which units, and what became of each."""

    verb: str
    outcomes: tuple[UnitOutcome, ...]


def find(session: Session, patterns: Sequence[str]) -> tuple[ObservedUnit, ...]:
    """Return the project's units that match, wherever they stand; raises `KitError` for what matches none.

    A name may lack its ``.service``; globs are the shell's. A machine that is silent makes a name that is
    not found elsewhere an error that says so.
    """
    return _found(session, _look(session), patterns)


def find_to_stop(session: Session, patterns: Sequence[str]) -> tuple[ObservedUnit, ...]:
    """Return what `find` does, once it is said which services are down without these units."""
    observed = _look(session)
    units = _found(session, observed, patterns)
    silent = ", ".join(sorted(observed.unreachable))
    unless = f", unless on {silent}, which can't be looked at" if silent else ""
    stopping = {(unit.name, unit.machine) for unit in units}
    for service in taken_down(session.project.name, session.cluster, observed, stopping):
        session.progress(f"{service} will be down from then on: nothing else of it serves{unless}")
    return units


def _look(session: Session) -> Observation:
    return session.driver.observe(configured_units(session.cluster))


def _found(session: Session, observed: Observation, patterns: Sequence[str]) -> tuple[ObservedUnit, ...]:
    units = project_units(session, observed)
    found: dict[tuple[UnitName, str], ObservedUnit] = {}
    for pattern in patterns:
        matching = [unit for unit in units if matches(pattern, unit.name)]
        if not matching:
            configured = [name for name in configured_units(session.cluster) if matches(pattern, name)]
            if configured and observed.unreachable:
                raise _out_of_sight(configured, observed.unreachable)
            raise _unknown(pattern, session.cluster.name, [unit.name for unit in units], observed.unreachable)
        found |= {(unit.name, unit.machine): unit for unit in matching}
    return tuple(found[key] for key in sorted(found))


def matches(pattern: str, name: UnitName) -> bool:
    """Tell whether a name as somebody types it means that unit."""
    return fnmatchcase(str(name), pattern) or fnmatchcase(str(name), f"{pattern}.service")


def start(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Start units, all machines at once; one that does not come up is an error that shows its journal."""
    result = _ask(session, "start", units, lambda machine, names: Change(machine, start=names))
    there = _by_machine(units)
    seen = on_each(
        there,
        lambda machine: session.driver.wait_until_up(
            machine, there[machine], (), timeout_s=DEFAULT_TIMEOUT_S
        ),
    )
    for machine, answer in seen.items():
        if isinstance(answer, KitError):
            raise answer
        outcomes, up = answer
        if not up:
            raise next(_unexpected("start", outcomes), _did_not_stay(machine, there[machine]))
    return result


def stop(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Stop units, all machines at once; a sidekick deregisters and drains as it goes."""
    return _ask(session, "stop", units, lambda machine, names: Change(machine, stop=names))


def stop_and_stay(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Stop units, and let no boot start them; `start` undoes both."""
    return _ask(session, "stop", units, lambda machine, names: Change(machine, stop=names, disable=names))


def destroy(session: Session, units: Sequence[ObservedUnit]) -> UnitsResult:
    """Stop units and remove their files. What the configuration still names, the next deploy makes again."""
    return _ask(session, "destroy", units, lambda machine, names: Change(machine, stop=names, remove=names))


def with_sidekicks(session: Session, units: Sequence[ObservedUnit]) -> tuple[ObservedUnit, ...]:
    """Add the sidekicks of main units: destroying one without the other would leave half a pair."""
    names = {sidekick for unit in units if (sidekick := session.cluster.sidekick_of(unit.name))}
    if not names:
        return tuple(units)
    observed = session.driver.observe([])
    here = {(unit.name, unit.machine) for unit in units}
    pairs = [
        unit
        for unit in project_units(session, observed)
        if unit.name in names and (unit.name, unit.machine) not in here
    ]
    return (*pairs, *units)


def _did_not_stay(machine: str, names: Sequence[UnitName]) -> KitError:
    listed = ", ".join(str(name) for name in names)
    return KitError(
        f"{machine}: {listed} came up and did not stay up", hint=f"See why: coreos-kit logs {names[0]}"
    )


def _by_machine(units: Sequence[ObservedUnit]) -> dict[str, list[UnitName]]:
    by_machine: dict[str, list[UnitName]] = {}
    for unit in units:
        by_machine.setdefault(unit.machine, []).append(unit.name)
    return by_machine


def _ask(
    session: Session,
    verb: str,
    units: Sequence[ObservedUnit],
    change: Callable[[str, tuple[UnitName, ...]], Change],
) -> UnitsResult:
    by_machine = _by_machine(units)
    for unit in units:
        session.progress(f"{unit.machine}: {verb} {unit.name}")
    answers = session.driver.apply_all(
        [change(machine, tuple(names)) for machine, names in by_machine.items()]
    )
    failures = [answer for answer in answers.values() if isinstance(answer, KitError)]
    outcomes = [
        outcome for answer in answers.values() if not isinstance(answer, KitError) for outcome in answer
    ]
    failures += _unexpected(verb, outcomes)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise PartialFailure(f"{verb} failed for {len(failures)} of {len(units)} units", failures)
    return UnitsResult(verb, tuple(outcomes))


def _unexpected(verb: str, outcomes: Sequence[UnitOutcome]) -> Iterator[KitError]:
    wanted = ("active",) if verb == "start" else ("inactive", "failed")
    for outcome in outcomes:
        if outcome.active_state not in wanted:
            state = f"{outcome.active_state} ({outcome.sub_state})"
            yield KitError(
                f"{outcome.machine}: {outcome.name} is {state} after {verb}",
                details=outcome.journal,
                hint=f"See why: coreos-kit logs {outcome.name}",
            )


def _out_of_sight(names: Sequence[UnitName], unreachable: Mapping[str, KitError]) -> Unreachable:
    """Say where a configured unit may be; no guess at another name, which would be a unit that is well."""
    machines = ", ".join(sorted(unreachable))
    return Unreachable(
        f"{', '.join(str(name) for name in names)} can be seen nowhere, and may stand on {machines}",
        machine=min(unreachable),
        details=[str(error) for _, error in sorted(unreachable.items())],
        hint=f"To run it elsewhere: coreos-kit deploy --evacuate {min(unreachable)}",
    )


def _unknown(
    pattern: str, cluster: str, names: Sequence[UnitName], unreachable: Mapping[str, KitError]
) -> KitError:
    by_stem = {name.stem: str(name) for name in sorted(set(names))}
    near = nearest(pattern.removesuffix(".service"), by_stem)
    if unreachable:
        where = f"the machines of {cluster} that can be seen"
        hint = f"It may stand on {', '.join(sorted(unreachable))}."
    else:
        where = cluster
        hint = f"Its units are {', '.join(by_stem.values())}." if names else "It has none: coreos-kit deploy"
    return KitError(
        f"no unit {pattern} on {where}",
        hint=f"Did you mean {by_stem[near]}?" if near else hint,
        details=[str(error) for _, error in sorted(unreachable.items())],
    )
