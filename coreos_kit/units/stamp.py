"""The digest that a unit carries of itself, so that a hand's edit can be told from a deploy.

`Sha256=` in [X-CoreosKit] covers what systemd and what fleet read in the rest of the text. Comments are no
change, and fleet drops them, so the digest survives both drivers.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.fleet_hash import fleet_options
from coreos_kit.units.ownership import SECTION
from coreos_kit.units.unit_file import UnitFile

KEY = "Sha256"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LINE = re.compile(rf"^{KEY}=[0-9a-f]{{64}}\n", re.MULTILINE)


@lru_cache(maxsize=256)  # instances of a template share their text
def stamped(text: str) -> str:
    """Return the text with its digest in it, the last thing to be done to it; safe to repeat."""
    unit = UnitFile.parse(text)
    marks = [(option.name, option.value) for option in unit.options(SECTION) if option.name != KEY]
    return unit.with_section(SECTION, [*marks, (KEY, digest_of(text))]).text


def stamp_of(text: str) -> str:
    """Return the digest that a text carries, "" if it carries none."""
    value = UnitFile.parse(text).value(SECTION, KEY) or ""
    return value if _DIGEST.fullmatch(value) else ""


def unstamped(text: str) -> str:
    """Return the text without its digest."""
    return _LINE.sub("", text)


def is_as_deployed(text: str) -> bool:
    """Tell whether a text still says what its own digest was made of."""
    return bool(stamp_of(text)) and stamp_of(text) == digest_of(text)


@lru_cache(maxsize=256)
def digest_of(text: str) -> str:
    """Return the digest of all that is in force in a text, but for the digest itself."""
    systemd = ((option.section, option.name, option.value) for option in UnitFile.parse(text).all_options)
    try:
        fleet = [(option.section, option.name, option.value) for option in fleet_options(text)]
    except InvalidUnit:
        fleet = [("", "", text)]  # fleet can't read it: not a text that was deployed
    views = json.dumps([_by_section(systemd), _by_section(fleet)])
    return hashlib.sha256(views.encode()).hexdigest()


def _by_section(options: Iterable[tuple[str, str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Put a section's parts together, as fleet does when it writes a unit anew."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for section, name, value in options:
        if (section, name) != (SECTION, KEY):
            sections.setdefault(section, []).append((name, value))
    return list(sections.items())
