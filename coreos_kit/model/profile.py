"""What differs between operating systems, as one small table (reference: each system's own documentation)."""

from dataclasses import dataclass
from enum import StrEnum


class Dependency(StrEnum):
    """How strongly units depend on etcd and the container engine."""

    REQUIRES = "Requires"
    WANTS = "Wants"


@dataclass(frozen=True, slots=True)
class Profile:
    """The names and habits of one operating system."""

    name: str
    etcd_unit: str
    etcd_api: str  # "v2" | "v3"
    etcdctl: tuple[str, ...]  # how a unit calls etcdctl on this system
    engine: str  # docker | podman
    engine_path: str
    engine_unit: str  # "" where the engine needs no daemon
    environment_file: str
    writes_environment_file: bool  # whether the kit writes it, or the system does
    kill_mode: str
    restart: str  # "": no Restart= line
    dependency: Dependency
    pull_may_fail: bool  # whether a failing pull leaves the start alone
    etcd_port: int = 2379
