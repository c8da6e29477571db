"""A plan put into a record, and what differs between two of them. Pure."""

import hashlib
from collections.abc import Callable, Iterator, Mapping

from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit
from coreos_kit.model.plan import Plan, Step
from coreos_kit.model.plan_record import (
    Digest,
    PlanRecord,
    RecordedChange,
    RecordedFiles,
    RecordedMachine,
    RecordedOptions,
    RecordedStep,
    RecordedUnit,
)
from coreos_kit.planning.options import PlanOptions
from coreos_kit.units.secret_files import bare_name

_OPTIONS = ("skip", "evacuate", "allow_remove")


def digest(text: str) -> Digest:
    """Return the digest of what stands on a machine, whatever its bytes, or of a record."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def recorded_options(options: PlanOptions) -> RecordedOptions:
    """Return what the command line of a plan said."""
    return RecordedOptions(*(tuple(sorted(getattr(options, name))) for name in _OPTIONS))


def options_of(recorded: RecordedOptions) -> PlanOptions:
    """Return the options that were recorded."""
    return PlanOptions(
        skip=frozenset(recorded.skip),
        evacuate=frozenset(recorded.evacuate),
        allow_remove=frozenset(recorded.allow_remove),
    )


def recorded_waves(
    made: Plan, desired_digest: Callable[[str], Digest]
) -> tuple[tuple[RecordedStep, ...], ...]:
    """Return the steps of a plan; new texts have the digest that is given."""
    return tuple(tuple(_step(step, desired_digest) for step in wave) for wave in made.waves)


def _step(step: Step, desired_digest: Callable[[str], Digest]) -> RecordedStep:
    return RecordedStep(
        step.machine,
        tuple(
            RecordedChange(
                unit=str(change.name),
                verb=change.verb.value,
                reason=change.reason,
                before=_try(change.before),
                after=None if change.after is None else desired_digest(change.after),
            )
            for change in step.changes
        ),
        tuple(map(str, step.restarts)),
    )


def recorded_machines(observed: Observation) -> Mapping[str, RecordedMachine]:
    """Return what was seen of each machine."""
    return {name: _machine(machine) for name, machine in sorted(observed.machines.items())}


def _machine(machine: ObservedMachine) -> RecordedMachine:
    return RecordedMachine(
        machine.machine_id,
        machine.private_ip,
        machine.public_ip,
        dict(sorted(machine.metadata.items())),
        _try(machine.environment),
        {str(unit.name): RecordedUnit(_state(unit), _try(unit.text)) for unit in machine.units},
    )


def _state(unit: ObservedUnit) -> str:
    """Say as much of a unit's state as a plan asks for: `activating` today may be `failed` in a moment."""
    state = "active" if unit.is_active else "not active"
    if unit.needs_reload or unit.load_state == "not-found":
        state += ", its file not read yet"
    return state


def _try(text: str | None) -> Digest | None:
    return None if text is None else digest(text)


def differences(was: PlanRecord, now: PlanRecord) -> Iterator[str]:
    """Say what has changed between two plans for one cluster: what was asked, what was seen, what was made.

    Reasons and notes are for people, and no difference.
    """
    yield from _changed("the configuration", was.desired, now.desired, "says another text")
    for reference in sorted(was.images.keys() | now.images.keys()):
        before, after = was.images.get(reference, "unknown"), now.images.get(reference, "unknown")
        if before != after:
            yield f"the image {reference} was {before}, and is {after}"
    if was.scheduler != now.scheduler:
        yield f"the cluster was run by {was.scheduler or 'no fleet'}, and is by {now.scheduler or 'no fleet'}"
    for what, then, later in (
        ("machines out of reach", was.unreachable, now.unreachable),
        ("cordoned machines", was.cordoned, now.cordoned),
        ("units held still", was.held, now.held),
    ):
        if then != later:
            yield f"{what}: {', '.join(then) or 'none'} then, {', '.join(later) or 'none'} now"
    for name in sorted(was.machines.keys() | now.machines.keys()):
        yield from _machine_differences(name, was.machines.get(name), now.machines.get(name))
    for name in sorted(was.files.keys() | now.files.keys()):
        if was.files.get(name) != now.files.get(name):
            yield f"{name}: other secret files would be written or removed"


def made_otherwise(was: PlanRecord, now: PlanRecord) -> bool:
    """Whether other things would be done, or in another order, whatever the cause."""
    return _without_reasons(was) != _without_reasons(now)


def _without_reasons(record: PlanRecord) -> object:
    steps = [
        [
            (step.machine, step.restarts, [(c.unit, c.verb, c.before, c.after) for c in step.changes])
            for step in wave
        ]
        for wave in record.waves
    ]
    return steps, record.placements, record.environments, record.files, record.images


def _machine_differences(
    name: str, was: RecordedMachine | None, now: RecordedMachine | None
) -> Iterator[str]:
    if was is None or now is None:
        yield f"{name} {'was not seen then, and is now' if now else 'was seen then, and is not now'}"
        return
    for what, before, after in (
        ("machine id", was.machine_id, now.machine_id),
        ("private address", was.private_ip, now.private_ip),
        ("public address", was.public_ip, now.public_ip),
        ("metadata", was.metadata, now.metadata),
        ("environment file", was.environment, now.environment),
    ):
        if before != after:
            yield f"{name}: another {what}"
    yield from _changed(
        name,
        {unit: seen.text or "" for unit, seen in was.units.items()},
        {unit: seen.text or "" for unit, seen in now.units.items()},
        "has another text",
    )
    for unit in sorted(was.units.keys() & now.units.keys()):
        if was.units[unit].state != now.units[unit].state:
            yield f"{name}: {unit} was {was.units[unit].state}, and is {now.units[unit].state}"


def _changed(where: str, was: Mapping[str, Digest], now: Mapping[str, Digest], other: str) -> Iterator[str]:
    for unit in sorted(was.keys() | now.keys()):
        if unit not in now:
            yield f"{where}: {unit} is gone"
        elif unit not in was:
            yield f"{where}: {unit} is new"
        elif was[unit] != now[unit]:
            yield f"{where}: {unit} {other}"


def recorded_files(made: Plan, digests: Mapping[str, str]) -> Mapping[str, RecordedFiles]:
    """Return the secret files that change.

    Where no machine has a key yet, a new one is made each time, and with it names and digests: then files
    are recorded under the names that they have in the workspace, without digests.
    """
    named = (lambda name: name) if digests else bare_name
    return {
        machine: RecordedFiles(
            {named(name): digests.get(name, "") for name in names.write}, tuple(map(named, names.remove))
        )
        for machine, names in sorted(made.files.items())
    }
