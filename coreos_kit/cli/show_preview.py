"""The pool that the registrations would give, beside those that run."""

from collections.abc import Sequence

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_status import pool_body
from coreos_kit.model.project import Cluster
from coreos_kit.ops.preview import Preview


def preview(settings: Settings, cluster: Cluster, previews: Sequence[Preview]) -> None:
    """Show what the registrations would give, and how the running pool differs."""
    if settings.json:
        body = [
            {
                "balancer": found.balancer,
                "servers": found.servers,
                "refused": found.refused,
                "running": [pool_body(pool) for pool in found.running],
                "differs": found.differs,
            }
            for found in previews
        ]
        output.print_json("balancer-preview", {"cluster": cluster.name, "balancers": body})
        return
    for found in previews:
        output.line(
            f"{found.balancer}: {output.counted(len(found.servers), 'server')} from the registrations"
        )
        running = {server for pool in found.running for server in pool.servers or ()}
        for server in [*found.servers, *sorted(running - set(found.servers))]:
            output.line(_difference(found, server))
        for refusal in found.refused:
            output.line(f"refused: {refusal}")
        for pool in found.running:
            if pool.servers is None:
                output.line(f"the pool of {pool.unit.stem} on {pool.machine} can't be told: {pool.error}")
        if not found.running:
            output.line("it runs nowhere")


def _difference(found: Preview, server: str) -> str:
    """Say of one server what changes; where some of several balancers have it, which do."""
    pools = [pool for pool in found.running if pool.servers is not None]
    having = [pool for pool in pools if server in (pool.servers or ())]
    sign = "-" if server not in found.servers else " " if having and len(having) == len(pools) else "+"
    if not having or len(having) == len(pools):
        return f"{sign} {server}"
    names = [f"{pool.unit.stem} on {pool.machine}" for pool in having]
    return (
        f"{sign} {server} (already in {', '.join(names)})"
        if sign == "+"
        else f"{sign} {server} (in {', '.join(names)})"
    )
