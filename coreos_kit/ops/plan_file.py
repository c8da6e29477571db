"""A plan in a file: `plan --out` writes it, `deploy --plan` applies exactly that plan, or refuses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from coreos_kit import __version__
from coreos_kit.errors import Refused, UsageError
from coreos_kit.model.plan_record import Digest, PlanRecord
from coreos_kit.ops.files import write_atomically
from coreos_kit.ops.plan import Prepared, prepare
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions
from coreos_kit.planning.recording import (
    differences,
    digest,
    made_otherwise,
    options_of,
    recorded_files,
    recorded_machines,
    recorded_options,
    recorded_waves,
)
from coreos_kit.units.secret_files import unpinned
from coreos_kit.units.stamp import unstamped

SCHEMA = "coreos-kit/plan-file/v1"
_MOST_SHOWN = 20


def record_of(session: Session, prepared: Prepared, options: PlanOptions) -> PlanRecord:
    """Return what a plan does and what it was made from, without a single text or secret."""
    import msgspec

    made, observed = prepared.plan, prepared.observed
    of_desired = _desired_digest(session.project.name, has_key=bool(prepared.file_digests))
    fleet = observed.scheduler
    record = PlanRecord(
        schema=SCHEMA,
        kit=__version__,
        project=session.project.name,
        cluster=session.cluster.name,
        options=recorded_options(options),
        waves=recorded_waves(made, of_desired),
        placements={str(unit): machines for unit, machines in sorted(made.placements.items())},
        environments={name: digest(text) for name, text in sorted(made.environments.items())},
        files=recorded_files(made, prepared.file_digests),
        images=dict(sorted(made.digests.items())),
        notes=tuple(made.notes),
        desired={str(unit.name): of_desired(unit.text) for unit in prepared.desired},
        machines=recorded_machines(observed),
        unreachable=tuple(sorted(observed.unreachable)),
        cordoned=tuple(sorted(prepared.holding.cordoned)),
        held=tuple(sorted(map(str, prepared.holding.held))),
        scheduler=f"fleet {fleet.version}".rstrip() if fleet else "",
        seal="",
    )
    return replace(record, seal=seal_of(msgspec.to_builtins(record)))


def _desired_digest(project: str, *, has_key: bool) -> Callable[[str], Digest]:
    """Digest texts as they will be; where a key is made anew each time, as they are before it is used."""

    @lru_cache(maxsize=256)  # instances of a template share their text
    def of(text: str) -> Digest:
        plain = text if has_key else unpinned(text, project)
        return digest(text if plain == text else unstamped(plain))

    return of


def write_plan(path: Path, record: PlanRecord) -> None:
    """Write a record, for people to read and for `read_plan`."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(record), indent=2)
    path = path.absolute()
    write_atomically(path, text + b"\n", root=path.parent)


def read_plan(path: Path) -> PlanRecord:
    """Read a record. Raises `Refused` for what `write_plan` did not write, or what was changed since."""
    import msgspec

    try:
        data = path.read_bytes()
    except OSError as error:
        hint = f"Write one with: coreos-kit plan --out {path}"
        raise UsageError(f"the plan {path} can't be read: {error.strerror or error}", hint=hint) from error
    try:
        raw = msgspec.json.decode(data, type=dict[str, Any])
        if raw.get("schema") != SCHEMA:
            raise _refused(path, f"is no plan of coreos-kit plan --out: its schema is not {SCHEMA}")
        if raw.get("kit") != __version__:
            raise _refused(path, f"was made by coreos-kit {raw.get('kit')}, and this is {__version__}")
        if raw.get("seal") != seal_of(raw):
            raise _refused(path, "has been edited since coreos-kit plan --out wrote it")
        return msgspec.json.decode(data, type=PlanRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(path, f"is no plan of coreos-kit plan --out: {error}") from error


def prepare_as_recorded(session: Session, path: Path, record: PlanRecord) -> Prepared:
    """Make the plan again and return it, if it is the recorded one; `Refused` with what differs, if not."""
    _refuse_other(path, "project", record.project, session.project.name, "--project DIR")
    _refuse_other(path, "cluster", record.cluster, session.cluster.name, f"--cluster {record.cluster}")
    options = options_of(record.options)
    prepared = prepare(session, options)
    now = record_of(session, prepared, options)
    changed = [*differences(record, now)]
    if not changed and made_otherwise(record, now):
        changed = ["other things would be done, or in another order"]
    if changed:
        raise _refused(path, "no longer fits", details=_listed(changed))
    return prepared


def _refuse_other(path: Path, what: str, was: str, now: str, option: str) -> None:
    if was != now:
        raise _refused(path, f"is of the {what} {was}, and this is {now}", hint=f"Say which: {option}")


def _refused(path: Path, why: str, *, details: Sequence[str] = (), hint: str = "") -> Refused:
    return Refused(
        f"the plan {path} {why}; nothing was touched",
        details=details,
        hint=hint or f"Look at what would be done now, and keep it: coreos-kit plan --out {path}",
    )


def _listed(changed: Sequence[str]) -> list[str]:
    more = len(changed) - _MOST_SHOWN
    return [*changed[:_MOST_SHOWN], *([f"and {more} more differences"] if more > 0 else [])]


def seal_of(record: Mapping[str, Any]) -> Digest:
    """Return the digest of everything but itself: it tells an edit by hand, and keeps nobody from one."""
    import msgspec

    sealed = {key: value for key, value in record.items() if key != "seal"}
    return digest(msgspec.json.encode(sealed, order="sorted").decode())
