"""Balancer preview: the pool that the current registrations would give, beside the one that runs."""

from dataclasses import dataclass

from coreos_kit.balancer.pool import parse_networks, pool_of
from coreos_kit.model.services import LoadBalancer
from coreos_kit.ops.session import Session
from coreos_kit.ops.status import Pool, read_pools


@dataclass(frozen=True, slots=True)
class Preview:
    """One balancer's pool as it would be and as it is."""

    balancer: str
    servers: tuple[str, ...]
    refused: tuple[str, ...]  # "key: why", of the registrations that never get near Nginx
    running: tuple[Pool, ...]

    @property
    def differs(self) -> bool:
        """Whether a balancer runs with another pool than this."""
        return any(set(pool.servers or ()) != set(self.servers) for pool in self.running)


def preview(session: Session) -> tuple[Preview, ...]:
    """Return the preview of every balancer of the cluster; raises `Unreachable` where etcd is."""
    units = [unit for balancer in session.cluster.load_balancers for unit in balancer.units()]
    observed = session.driver.observe(units)
    pools = read_pools(session, observed)
    return tuple(_preview(session, balancer, pools) for balancer in session.cluster.load_balancers)


def _preview(session: Session, balancer: LoadBalancer, pools: list[Pool]) -> Preview:
    cluster = session.cluster
    service = cluster.service(balancer.upstream)
    running = tuple(pool for pool in pools if pool.balancer == balancer.name)
    if service is None or service.registration is None:  # the configuration's checks refuse it
        return Preview(balancer.name, (), (), running)
    prefix = service.registration.prefix
    registrations = {entry.key: entry.value for entry in session.store().entries(prefix)}
    pool = pool_of(registrations, parse_networks(cluster.private_network), prefix=prefix)
    return Preview(
        balancer.name, tuple(pool.servers), tuple(str(refusal) for refusal in pool.refused), running
    )
