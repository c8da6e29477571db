"""What a balancer's unit tells its container: which pool it serves, and where the registrations are.

The watcher reads it in balancer/settings.py.
"""

import re

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.lab import LAB_NETWORKS
from coreos_kit.model.project import Cluster
from coreos_kit.model.services import LoadBalancer
from coreos_kit.units import escape

PRIVATE_ADDRESS = "${COREOS_PRIVATE_IPV4}"  # of the machine that a unit runs on; systemd puts it in
_WHERE = re.compile(r"\b(?:HOST_IP|ETCD_(?:API|PORT|PREFIX|SCHEME))=\S+")


def pool_environment(cluster: Cluster, balancer: LoadBalancer) -> list[str]:
    """Return the words that tell one and the same image which pool it serves."""
    upstream = cluster.service(balancer.upstream)
    registration = upstream.registration if upstream else None
    if upstream is None or registration is None:
        raise InvalidUnit(
            f"{balancer.unit_file} has no pool: {balancer.upstream!r} is no service with a registration"
        )
    host, port = _etcd_address(cluster)
    # A lab's network depends on which subnet was free, and rendering must not depend on a running lab.
    network = LAB_NETWORKS if cluster.lab else cluster.private_network
    values = {
        "ETCD_PORT": str(port),
        "ETCD_API": str(cluster.etcd_api),
        "ETCD_PREFIX": registration.prefix,
        "POOL_NETWORK": network,
        "UPSTREAM_NAME": balancer.upstream,
        "LISTEN_PORT": str(balancer.port),
        "RENEW_S": str(registration.renew_s),
    }
    return [f"HOST_IP={host}", *(escape.argument(f"{name}={value}") for name, value in values.items())]


def _etcd_address(cluster: Cluster) -> tuple[str, int]:
    """Return where a container finds etcd: on its own machine, or the first of the configured members."""
    if not cluster.etcd.endpoints:
        return PRIVATE_ADDRESS, cluster.profile.etcd_port
    authority = cluster.etcd.endpoints[0].split("://")[-1].split("/")[0]
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit():
        return escape.argument(authority), cluster.profile.etcd_port
    return escape.argument(host.strip("[]")), int(port)


def words_on_etcd(text: str) -> frozenset[str]:
    """Read from a balancer's unit what it says of where the registrations are."""
    return frozenset(_WHERE.findall(text))
