"""Whether a release is the one that was deployed: what root's own files on the machines say of its manifest.

etcd can be written by every sidekick, and so by whoever has one. A release is gone back to only where most
machines have sealed it: docs/decisions/releases.md.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from coreos_kit.model.secret import FileNames, Secret, SeenFiles
from coreos_kit.units.secret_files import digest_of, is_seal, seal_name


@dataclass(frozen=True, slots=True)
class Seal:
    """What machines say of one release; one without any seal has no say."""

    matching: frozenset[str] = frozenset()
    differing: frozenset[str] = frozenset()  # it has sealed another manifest of that number
    lacking: frozenset[str] = frozenset()  # it has sealed others, and not this one

    @property
    def holds(self) -> bool:
        """Whether more than half of the machines that have a say vouch for it."""
        return len(self.matching) > len(self.differing) + len(self.lacking)


def seal_of(number: int, content: Secret, seen: Mapping[str, SeenFiles]) -> Seal:
    """Compare a release's seal with what each machine has; `content` is what it would have written."""
    name = seal_name(number)
    said = {
        machine: _say(files, name, content)
        for machine, files in seen.items()
        if files.key is not None and any(is_seal(path) for path in files.digests)
    }
    matching, differing, lacking = (
        frozenset(machine for machine, word in said.items() if word == wanted)
        for wanted in ("matching", "differing", "lacking")
    )
    return Seal(matching, differing, lacking)


def _say(files: SeenFiles, name: str, content: Secret) -> str:
    if name not in files.digests:
        return "lacking"
    if files.key is not None and files.digests[name] == digest_of(files.key, content):
        return "matching"
    return "differing"


def seal_changes(
    wanted: Mapping[int, Secret], new: int, seen: Mapping[str, SeenFiles]
) -> Mapping[str, FileNames]:
    """Return which seals each machine lacks of those that hold, and of the new one; and which it may drop.

    A machine that came later, or was away, gets those that most others vouch for.
    """
    held = {number for number, content in wanted.items() if seal_of(number, content, seen).holds}
    write = {seal_name(number): content for number, content in wanted.items() if number in held | {new}}
    keep = {seal_name(number) for number in wanted}
    return {
        machine: FileNames(
            tuple(name for name, content in write.items() if not _has(files, name, content)),
            tuple(sorted(path for path in files.digests if is_seal(path) and path not in keep)),
        )
        for machine, files in seen.items()
    }


def _has(files: SeenFiles, name: str, content: Secret) -> bool:
    return files.key is not None and files.digests.get(name) == digest_of(files.key, content)


def sealed_numbers(seen: Collection[SeenFiles]) -> frozenset[int]:
    """Return the numbers of every release that a machine knows: none of them is given again."""
    return frozenset(
        int(path.rpartition("/")[2]) for files in seen for path in files.digests if is_seal(path)
    )
