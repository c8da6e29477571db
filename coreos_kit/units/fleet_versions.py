"""What fleet could not do before 1.0, as far as it changes what becomes of a unit file.

Read from coreos/fleet's code by version; only 1.0.0 was run.
"""

import re
from collections.abc import Iterator

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.fleet_hash import fleet_options
from coreos_kit.units.x_fleet import CONFLICTS, GLOBAL, REPLACES, TRUE, section_values

Version = tuple[int, ...]
OLDEST: Version = (0, 8)  # before it [X-Fleet] had other names only


def parse_version(text: str) -> Version:
    """Read `0.11.8`, `1.0.0+git`; the empty tuple for what is none."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def missing_from(version: Version, text: str) -> Iterator[str]:
    """Say what of a unit file this version of fleet ignores, misreads or refuses."""
    try:
        options, asked = fleet_options(text), section_values(text)
    except InvalidUnit:
        return
    conflicts = [value for key in CONFLICTS for value in asked.get(key, ())]
    truth = next(iter(reversed([value for key in GLOBAL for value in asked.get(key, ())])), "")
    if version < (1, 0):
        if any(option.section == "Install" for option in options):
            yield "ignores [Install]"
        if any(len(value.split()) > 1 for value in conflicts):
            yield "takes several globs in one Conflicts= for one that matches nothing"
        if conflicts and truth.lower() in TRUE:
            yield "refuses Conflicts= beside Global=true"
    if version < (0, 13):
        if any(key in asked for key in REPLACES):
            yield "does not know Replaces="
        if truth and truth.lower() in TRUE - {"true"}:
            yield f"does not take Global={truth} for true"
