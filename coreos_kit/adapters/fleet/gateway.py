"""The machine through which fleet is asked: any will do, as fleet's lists are the same on all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.adapters.answers import Line, read_answer
from coreos_kit.errors import CommandFailed, KitError, TimedOut, Unreachable
from coreos_kit.ports import Runner

MISSING = "missing"
# fleetd answers 1.5 to 5 s after etcd has lost its leader; where that lasted, it tries after 1, 2, 4 and 8 s
# to begin again (Run in fleet's server/server.go, 1.0.0).
ELECTION_S = 20
PAUSE_S = 1

Answer = tuple[str, tuple[Line, ...]]


class NoFleetError(KitError):
    """No machine that answers has fleetctl."""


@dataclass(slots=True)
class Gateway:
    """Runs scripts with fleetctl, as the SSH user."""

    cluster: str
    runners: Mapping[str, Runner]
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _last: str = ""  # the machine that answered last

    def ask(self, text: str, args: Sequence[str], stdin: bytes, timeout_s: int) -> Answer:
        """Run a script where fleet answers: on the machine that did last, else on one after the other.

        Where fleetd itself answers, but has no etcd to ask, that is tried again for `ELECTION_S`: whoever
        looks right after a machine died must not be told that there is no fleet. Return that machine and what
        it said. Raises `Unreachable` when fleet answers on none, `NoFleetError` when there is none.
        """
        deadline = self.now() + ELECTION_S
        while isinstance(answer := self._ask_each(text, args, stdin, timeout_s), _Silence):
            if not answer.is_without_etcd or self.now() >= deadline:
                raise answer.error(self.cluster)
            self.sleep(PAUSE_S)
        return answer

    def _ask_each(self, text: str, args: Sequence[str], stdin: bytes, timeout_s: int) -> "Answer | _Silence":
        silence = _Silence()
        for name in sorted(self.runners, key=lambda name: name != self._last):
            try:
                completed = self.runners[name].run_script(text, args, stdin=stdin, timeout_s=timeout_s)
                lines = read_answer(name, completed)
            except (Unreachable, TimedOut, CommandFailed) as error:
                silence.unheard(name, error)
                continue
            if failed := next((line for line in lines if line.key == "failed"), None):
                silence.complained(name, failed.text(1))
            elif lines[0].key == "fleetctl" and lines[0].word() == MISSING:
                silence.without_fleet(name)
            else:
                self._last = name
                return name, lines
        return silence


@dataclass(slots=True)
class _Silence:
    """Why fleet answered on no machine."""

    errors: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    is_unreachable: bool = True  # wherever there may be a fleetctl
    has_none: bool = False
    is_without_etcd: bool = False

    def unheard(self, name: str, error: KitError) -> None:
        self.errors[name] = str(error)
        self.hints.append(error.hint)
        self.is_unreachable = self.is_unreachable and isinstance(error, Unreachable)

    def complained(self, name: str, said: str) -> None:
        self.errors[name] = f"{name}: {_complaint(said) or 'fleetctl does not answer'}"
        self.is_unreachable = False
        # What fleetd itself answered, with 500 or 503.
        self.is_without_etcd = self.is_without_etcd or "googleapi:" in said

    def without_fleet(self, name: str) -> None:
        self.errors[name] = f"{name}: there is no fleetctl"
        self.has_none = True

    def error(self, cluster: str) -> KitError:
        details = list(self.errors.values())
        if self.is_unreachable and self.has_none:
            return NoFleetError(
                f"no machine of {cluster} has fleetctl",
                details=details,
                hint='Set driver = "systemd" where there is no fleet.',
            )
        if self.is_unreachable:
            hint = next(filter(None, self.hints), "")
        elif self.is_without_etcd:
            hint = "fleet runs, and can't ask its etcd: coreos-kit ssh MACHINE -- etcdctl cluster-health"
        else:
            hint = ""
        return Unreachable(
            f"fleet answers on no machine of {cluster}",
            details=details,
            hint=hint or "Look at its daemon: coreos-kit ssh MACHINE -- systemctl status fleet",
        )


def _complaint(said: str) -> str:
    """Return the line that says what failed: fleetctl guesses at reasons below it."""
    lines = said.strip().splitlines()
    return next((line for line in lines if line.startswith("Error")), lines[-1] if lines else "")
