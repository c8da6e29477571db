"""Releases in etcd: what deploys have left, with the texts to go back to them. Written under the lock."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.keys import DIGITS, release_key, releases_folder, text_key, texts_folder
from coreos_kit.model.names import UnitName
from coreos_kit.model.release import KEPT, LARGEST_BYTES, Outcome, Release, digest_of
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions

_NUMBER = re.compile(rf"[0-9]{{{DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A release with its manifest as it stands in etcd."""

    release: Release
    manifest: str

    @property
    def number(self) -> int:
        """The release's number."""
        return self.release.number


@dataclass(frozen=True, slots=True)
class Damaged:
    """What stands where a release should, and is none."""

    number: int
    manifest: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything that etcd has of releases, oldest first."""

    recorded: tuple[Recorded, ...] = ()
    damaged: tuple[Damaged, ...] = ()

    @property
    def releases(self) -> tuple[Release, ...]:
        """Releases and attempts."""
        return tuple(recorded.release for recorded in self.recorded)

    @property
    def deployed(self) -> tuple[Recorded, ...]:
        """Only those that came to their end."""
        return tuple(recorded for recorded in self.recorded if recorded.release.is_deployed)

    @property
    def current(self) -> Release | None:
        """The last release; what stands may differ, where a deploy has failed since."""
        return self.deployed[-1].release if self.deployed else None

    @property
    def places(self) -> Mapping[UnitName, tuple[str, ...]]:
        """Where the last deploy put each unit: a release, or an attempt that was not put back since."""
        standing = [release for release in self.releases if release.outcome is not Outcome.ROLLED_BACK]
        return standing[-1].places if standing else {}

    @property
    def last_number(self) -> int:
        """The highest number that was given."""
        return max((found.number for found in self.everything), default=0)

    @property
    def everything(self) -> tuple[Recorded | Damaged, ...]:
        """Whatever has a number."""
        return (*self.recorded, *self.damaged)

    def find(self, number: int) -> Recorded:
        """Return a release or an attempt; raises `KitError` where there is none that can be read."""
        for recorded in self.recorded:
            if recorded.release.number == number:
                return recorded
        for damaged in self.damaged:
            if damaged.number == number:
                raise KitError(f"release {number} can't be read: {damaged.reason}")
        known = ", ".join(str(release.number) for release in self.releases)
        raise KitError(
            f"there is no release {number}",
            hint=f"There are {known}." if known else "There is none: coreos-kit deploy",
        )


def read_history(session: Session) -> History:
    """Read every release; what can't be understood is damaged, and no reason to fail."""
    recorded: list[Recorded] = []
    damaged: list[Damaged] = []
    for entry in session.store().entries(releases_folder(session.project.name)):
        name = entry.key.rpartition("/")[2]
        if not _NUMBER.fullmatch(name):
            continue
        try:
            recorded.append(Recorded(Release.parse(int(name), entry.value), entry.value))
        except ValueError as error:
            damaged.append(Damaged(int(name), entry.value, str(error)[:200]))
    return History(tuple(recorded), tuple(damaged))


def try_history(session: Session) -> History:
    """Read every release; none where etcd can't be asked, since whoever plans goes on without."""
    try:
        return read_history(session)
    except Unreachable:
        return History()


def with_recorded(options: PlanOptions, history: History) -> PlanOptions:
    """Add to what a plan heeds where the last deploy put each unit."""
    return replace(options, recorded=history.places)


def read_texts(session: Session, digests: Collection[str]) -> Mapping[str, str]:
    """Read texts by their digests; raises `Refused` for one that is not there, or is another."""
    there = stored_texts(session)
    for digest in sorted(digests):
        if digest not in there:
            raise Refused(f"etcd has no text {digest[:16]}…, which the release needs")
        if digest_of(there[digest]) != digest:
            raise Refused(f"the text {digest[:16]}… in etcd is not the one that was deployed")
    return {digest: there[digest] for digest in digests}


def write_texts(session: Session, texts: Collection[str]) -> None:
    """Write the texts that etcd has not; one that somebody has changed is put right."""
    there = stored_texts(session)
    for text in texts:
        digest = digest_of(text)
        if there.get(digest) != text:
            session.store().put(text_key(session.project.name, digest), text)


def write_manifest(session: Session, release: Release) -> Recorded:
    """Write a release's manifest, whose texts are there already."""
    manifest = release.manifest()
    session.store().put(release_key(session.project.name, release.number), manifest)
    return Recorded(release, manifest)


def forget(session: Session, history: History, kept: Sequence[Recorded]) -> None:
    """Remove all releases but those that are kept, and the texts that none of them needs."""
    store, project = session.store(), session.project.name
    numbers = {recorded.number for recorded in kept}
    for found in history.everything:
        if found.number not in numbers:
            store.delete_if_value(release_key(project, found.number), found.manifest)
    needed = frozenset().union(*(recorded.release.texts for recorded in kept))
    for digest, text in stored_texts(session).items():
        if digest not in needed:
            store.delete_if_value(text_key(project, digest), text)


def kept_of(recorded: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """Return what is kept: the last ten releases, and the last ten attempts since the first of those."""
    deployed = [one for one in recorded if one.release.is_deployed][-KEPT:]
    first = deployed[0].release.number if deployed else 0
    attempts = [one for one in recorded if not one.release.is_deployed and one.release.number > first][-KEPT:]
    return tuple(sorted((*deployed, *attempts), key=lambda one: one.release.number))


def refuse_too_large(release: Release, texts: Collection[str]) -> None:
    """Refuse what etcd would not take as a whole, before anything is touched."""
    sizes = {f"the manifest of {len(release.units)} units": len(release.manifest().encode())}
    sizes |= {f"the text that begins with {text[:40]!r}": len(text.encode()) for text in texts}
    too_large = [f"{what}: {size} bytes" for what, size in sizes.items() if size > LARGEST_BYTES]
    if too_large:
        raise Refused(
            f"this is too large to be recorded in etcd, which takes {LARGEST_BYTES} bytes at once;"
            " nothing was touched",
            details=too_large,
            hint="Split the project: several workspaces may share a cluster.",
        )


def stored_texts(session: Session) -> dict[str, str]:
    """Return every text by the digest that it is called after; whether it is the right one is not said."""
    entries = session.store().entries(texts_folder(session.project.name))
    return {entry.key.rpartition("/")[2]: entry.value for entry in entries}
