"""Where the strings of a coreos-kit.toml may lead: hosts, ports, networks, URLs."""

import ipaddress
import re
from typing import Any

from coreos_kit.config.findings import Place, shown
from coreos_kit.config.reading import checked, matching

HIGHEST_PORT = 65535
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"

_SSH_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
_DESTINATION = re.compile(
    rf"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?({_SSH_HOST})(?::([1-9][0-9]{{0,4}}))?", re.ASCII
)
_ENDPOINT = re.compile(rf"https?://(?:{DOMAIN}|\[[0-9A-Fa-f:.]+\]):([1-9][0-9]{{0,4}})", re.ASCII)
_WIDEST = 8  # bits; an allow-list of more than sixteen million addresses keeps nobody out

url = matching(
    rf"https?://{DOMAIN}(?::[1-9][0-9]{{0,4}})?/[A-Za-z0-9._~/?&=+,:@%-]*",
    "an http or https address of a file",
)


def _endpoint(text: str) -> str | None:
    found = _ENDPOINT.fullmatch(text)
    if found and int(found[1]) <= HIGHEST_PORT:
        return None
    return "http://host:port or https://host:port, without a path"


endpoint = checked(_endpoint)


def _destination(text: str) -> str | None:
    found = _DESTINATION.fullmatch(text)
    if found and int(found[2] or "1") <= HIGHEST_PORT:
        return None
    return "a destination of ssh: [user@]host[:port], or an alias of ~/.ssh/config"


destination = checked(_destination)


def host_of(text: str) -> str:
    """Return the host of a destination, e.g. ``core@web1.example:2222`` -> ``web1.example``."""
    found = _DESTINATION.fullmatch(text)
    return found[1].strip("[]") if found else text


def _ipv4(text: str) -> str | None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return "an IPv4 address"
    return None


ipv4 = checked(_ipv4)


def network(value: Any, place: Place) -> str | None:
    """Read an IPv4 network, narrow enough to tell friends from strangers."""
    allowed = "an IPv4 network such as 192.0.2.0/24"
    found = _network(value)
    if found is None:
        place.refuse(value, allowed)
    elif str(found) != value:
        place.refuse_words(shown(value), allowed, nearest=str(found))
    elif found.prefixlen < _WIDEST or found.is_link_local or found.is_multicast:
        place.refuse(value, f"{allowed}: /{_WIDEST} or narrower, neither link-local nor multicast")
    else:
        return str(found)
    return None


def _network(value: object) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(value, strict=False) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None
