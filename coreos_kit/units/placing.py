"""[X-Fleet] as the configuration wants it."""

from coreos_kit.model.services import Requirements
from coreos_kit.units import escape

Line = tuple[str, str]  # an option and its value


def x_fleet_lines(requirements: Requirements) -> list[Line]:
    """Return the options of a service or a balancer."""
    return [
        *(("Conflicts", escape.literal(glob)) for glob in requirements.conflicts),
        *_where(requirements),
    ]


def sidekick_x_fleet_lines(requirements: Requirements, main: str) -> list[Line]:
    """Return the options that put a sidekick on the machine of its main unit."""
    # fleet refuses Global= beside MachineOf=; on the same machines as a global service is everywhere it is.
    return _where(requirements) if requirements.is_global else [("MachineOf", main)]


def _where(requirements: Requirements) -> list[Line]:
    return [
        *(("MachineMetadata", escape.literal(pair)) for pair in requirements.machine_metadata),
        *([("MachineID", escape.literal(requirements.machine_id))] if requirements.machine_id else []),
        *([("Global", "true")] if requirements.is_global else []),
    ]
