"""What the instances in a coreos-kit.toml may be called: of services, of balancers, of templates."""

import re
from typing import Any

from coreos_kit.config.addresses import HIGHEST_PORT
from coreos_kit.config.findings import Place, shown

_UNIT_INSTANCE = re.compile(r"[0-9A-Za-z:_.\\@-]{1,200}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_WORD_ALLOWED = (
    "a word of lower-case letters, digits, _ and - that begins with a letter; the port of all is `port`"
)
_INSTANCE_ALLOWED = (
    "an integer from 1 to 65535, or a word of lower-case letters, digits, _ and - that begins with a letter"
)


def of_service(value: Any, place: Place) -> tuple[str, ...] | None:
    """Read instances: numbers, which are ports as well, and words."""
    if not isinstance(value, list):
        place.refuse(value, "an array of ports and words, such as [7777, 8888]")
        return None
    found: dict[str, None] = {}
    for index, element in enumerate(value):
        text = _instance(element)
        if text is None:
            near = str(element) if isinstance(element, str) and _instance(_number(element)) else ""
            place.at(index).refuse_words(shown(element), _INSTANCE_ALLOWED, nearest=near)
        elif text in found:
            place.at(index).object_to(f"{shown(element)} a second time", "each instance once")
        else:
            found[text] = None
    return tuple(found)


def of_balancer(value: Any, place: Place) -> tuple[str, ...] | None:
    """Read the instances of a balancer: words only, since all of them listen on its one port."""
    if not isinstance(value, list) or not value:
        place.refuse_words(
            "an empty array" if value == [] else shown(value),
            'an array of words, such as ["east", "west"]; without the key it is one plain unit',
        )
        return None
    found: dict[str, None] = {}
    for index, element in enumerate(value):
        if not isinstance(element, str) or not _WORD.fullmatch(element):
            place.at(index).refuse_words(shown(element), _WORD_ALLOWED)
        elif element in found:
            place.at(index).object_to(f"{shown(element)} a second time", "each instance once")
        else:
            found[element] = None
    return tuple(found)


def of_template(value: Any, place: Place) -> tuple[str, ...] | None:
    """Read the instances of a template of the workspace's own: any name that fleet takes, numbers as well."""
    if not isinstance(value, list):
        place.refuse(value, 'an array of instance names, such as [1, 2] or ["blue"]')
        return None
    found: dict[str, None] = {}
    for index, element in enumerate(value):
        text = str(element) if isinstance(element, int) and not isinstance(element, bool) else element
        if not isinstance(text, str) or not _UNIT_INSTANCE.fullmatch(text):
            place.at(index).refuse(element, "letters, digits and : - _ . \\ @")
        else:
            found[text] = None
    return tuple(found)


def _instance(element: object) -> str | None:
    if type(element) is int:
        return str(element) if 1 <= element <= HIGHEST_PORT else None
    return element if isinstance(element, str) and _WORD.fullmatch(element) else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_PORT)) else None
