"""Plan: what deploy would do, from one look at the cluster."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from coreos_kit.errors import InvalidUnit, KitError, Refused, Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.holding import Holding
from coreos_kit.model.loss import MachineLoss
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.model.release import Release
from coreos_kit.model.secret import Secret, SeenFiles
from coreos_kit.ops.adopt import carry_over_notes
from coreos_kit.ops.behind import behind
from coreos_kit.ops.checkout import release_notes
from coreos_kit.ops.etcd_word import EtcdWord, ask_etcd
from coreos_kit.ops.holding import holding_notes, with_holding
from coreos_kit.ops.lock import HeldLock
from coreos_kit.ops.machine_files import Secrets, plan_files, read_secrets, seal
from coreos_kit.ops.releases import History, try_history, with_recorded
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions, plan
from coreos_kit.planning.losses import losses_of
from coreos_kit.planning.refusals import silent_machines
from coreos_kit.planning.scheduler import options_under_scheduler
from coreos_kit.planning.still import left_as_found, still_notes
from coreos_kit.units.lint import Severity, lint_units
from coreos_kit.units.pin import pin_images, pinned_digests
from coreos_kit.units.render import desired_units
from coreos_kit.units.secret_files import pin_env_files, unpinned
from coreos_kit.units.stamp import stamped


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what it was made from."""

    plan: Plan
    desired: tuple[DesiredUnit, ...]
    observed: Observation
    etcd_error: Unreachable | None = None  # why etcd can't be asked; planning does without
    contents: Mapping[str, Secret] = field(default_factory=dict)  # of the secret files, by name
    file_digests: Mapping[str, str] = field(default_factory=dict)  # under the machines' key; none without one
    holding: Holding = field(default_factory=Holding)  # what somebody holds still; the plan heeds it
    seen_files: Mapping[str, SeenFiles | KitError] = field(default_factory=dict)  # by machine
    away: frozenset[str] = frozenset()  # machines that are left as they are
    configuration: str = ""  # the text of coreos-kit.toml that this comes from
    current: Release | None = None  # the last release; None: there is none, or etcd can't be asked
    lock: HeldLock | None = None  # as it was held while this was looked at, by whomever


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen before planning."""

    observed: Observation
    files: Mapping[str, SeenFiles | KitError]
    etcd: EtcdWord
    history: History
    digests: Mapping[str, str]
    failures: Mapping[str, KitError]  # why an image has no digest


def prepare(session: Session, options: PlanOptions) -> Prepared:
    """Render, lint, look, resolve the images and plan; changes nothing but the images a machine has pulled.

    Raises what rendering, linting and planning refuse, and which secrets are missing, before anything else.
    """
    desired = desired_units(session.project, session.cluster, session.sources)
    _refuse_lint_errors(desired)
    secrets = read_secrets(session)
    seen = _look(session, desired, _references(desired), options)
    kept, notes = _keep_deployed_digests(session.project.name, seen.observed, seen.failures, options)
    digests = {**seen.digests, **kept}
    pinned = tuple(replace(unit, text=pin_images(unit.text, digests)) for unit in desired)
    notes = [*behind(session.project), *release_notes(session, seen.history), *notes]
    return _planned(session, pinned, digests, session.project.text, secrets, seen, notes, options)


def prepare_texts(
    session: Session,
    desired: Sequence[DesiredUnit],
    digests: Mapping[str, str],
    configuration: str,
    options: PlanOptions,
) -> Prepared:
    """Plan for texts that were deployed once, with the images that they name; secrets are those of now.

    Refuses what `prepare` does.
    """
    _refuse_lint_errors(desired)
    secrets = read_secrets(session)
    seen = _look(session, desired, (), options)
    bare = tuple(replace(unit, text=unpinned(unit.text, session.project.name)) for unit in desired)
    return _planned(session, bare, digests, configuration, secrets, seen, [], options)


def _look(
    session: Session, desired: Sequence[DesiredUnit], references: Sequence[str], options: PlanOptions
) -> _Seen:
    with ThreadPoolExecutor(max_workers=5) as pool:
        looking_at_files = pool.submit(session.files.look)
        asking = pool.submit(ask_etcd, session)
        reading = pool.submit(try_history, session)
        looking = pool.submit(session.driver.observe, [unit.name for unit in desired])
        resolving = pool.submit(_resolve, session, references, options)
        observed, (digests, failures) = looking.result(), resolving.result()
    files = looking_at_files.result()
    if not observed.machines.keys() <= files.keys():  # fleet told of a machine that nobody had named
        files = session.files.look()
    return _Seen(observed, files, asking.result(), reading.result(), digests, failures)


def _planned(
    session: Session,
    units: Sequence[DesiredUnit],
    digests: Mapping[str, str],
    configuration: str,
    secrets: Secrets,
    seen: _Seen,
    notes: Sequence[str],
    options: PlanOptions,
) -> Prepared:
    """Plan for units whose images are pinned; their secrets' files are not yet."""
    observed, holding = seen.observed, seen.etcd.holding
    options = with_recorded(with_holding(options, holding, units), seen.history)
    sealed = seal(secrets, seen.files)
    pinned = tuple(
        replace(unit, text=stamped(pin_env_files(unit.text, session.project.name, sealed.names)))
        for unit in units
    )
    notes = [
        *notes,
        *holding_notes(holding, seen.etcd.error),
        *still_notes(pinned, options.held_units, observed),
    ]
    pinned = left_as_found(session.project.name, pinned, observed, options.held_units)
    made = plan(session.project.name, session.cluster, pinned, observed, options, digests=digests)
    notes = [*notes, *made.notes]
    if observed.scheduler is None:
        notes += carry_over_notes(session.project.root, pinned, session.cluster)
    return Prepared(
        plan=replace(
            made,
            files=plan_files(session, made, pinned, sealed, seen.files, observed, options.skip),
            notes=tuple(notes),
        ),
        desired=pinned,
        observed=observed,
        etcd_error=seen.etcd.error,
        contents=sealed.contents,
        file_digests={} if sealed.is_new else sealed.digests,
        holding=holding,
        seen_files=seen.files,
        away=options.skip | observed.unreachable.keys(),
        configuration=configuration,
        current=seen.history.current,
        lock=seen.etcd.lock,
    )


