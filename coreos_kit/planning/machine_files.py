"""Which files below /etc/coreos-kit/<project>/ each machine lacks, and which it should not have any more."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.model.secret import FileNames, Secret, SeenFiles
from coreos_kit.units.secret_files import KEY_FILE, is_seal, is_the_kits, names_file


def agreed_key(seen: Iterable[SeenFiles]) -> Secret | None:
    """Return the key that most machines have; None where none has any."""
    counted = Counter(files.key.reveal() for files in seen if files.key is not None)
    if not counted:
        return None
    return Secret(max(sorted(counted), key=lambda key: counted[key]))


def wanted_files(
    project: str,
    desired: Iterable[DesiredUnit],
    placements: Mapping[UnitName, Collection[str]],
    paths: Collection[str],
    machines: Collection[str],
    *,
    everywhere: bool,
) -> Mapping[str, frozenset[str]]:
    """Return the files that each machine should have: those that the units placed there name.

    With `everywhere` the cluster moves units by itself, and each machine needs what any of them names.
    """
    wanted: dict[str, set[str]] = {machine: set() for machine in machines}
    named: dict[str, frozenset[str]] = {}  # instances of a template share their text
    for unit in desired:
        if unit.text not in named:
            named[unit.text] = frozenset(path for path in paths if names_file(unit.text, project, path))
        for machine in machines if everywhere else placements.get(unit.name, ()):
            if machine in wanted:
                wanted[machine] |= named[unit.text]
    return {machine: frozenset(names | {KEY_FILE} if names else names) for machine, names in wanted.items()}


def file_changes(
    wanted: Mapping[str, frozenset[str]],
    digests: Mapping[str, str],
    key: Secret,
    seen: Mapping[str, SeenFiles],
) -> Mapping[str, FileNames]:
    """Return each machine's changes; one that has all it should, and nothing more, is left out.

    `digests` are those of the contents under `key`. A machine with another key has its files written anew.
    A file that is wanted and has no digest here stays as it is.
    """
    changes: dict[str, FileNames] = {}
    for machine, needed in sorted(wanted.items()):
        files = seen[machine]
        is_sealed = any(is_seal(path) for path in files.digests)  # seals are told by the same key
        names = needed | {KEY_FILE} if is_sealed else needed
        present = dict(files.digests) if files.key == key else {}
        write = [
            name
            for name in sorted(names)
            if (files.key != key if name == KEY_FILE else _is_behind(name, present, digests))
        ]
        there = {*files.digests, *([KEY_FILE] if files.key is not None else [])}
        remove = [name for name in sorted(there - names) if is_the_kits(name)]
        if write or remove:
            changes[machine] = FileNames(tuple(write), tuple(remove))
    return changes


def _is_behind(name: str, present: Mapping[str, str], digests: Mapping[str, str]) -> bool:
    return name in digests and present.get(name) != digests[name]
