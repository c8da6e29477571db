"""Root's own files below /etc/coreos-kit/<project>/ over SSH, whichever driver runs the units."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from coreos_kit.adapters.answers import read_answer
from coreos_kit.adapters.archive import packed
from coreos_kit.adapters.scripts import script
from coreos_kit.errors import CommandFailed, KitError
from coreos_kit.model.secret import Secret, SeenFiles
from coreos_kit.parallel import on_each
from coreos_kit.ports import Completed, FileChange, Runner

LOOK_TIMEOUT_S = 30
CHANGE_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class SshMachineFiles:
    """`ports.MachineFiles` on machines reached one by one; `folder` is the project's."""

    folder: str
    runners: Mapping[str, Runner]

    def look(self) -> Mapping[str, SeenFiles | KitError]:
        """See `ports.MachineFiles.look`."""
        return on_each(list(self.runners), self._look_at)

    def change(self, changes: Mapping[str, FileChange]) -> Mapping[str, KitError]:
        """See `ports.MachineFiles.change`."""
        results = on_each(list(changes), lambda machine: self._change(machine, changes[machine]))
        return {machine: result for machine, result in results.items() if isinstance(result, KitError)}

    def _look_at(self, machine: str) -> SeenFiles:
        # Not checked by the runner, whose errors show what a command printed: here that is a key.
        completed = self.runners[machine].run_script(
            script("files_look"), [self.folder], root=True, timeout_s=LOOK_TIMEOUT_S, check=False
        )
        try:
            lines = read_answer(machine, _without_output(completed))
            key = next((bytes.fromhex(line.word()) for line in lines if line.key == "key"), None)
            digests = {
                line.text(1): "" if line.word() == "-" else line.word()
                for line in lines
                if line.key == "file"
            }
        except (ValueError, binascii.Error) as error:
            raise CommandFailed(
                f"{machine}: what it says of {self.folder} is garbled", machine=machine
            ) from error
        return SeenFiles(None if key is None else Secret(key), digests)

    def _change(self, machine: str, change: FileChange) -> None:
        args = [self.folder]
        for verb, names in (("write", tuple(change.write)), ("remove", change.remove)):
            args += [f"--{verb}", *names] if names else []
        contents = {name: secret.reveal() for name, secret in change.write.items()}
        completed = self.runners[machine].run_script(
            script("files_change"),
            args,
            stdin=packed(contents, mode=0o600),
            root=True,
            timeout_s=CHANGE_TIMEOUT_S,
        )
        read_answer(machine, completed)


def _without_output(completed: Completed) -> Completed:
    """Return an answer that is safe to complain about, if it is not whole."""
    if completed.text.rstrip("\n").rpartition("\n")[2] == "end":
        return completed
    return Completed(completed.argv, completed.code, b"", completed.stderr or b"it broke off")
