"""Registrations -> servers: which values of etcd may become servers of the pool, and why others may not.

Pure. Whatever stands in etcd is somebody else's word: a value that isn't exactly ``a.b.c.d:port`` inside the
allowed networks goes no further than one sanitised, bounded line of a log.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Iterable, List, Mapping, Sequence, Tuple

MAX_REGISTRATIONS = 4096
MAX_REFUSED = 100
_MAX_SHOWN = 60
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_SERVER = re.compile(rf"({_OCTET}(?:\.{_OCTET}){{3}}):([1-9][0-9]{{0,4}})", re.ASCII)
_LONGEST_SERVER = len("255.255.255.255:65535")

# Well-formed, and yet never a backend, however wide the allowed network is: a cloud's metadata service
# lives in the second one.
_NEVER = tuple(ipaddress.IPv4Network(n) for n in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))


class TooManyRegistrations(ValueError):
    """There are more registrations than a pool may have; better the last good pool than part of this one."""


@dataclass(frozen=True)
class Refusal:
    """A registration that did not get into the pool. `key` and `value` are safe to print."""

    key: str
    value: str
    reason: str

    def __str__(self) -> str:
        """Return the line that goes to the log."""
        return f'{self.key} = "{self.value}" refused: {self.reason}'


@dataclass(frozen=True)
class Pool:
    """The servers, sorted by address and port, and what was refused (at most `MAX_REFUSED` are listed)."""

    servers: Tuple[str, ...] = ()
    refused: Tuple[Refusal, ...] = ()


def parse_networks(text: str) -> Tuple[ipaddress.IPv4Network, ...]:
    """Read a comma separated list of IPv4 networks.

    Raises `ValueError` on an empty list, on IPv6 and on bits outside the mask: an allow-list that isn't
    understood must not let everything in.
    """
    networks = tuple(ipaddress.IPv4Network(part.strip()) for part in text.split(",") if part.strip())
    if not networks:
        raise ValueError("no network is given")
    return networks


def pool_of(
    registrations: Mapping[str, str], networks: Sequence[ipaddress.IPv4Network], *, prefix: str
) -> Pool:
    """Turn the registrations under `prefix` into the pool that they give.

    Two keys with the same value make one server. Raises `TooManyRegistrations` above `MAX_REGISTRATIONS`.
    """
    if len(registrations) > MAX_REGISTRATIONS:
        raise TooManyRegistrations(
            f"{len(registrations)} registrations under {prefix}, at most {MAX_REGISTRATIONS} are allowed"
        )
    servers: List[str] = []
    refused: List[Refusal] = []
    for key, value in sorted(registrations.items()):
        reason = _why_not(key, value, networks, prefix)
        if reason:
            refused.append(Refusal(shown(key), shown(value), reason))
        else:
            servers.append(value)
    return Pool(sort_servers(servers), _bounded(refused))


def sort_servers(servers: Iterable[str]) -> Tuple[str, ...]:
    """Sort servers by address and port as numbers, each one once."""
    return tuple(sorted(set(servers), key=_order))


def why_refused(value: str, networks: Sequence[ipaddress.IPv4Network]) -> str:
    """Return why `value` can't be a server; empty if it can."""
    if len(value) > _LONGEST_SERVER:
        return "too long for a.b.c.d:port"
    match = _SERVER.fullmatch(value)
    if match is None:
        return "not of the form a.b.c.d:port"
    if int(match.group(2)) > 65535:
        return f"port {match.group(2)} is above 65535"
    address = ipaddress.IPv4Address(match.group(1))
    if any(address in network for network in _NEVER):
        return "an address that no backend has"
    if not any(address in network for network in networks):
        return f"outside {', '.join(str(network) for network in networks)}"
    return ""


def shown(text: str) -> str:
    """Return `text` fit for a log or a terminal: printable ASCII, escaped, bounded in length."""
    head = text[:_MAX_SHOWN].encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return head if len(text) <= _MAX_SHOWN else f"{head}..."


def _why_not(key: str, value: str, networks: Sequence[ipaddress.IPv4Network], prefix: str) -> str:
    parent, _, name = key.rpartition("/")
    if parent != prefix.rstrip("/") or not name:
        return f"not directly under {prefix}"
    return why_refused(value, networks)


def _order(server: str) -> Tuple[Tuple[int, ...], int]:
    address, _, port = server.partition(":")
    return tuple(int(octet) for octet in address.split(".")), int(port)


def _bounded(refused: List[Refusal]) -> Tuple[Refusal, ...]:
    if len(refused) <= MAX_REFUSED:
        return tuple(refused)
    more = len(refused) - MAX_REFUSED
    return (*refused[:MAX_REFUSED], Refusal("...", "...", f"and {more} more like these"))
