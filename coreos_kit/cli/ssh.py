"""`coreos-kit ssh`: whatever goes wrong on our side ends in 255, as with ssh itself."""

from collections.abc import Sequence

from coreos_kit.cli import show_status, wiring
from coreos_kit.cli.output import show_error
from coreos_kit.cli.settings import Settings
from coreos_kit.errors import KitError
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import find

KIT_FAILED = 255


def run(settings: Settings, target: str, command: Sequence[str]) -> int:
    """Run a command (none: a shell) on a machine or on a unit's machine; return its exit code."""
    try:
        with wiring.open_session(settings, progress=show_status.quiet) as session:
            return session.runner(_machine(session, target)).interactive(list(command))
    except KitError as error:
        show_error(error, as_json=settings.json)
        return KIT_FAILED


def _machine(session: Session, target: str) -> str:
    if target in session.runners:
        return target
    machines = {unit.machine for unit in find(session, [target])}
    if len(machines) > 1:
        raise KitError(
            f"{target} stands on {', '.join(sorted(machines))}", hint="Name one of these machines."
        )
    return machines.pop()
