"""Recording a deploy: its texts before it begins, seals and the manifest when it has come to its end."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import coreos_kit
from coreos_kit.errors import DeployFailed, KitError, Refused
from coreos_kit.model.keys import DIGITS, release_key
from coreos_kit.model.lock import as_time
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.model.release import Outcome, Release, ReleasedText, ReleasedUnit, Revision, digest_of
from coreos_kit.model.secret import FileNames, Secret, SeenFiles
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.releases import (
    History,
    Recorded,
    forget,
    kept_of,
    read_history,
    refuse_too_large,
    write_manifest,
    write_texts,
)
from coreos_kit.ops.session import Session
from coreos_kit.planning.seals import seal_changes, sealed_numbers
from coreos_kit.ports import FileChange
from coreos_kit.units.secret_files import KEY_FILE, folder, seal_name

_LONGEST_ERROR = 300
_LAST_NUMBER = 10**DIGITS - 1
_OUTCOMES = {5: Outcome.ROLLED_BACK, 130: Outcome.INTERRUPTED}  # by exit code


@dataclass(frozen=True, slots=True)
class About:
    """What a recording says of a deploy that its plan does not."""

    command: str
    back_to: int | None = None  # the release that it goes back to
    revision: Revision | None = None  # of that release; None: what is checked out


@dataclass(frozen=True, slots=True)
class Recording:
    """A release that is being made."""

    session: Session
    prepared: Prepared
    history: History
    draft: Release

    def finish(self, plan: Plan) -> Release:
        """Record the release, placed as `plan` says; raises `DeployFailed` where that can't be done."""
        release = replace(self.draft, units=_units(self.prepared.desired, plan))
        try:
            self._write(release)
        except KitError as error:
            raise DeployFailed(
                f"it is deployed and verified, but could not be recorded: {error}",
                details=error.details,
                hint="Run deploy again: it records what stands.",
            ) from error
        return release

    def fail(self, error: BaseException) -> None:
        """Record that it did not come to its end; where that can't be done either, say so."""
        code = error.exit_code if isinstance(error, KitError) else 130
        outcome = _OUTCOMES.get(code, Outcome.FAILED)
        said = str(error)[:_LONGEST_ERROR]
        try:
            self._write(replace(self.draft, outcome=outcome, error=said))
        except KitError as problem:
            self.session.progress(f"the history does not know of this: {problem}")

    def _write(self, release: Release) -> None:
        """Seal, then write the manifest, last, then forget what is too old."""
        recorded = Recorded(release, release.manifest())
        kept = kept_of((*self.history.recorded, recorded))
        if release.is_deployed:
            self._seal(recorded, kept)
        write_manifest(self.session, release)
        try:
            forget(self.session, self.history, kept)
        except KitError as error:
            self.session.progress(
                f"what no release needs any more is still in etcd, until the next deploy: {error}"
            )

    def _seal(self, new: Recorded, kept: Collection[Recorded]) -> None:
        """Keep the manifest's digest as root's alone on every machine that is worked on."""
        seen = {
            machine: files
            for machine, files in self.prepared.seen_files.items()
            if isinstance(files, SeenFiles) and machine not in self.prepared.away
        }
        contents = {
            recorded.release.number: seal_content(recorded)
            for recorded in kept
            if recorded.release.is_deployed
        }
        key = self.prepared.contents[KEY_FILE]
        by_name = {seal_name(number): content for number, content in contents.items()}
        changes = {
            machine: _file_change(names, by_name, key if seen[machine].key is None else None)
            for machine, names in seal_changes(contents, new.release.number, seen).items()
            if names.write or names.remove
        }
        for machine, error in self.session.files.change(changes).items():
            self.session.progress(f"{machine} has not sealed release {new.release.number}: {error}")


def seal_content(recorded: Recorded) -> Secret:
    """Return what a machine keeps of a release."""
    return Secret(digest_of(recorded.manifest).encode())


