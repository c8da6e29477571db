"""Everything that goes wrong on purpose, with the exit code that it ends in.

    KitError                                   1
    ├─ CommandFailed, PartialFailure           1
    ├─ InvalidConfig, InvalidUnit, Unplaceable 3  refused; nothing was touched
    ├─ Unreachable                             4  SSH or etcd could not be reached
    ├─ DeployFailed, LockLost                  6  not rolled back: what stands where
    │  └─ RolledBack                           5  what had been changed stands as before
    ├─ LockHeld                                7  by whom, since when, with which command
    ├─ TimedOut                                8  a wait ended; says what it last saw
    └─ Interrupted, Declined                 130  by Ctrl-C, or with a no

A bug is not a `KitError`: it crashes with its traceback.
"""

from collections.abc import Sequence
from typing import ClassVar


class KitError(Exception):
    """A failure that the user can act on: what went wrong, and what to try next.

    The message is lower case, without a full stop, and names the thing and the value; the hint is a
    sentence, at best a command to paste. `details` are further lines, shown between the two.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = tuple(details)


class UsageError(KitError):
    """The command line asks for something that this command can't be asked."""

    exit_code = 2


class CommandFailed(KitError):
    """A command on a machine (or here) ended with a code that was not expected.

    `machine` is "" for the workstation. `output` holds what the command said last, stderr first.
    """

    def __init__(
        self,
        message: str,
        *,
        machine: str = "",
        argv: Sequence[str] = (),
        code: int | None = None,
        output: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint, details=_last_lines(output))
        self.machine = machine
        self.argv = tuple(argv)
        self.code = code
        self.output = output


class PartialFailure(KitError):
    """Some of several things went wrong; `failures` says which, the others were done."""

    def __init__(self, message: str, failures: Sequence[KitError], *, hint: str = "") -> None:
        super().__init__(message, hint=hint, details=[str(failure) for failure in failures])
        self.failures = tuple(failures)


class InvalidConfig(KitError):
    """The configuration is refused: every error at once, one a line."""

    exit_code = 3


class InvalidUnit(KitError):
    """A unit name or unit file is refused."""

    exit_code = 3


class Unplaceable(KitError):
    """No machine can take a unit; `details` holds each machine's reason."""

    exit_code = 3


class Refused(KitError):
    """The cluster is not in a state in which this may be done; nothing was touched."""

    exit_code = 3


class Unreachable(KitError):
    """A machine or etcd could not be reached."""

    exit_code = 4

    def __init__(
        self, message: str, *, machine: str = "", hint: str = "", details: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.machine = machine


class DeployFailed(KitError):
    """A deploy stopped half way and was not rolled back; `details` says what stands where."""

    exit_code = 6


class RolledBack(DeployFailed):
    """A deploy failed, and what it had changed was put back."""

    exit_code = 5


class LockLost(KitError):
    """Somebody else may be at work on the cluster: nothing more is touched, nor put back."""

    exit_code = 6


class LockHeld(KitError):
    """Somebody else is at work on the cluster; nothing was touched."""

    exit_code = 7


class TimedOut(KitError):
    """A wait came to its end; the message says what was seen last."""

    exit_code = 8


class Interrupted(KitError):
    """Somebody pressed Ctrl-C."""

    exit_code = 130


class Declined(KitError):
    """A question was answered with no."""

    exit_code = 130


def _last_lines(output: str, count: int = 12) -> list[str]:
    return output.strip().splitlines()[-count:] if output.strip() else []