def losses(session: Session, prepared: Prepared, options: PlanOptions) -> tuple[MachineLoss, ...]:
    """Say what each machine's loss would mean once the plan stands; asks nobody."""
    options = with_holding(options, prepared.holding, prepared.desired)
    return losses_of(session.project.name, prepared.desired, prepared.observed, prepared.plan, options)


def _references(desired: Sequence[DesiredUnit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reference for unit in desired for reference in unit.images))


def _refuse_lint_errors(desired: Sequence[DesiredUnit]) -> None:
    texts = {str(unit.name.template if unit.name.is_instance else unit.name): unit.text for unit in desired}
    errors = [finding for finding in lint_units(texts) if finding.severity is Severity.ERROR]
    if errors:
        raise InvalidUnit(
            f"{len(errors)} of the rendered units' lines are refused, so nothing was touched",
            details=[f"{finding.path}:{finding.line}: {finding.message}" for finding in errors],
            hint="See them all with coreos-kit render, then coreos-kit lint.",
        )


def _resolve(
    session: Session, references: Sequence[str], options: PlanOptions
) -> tuple[dict[str, str], dict[str, KitError]]:
    """Ask one machine after the other for each image's digest, until one can say; the images in parallel."""
    machines = [name for name in session.engines if name not in options.skip | options.evacuate]

    def ask(reference: str) -> str | KitError:
        error = KitError(f"no machine is left to ask for {reference}")
        for machine in machines:
            try:
                return session.engines[machine].pull(reference)
            except KitError as failure:
                error = failure
                if (
                    failure.exit_code != 4
                ):  # the machine was there: the registry's answer would be the same elsewhere
                    break
        return error

    if not references:
        return {}, {}
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = dict(zip(references, pool.map(ask, references), strict=True))
    return (
        {reference: answer for reference, answer in answers.items() if isinstance(answer, str)},
        {reference: answer for reference, answer in answers.items() if isinstance(answer, KitError)},
    )


_PUSH_FIRST = (
    "Build and push it first: coreos-kit image build && coreos-kit image push, both with --on MACHINE where "
    "this workstation has no docker."
)


def _keep_deployed_digests(
    project: str, observed: Observation, failures: Mapping[str, KitError], options: PlanOptions
) -> tuple[dict[str, str], list[str]]:
    """Stay with the digest that runs, where a tag can't be resolved; refuse where none does."""
    texts = [
        unit.text
        for machine in observed.machines.values()
        for unit in machine.units
        if unit.project == project and unit.text
    ]
    kept: dict[str, str] = {}
    notes: list[str] = []
    for reference, error in failures.items():
        deployed = {digest for text in texts if (digest := pinned_digests(text, [reference]).get(reference))}
        if len(deployed) != 1:
            if silent_machines(observed, options_under_scheduler(observed, options)):
                continue  # planning refuses, and what it says of the machines is the better answer
            raise Refused(
                f"{reference} can't be resolved to a digest, and not just one is deployed",
                details=[str(error), *error.details],
                hint=error.hint or _PUSH_FIRST,
            )
        kept[reference] = deployed.pop()
        notes.append(f"{reference} can't be resolved, so it stays at {kept[reference]}: {error}")
    return kept, notes
