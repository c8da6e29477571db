"""What the unit tells the watcher: environment variables, checked once, all errors at once.

One image serves every cluster, so everything that differs between clusters arrives here.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Callable, List, Mapping, Optional, Tuple, TypeVar

from .access import OPEN, Access
from .pool import parse_networks, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z][A-Za-z0-9-]{0,62}(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*", re.ASCII
)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)+", re.ASCII)
_T = TypeVar("_T")


class BadSettings(ValueError):
    """The environment is not usable; `problems` says everything that is wrong with it."""

    def __init__(self, problems: List[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Settings:
    """The watcher's environment, parsed."""

    etcd_host: str
    etcd_port: int
    etcd_api: str
    prefix: str
    networks: Tuple[ipaddress.IPv4Network, ...]
    upstream: str
    listen_port: int
    renew_s: int
    access: Access = OPEN

    @property
    def hold_s(self) -> float:
        """How long removals wait once etcd is back: by then every living sidekick has renewed."""
        return self.renew_s + 2.0


@dataclass(frozen=True)
class Paths:
    """Where things lie in the container; tests put another folder in front of all of them."""

    root: str = "/"

    def _at(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    @property
    def hand_written(self) -> str:
        """Nginx's folder as the distribution and people left it: read, never written."""
        return self._at("etc", "nginx")

    @property
    def library(self) -> str:
        """Where nginx.conf (a template) and pool.lua of the image lie."""
        return self._at("usr", "local", "lib", "coreos-kit")

    @property
    def generations(self) -> str:
        """Tested configurations; the link `live` in it names the one that Nginx runs from."""
        return self._at("var", "lib", "coreos-kit", "generations")

    @property
    def pool_file(self) -> str:
        """The last pool, one server a line; Nginx starts from it."""
        return self._at("var", "lib", "coreos-kit", "pool")

    @property
    def state_file(self) -> str:
        """What the watcher knows and Nginx doesn't, for `--show`."""
        return self._at("run", "coreos-kit", "state.json")

    @property
    def socket(self) -> str:
        """Where Nginx takes the pool and tells it."""
        return self._at("run", "coreos-kit", "pool.sock")

    @property
    def pid_file(self) -> str:
        """Nginx's own."""
        return self._at("run", "coreos-kit", "nginx.pid")


def paths_from(environ: Mapping[str, str]) -> Paths:
    """Return the container's paths, below `COREOS_KIT_BALANCER_ROOT` if that is set."""
    return Paths(os.path.abspath(environ.get("COREOS_KIT_BALANCER_ROOT") or "/"))


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the environment. Raises `BadSettings` with every problem in it."""
    problems: List[str] = []

    def take(name: str, parse: Callable[[str], _T], default: Optional[str], allowed: str) -> Optional[_T]:
        text = environ.get(name) or default
        if text is None:
            problems.append(f"{name} is not set; it must be {allowed}")
            return None
        try:
            return parse(text)
        except ValueError:
            problems.append(f'{name} is "{shown(text)}"; it must be {allowed}')
            return None

    host = take("HOST_IP", _address, None, "the address or the name that etcd answers on")
    port = take("ETCD_PORT", _port, "2379", "a port from 1 to 65535")
    api = take("ETCD_API", _matching(re.compile("v[23]")), "v3", "v2 or v3")
    prefix = take("ETCD_PREFIX", _matching(_PREFIX), "/services/apache", "a path like /services/apache")
    networks = take("POOL_NETWORK", parse_networks, None, "IPv4 networks like 192.0.2.0/24, comma separated")
    upstream = take(
        "UPSTREAM_NAME", _matching(_NAME), "apache", "a name of letters, digits, '_', '.' and '-'"
    )
    listen = take("LISTEN_PORT", _port, "80", "a port from 1 to 65535")
    renew = take("RENEW_S", _seconds, "10", "whole seconds from 1 to 3600")

    scheme = take("ETCD_SCHEME", _matching(re.compile("https?")), "http", "http or https")
    files = take("ETCD_FILES", _folder, "", "a folder that is there") if environ.get("ETCD_FILES") else ""

    if problems:
        raise BadSettings(problems)
    # With no problem recorded nothing is None, which a type checker can't see.
    assert host and port and api and prefix and networks and upstream and listen and renew  # noqa: PT018, S101
    access = Access(scheme or "http", files or "")
    return Settings(host, port, api, prefix, networks, upstream, listen, renew, access)


def _address(text: str) -> str:
    return text if _HOST_NAME.fullmatch(text) else str(ipaddress.ip_address(text))


def _folder(text: str) -> str:
    if not os.path.isdir(text):
        raise ValueError(text)
    return text


def _port(text: str) -> int:
    return _within(text, 65535)


def _seconds(text: str) -> int:
    return _within(text, 3600)


def _within(text: str, highest: int) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > highest:
        raise ValueError(text)
    return int(text)


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return parse
