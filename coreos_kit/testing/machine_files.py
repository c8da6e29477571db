"""The secret files of machines in memory, with the digests that a machine would say of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.secret import Secret, SecretSource, SeenFiles
from coreos_kit.ports import FileChange
from coreos_kit.units.secret_files import KEY_FILE, digest_of


@dataclass(slots=True)
class FakeMachineFiles:
    """`ports.MachineFiles`: each machine's files by name.

    `broken` machines can't be written to, `silent` ones don't answer.
    """

    machines: Mapping[str, dict[str, Secret]]
    broken: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def look(self) -> Mapping[str, SeenFiles | KitError]:
        """See `ports.MachineFiles.look`."""
        return {
            machine: Unreachable(f"{machine} does not answer") if machine in self.silent else _seen(files)
            for machine, files in self.machines.items()
        }

    def change(self, changes: Mapping[str, FileChange]) -> Mapping[str, KitError]:
        """See `ports.MachineFiles.change`."""
        for machine, change in changes.items():
            if machine in self.broken:
                continue
            self.machines[machine].update(change.write)
            for name in change.remove:
                self.machines[machine].pop(name, None)
            for verb, names in (("write", tuple(change.write)), ("remove", change.remove)):
                if names:
                    self.log.append(f"{machine}: {verb} {' '.join(names)}")
        return {
            machine: KitError(f"{machine}: no space left on device") for machine in self.broken & set(changes)
        }


@dataclass(slots=True)
class FakeSecrets:
    """`ports.SecretReader` of values that a test sets."""

    values: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, source: SecretSource) -> Secret:
        """Return the value of that name."""
        return Secret(self.values[source.name])


def _seen(files: Mapping[str, Secret]) -> SeenFiles:
    if KEY_FILE not in files:
        return SeenFiles(None, dict.fromkeys(files, ""))
    key = Secret(bytes.fromhex(files[KEY_FILE].reveal().decode()))
    return SeenFiles(
        key, {name: digest_of(key, content) for name, content in files.items() if name != KEY_FILE}
    )
