"""Which machines vouch for a release: each is asked for the seals that root keeps there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coreos_kit.errors import KitError
from coreos_kit.model.secret import SeenFiles
from coreos_kit.ops.recording import seal_content
from coreos_kit.ops.releases import Recorded
from coreos_kit.ops.session import Session
from coreos_kit.planning.seals import Seal, seal_of


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the machines say of a release, and which of them say nothing at all, and why."""

    seal: Seal
    silent: Mapping[str, KitError]

    def lines(self) -> Iterator[str]:
        """Say it, those of one opinion together."""
        said = (
            ("they have sealed another manifest of that number", self.seal.differing),
            ("they have sealed no such release", self.seal.lacking),
            ("they vouch for it", self.seal.matching),
        )
        if not any(machines for _, machines in said):
            yield "no machine has sealed any release"
        yield from (f"{', '.join(sorted(machines))}: {what}" for what, machines in said if machines)
        yield from (f"{machine}: {error}" for machine, error in self.silent.items())


def ask_who_vouches(session: Session, recorded: Recorded) -> Vouched:
    """Ask every machine, all at once, in one round trip; one that does not answer is no reason to fail."""
    answers = session.files.look()
    seen = {machine: files for machine, files in answers.items() if isinstance(files, SeenFiles)}
    return Vouched(
        seal_of(recorded.number, seal_content(recorded), seen),
        {machine: answer for machine, answer in answers.items() if isinstance(answer, KitError)},
    )