def begin(session: Session, prepared: Prepared, about: About) -> Recording | None:
    """Get ready to record a deploy, under the lock: its texts are in etcd before anything is touched.

    None where there is nothing to record: what only moves units comes from no configuration; or nothing is to
    be done, and what stands is the last release. Raises `Refused` for what etcd would not take.
    """
    if not prepared.configuration:
        return None
    history = read_history(session)
    draft = _draft(session, prepared, history, about)
    if _is_recorded(prepared, draft, history.current):
        return None
    _refuse_what_etcd_does_not_take(prepared, draft)
    write_texts(session, _texts_of(prepared))
    return Recording(session, prepared, history, draft)


def refuse_unrecordable(session: Session, prepared: Prepared) -> None:
    """Refuse for a plan what `begin` would refuse once it is to be carried out; asks nobody."""
    draft = _draft(session, prepared, History(), About("coreos-kit deploy", revision=Revision()))
    if not _is_recorded(prepared, draft, prepared.current):
        _refuse_what_etcd_does_not_take(prepared, draft)


def _is_recorded(prepared: Prepared, draft: Release, current: Release | None) -> bool:
    """Whether nothing is to be done, and what stands is the last release."""
    return prepared.plan.is_empty and current is not None and current.content == draft.content


def _refuse_what_etcd_does_not_take(prepared: Prepared, draft: Release) -> None:
    _refuse_not_utf_8(prepared)
    refuse_too_large(draft, _texts_of(prepared))


def _refuse_not_utf_8(prepared: Prepared) -> None:
    """Refuse what etcd can't keep: what is held has the text that somebody left on its machine."""
    names = sorted(unit.name for unit in prepared.desired if not _is_utf_8(unit.text))
    if names:
        raise Refused(
            "a unit's text is not UTF-8, so it can't be recorded; nothing was touched",
            details=[str(name) for name in names],
            hint=f"What is held keeps its text. Mend the file, or end that: coreos-kit start {names[0]}",
        )


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _draft(session: Session, prepared: Prepared, history: History, about: About) -> Release:
    seen = {name: files for name, files in prepared.seen_files.items() if isinstance(files, SeenFiles)}
    last = max(history.last_number, *sealed_numbers(seen.values()), 0)
    if last >= _LAST_NUMBER:  # no deploy has come so far: somebody wrote it
        project, sealed_on = (
            session.project.name,
            [name for name in seen if last in sealed_numbers([seen[name]])],
        )
        where = f"on {', '.join(sealed_on)}: {folder(project)}/{seal_name(last)}"
        raise Refused(
            f"there is no number after release {last}; nothing was touched",
            hint=f"Delete it {where if sealed_on else f'from etcd: {release_key(project, last)}'}",
        )
    return Release(
        number=last + 1,
        outcome=Outcome.DEPLOYED,
        at=as_time(session.clock.wall()),
        owner=session.author.owner,
        host=session.author.host,
        kit=coreos_kit.__version__,
        command=about.command,
        revision=about.revision if about.revision is not None else _checked_out(session),
        configuration=digest_of(prepared.configuration),
        units=_units(prepared.desired, prepared.plan),
        digests=prepared.plan.digests,
        back_to=about.back_to,
    )


def _checked_out(session: Session) -> Revision:
    return session.checkout.revision() if session.checkout else Revision()


def _units(desired: Collection[DesiredUnit], plan: Plan) -> tuple[ReleasedUnit, ...]:
    known: dict[str, str] = {}  # instances of a template share their text
    placements = plan.placements

    def released(unit: DesiredUnit) -> ReleasedUnit:
        digest = known.setdefault(unit.text, "") or digest_of(unit.text)
        known[unit.text] = digest
        text = ReleasedText(digest, unit.service, unit.kind, unit.images)
        return ReleasedUnit(unit.name, text, placements.get(unit.name, ()))

    return tuple(released(unit) for unit in desired)


def _texts_of(prepared: Prepared) -> tuple[str, ...]:
    return tuple(dict.fromkeys([prepared.configuration, *(unit.text for unit in prepared.desired)]))


def _file_change(names: FileNames, contents: dict[str, Secret], key: Secret | None) -> FileChange:
    """Return what a machine is asked; one without a key gets it along, since seals are told by it."""
    write = {name: contents[name] for name in names.write}
    return FileChange({**write, **({KEY_FILE: key} if key is not None and write else {})}, names.remove)
