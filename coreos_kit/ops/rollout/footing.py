"""What a plan stands on: each machine's boot, and each unit's text. Looked at again before a step begins."""

from collections.abc import Mapping

from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step
from coreos_kit.planning.recording import digest
from coreos_kit.ports import Glance, Progress


class Footing:
    """Texts are compared byte by byte; where a scheduler keeps them, it does that itself."""

    def __init__(self, observed: Observation, progress: Progress) -> None:
        self._boots = {name: machine.boot_id for name, machine in observed.machines.items()}
        self._texts: Mapping[tuple[str, UnitName], str | None] | None = None
        if observed.scheduler is None:
            self._texts = {
                (name, unit.name): unit.text
                for name, machine in observed.machines.items()
                for unit in machine.units
            }
        self._progress = progress

    def look(self, step: Step, glance: Glance) -> None:
        """Raise `KitError` for a unit that somebody has changed; a reboot that left it as it was is said."""
        if self._texts is not None:
            for unit, found in glance.digests.items():
                text = self._texts.get((step.machine, unit))
                if found != ("" if text is None else digest(text)):
                    raise KitError(
                        f"{step.machine}: {unit} is not as it was when the plan was made",
                        hint="Somebody has changed it since. Run deploy again: it plans from what stands.",
                    )
        self.look_at_boot(step, glance)

    def look_at_boot(self, step: Step, glance: Glance) -> None:
        """Say that a machine has been booted again since it was looked at."""
        if self._boots.get(step.machine, glance.boot_id) != glance.boot_id:
            self._progress(
                f"{step.machine} has been booted again since the plan was made; its units are as planned"
            )
        self._boots[step.machine] = glance.boot_id
