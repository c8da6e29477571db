"""What differs between operating systems, as one small table (reference: each system's own documentation)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType


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
    init: bool = False  # whether containers get a first process (--init) that hands signals on


# -i, because a transaction comes on standard input; -e NAME hands on the host's own.
_ETCDCTL_IN_CONTAINER = ("/usr/bin/podman", "exec", "-i", "-e", "ETCDCTL_API", "etcd-member", "etcdctl")

COREOS = Profile(
    name="coreos",
    etcd_unit="etcd.service",
    etcd_api="v2",
    etcdctl=("/usr/bin/etcdctl",),
    engine="docker",
    engine_path="/usr/bin/docker",
    engine_unit="docker.service",
    environment_file="/etc/environment",
    writes_environment_file=False,
    kill_mode="none",
    restart="",
    dependency=Dependency.REQUIRES,
    pull_may_fail=False,
)

DEBIAN = Profile(
    name="debian",
    etcd_unit="etcd.service",
    etcd_api="v3",
    etcdctl=("/usr/bin/etcdctl",),
    engine="docker",
    engine_path="/usr/bin/docker",
    engine_unit="docker.service",
    environment_file="/etc/coreos-kit/host.env",
    writes_environment_file=True,
    kill_mode="mixed",
    restart="always",
    dependency=Dependency.WANTS,
    pull_may_fail=True,
    init=True,
)

# etcd-member.service conflicts with a unit called etcd.service, so that name must not be pulled in.
FLATCAR = replace(DEBIAN, name="flatcar", etcd_unit="etcd-member.service")

# No etcdctl on the host: etcd runs in a container that its documentation calls etcd-member.
FEDORA_COREOS = replace(
    DEBIAN,
    name="fedora-coreos",
    etcd_unit="etcd-member.service",
    etcdctl=_ETCDCTL_IN_CONTAINER,
    engine="podman",
    engine_path="/usr/bin/podman",
    engine_unit="",
    init=False,  # podman's --init needs catatonit on the host, and without it nothing starts
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (COREOS, FLATCAR, FEDORA_COREOS, DEBIAN)}
)
