"""The section [X-CoreosKit] that marks a unit as the kit's, of one project and one service."""

from dataclasses import dataclass

SECTION = "X-CoreosKit"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a unit is; both are "" for a unit that is not the kit's."""

    project: str = ""
    service: str = ""


def owner_of(text: str) -> Owner:
    """Read the mark of a unit file; the last value of a key wins, whatever else the file says."""
    values: dict[str, str] = {}
    section = ""
    for line in text.split("\n"):  # as systemd ends lines: not at U+2028 and the like
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1]
        elif section == SECTION and "=" in stripped and not stripped.startswith(("#", ";")):
            key, value = stripped.split("=", 1)
            values[key.strip()] = value.strip()
    return Owner(values.get("Project", ""), values.get("Service", ""))
