"""`coreos-kit ssh`: whatever goes wrong on our side ends in 255, as with ssh itself."""

from collections.abc import Sequence

from coreos_kit.cli import output, wiring
from coreos_kit.cli.output import show_error
from coreos_kit.cli.settings import Settings
from coreos_kit.errors import KitError
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import find, matches
from coreos_kit.ops.verify import configured_units

KIT_FAILED = 255


def run(settings: Settings, target: str, command: Sequence[str]) -> int:
    """Run a command (none: a shell) on a machine or on a unit's machine; return its exit code."""
    try:
        with wiring.open_session(settings, progress=output.quiet) as session:
            return session.runner(_machine(session, target)).interactive(list(command))
    except KitError as error:
        show_error(error, as_json=settings.json)
        return KIT_FAILED


def _machine(session: Session, target: str) -> str:
    if target in session.runners:
        return target
    if "." not in target and "@" not in target and "*" not in target and not _is_configured(session, target):
        known = ", ".join(sorted(session.runners))
        raise KitError(
            f"{target} is no machine or unit of {session.cluster.name}", hint=f"Its machines are {known}."
        )
    machines = {unit.machine for unit in find(session, [target])}
    if len(machines) > 1:
        raise KitError(
            f"{target} stands on {', '.join(sorted(machines))}", hint="Name one of these machines."
        )
    return machines.pop()


def _is_configured(session: Session, target: str) -> bool:
    return any(matches(target, name) for name in configured_units(session.cluster))
