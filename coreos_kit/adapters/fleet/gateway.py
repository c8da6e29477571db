"""The machine through which fleet is asked: any will do, as fleet's lists are the same on all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.adapters.answers import Line, read_answer
from coreos_kit.errors import CommandFailed, KitError, TimedOut, Unreachable
from coreos_kit.ports import Runner

MISSING = "missing"


class NoFleetError(KitError):
    """No machine that answers has fleetctl."""


@dataclass(slots=True)
class Gateway:
    """Runs scripts with fleetctl, as the SSH user."""

    cluster: str
    runners: Mapping[str, Runner]
    _last: str = ""  # the machine that answered last

    def ask(
        self, text: str, args: Sequence[str], stdin: bytes, timeout_s: int
    ) -> tuple[str, tuple[Line, ...]]:
        """Run a script where fleet answers: on the machine that did last, else on one after the other.

        Return that machine and what it said. Raises `Unreachable` when fleet answers on none, `NoFleetError`
        when there is none.
        """
        errors: dict[str, str] = {}
        hints: list[str] = []
        missing = True
        for name in sorted(self.runners, key=lambda name: name != self._last):
            try:
                completed = self.runners[name].run_script(text, args, stdin=stdin, timeout_s=timeout_s)
                lines = read_answer(name, completed)
            except (Unreachable, TimedOut, CommandFailed) as error:
                errors[name] = str(error)
                hints.append(error.hint)
                missing = missing and isinstance(error, Unreachable)
                continue
            if failed := next((line for line in lines if line.key == "failed"), None):
                errors[name] = f"{name}: {_last_line(failed.text(1)) or 'fleetctl does not answer'}"
                missing = False
            elif lines[0].key == "fleetctl" and lines[0].word() == MISSING:
                errors[name] = f"{name}: there is no fleetctl"
            else:
                self._last = name
                return name, lines
        if missing and any(error.endswith("no fleetctl") for error in errors.values()):
            raise NoFleetError(
                f"no machine of {self.cluster} has fleetctl",
                details=list(errors.values()),
                hint='Set driver = "systemd" where there is no fleet.',
            )
        raise Unreachable(
            f"fleet answers on no machine of {self.cluster}",
            details=list(errors.values()),
            hint=(missing and next(filter(None, hints), ""))
            or "Look at its daemon: coreos-kit ssh MACHINE -- systemctl status fleet",
        )


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""
