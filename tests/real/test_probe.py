"""What a probe says of a balancer with a real Nginx: its script runs here, with an engine of a few lines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.probe import MachineProber
from coreos_kit.model.project import HealthKind
from coreos_kit.ports import Check, Probe, ProbeOrder

if TYPE_CHECKING:
    from conftest import Backend, RealBalancer, RealEtcd

pytestmark = [pytest.mark.real, pytest.mark.parametrize("api", ["v3"], indirect=True)]
KEY = "/services/apache/127.0.0.1"


def probed(balancer: RealBalancer, checks: list[str]) -> Probe:
    engine = balancer.root / "engine"
    library = balancer.root / "usr/local/lib/coreos-kit"
    words = [f"COREOS_KIT_BALANCER_ROOT={balancer.root}", f"PYTHONPATH={library}", sys.executable]
    engine.write_text(
        "#!/bin/bash\n"
        f'[ "$1" != exec ] || exec env {shlex.join(words)} -m balancer --show\n'
        f"exec cat {shlex.quote(str(balancer.root / 'out'))}\n"
    )
    engine.chmod(0o755)
    prober = MachineProber(str(engine), {"lb1": LocalRunner()})
    checked = tuple(Check(HealthKind.TCP, address) for address in checks)
    return prober.probe(ProbeOrder("lb1", checked, "nginx_lb", f"127.0.0.1:{balancer.port}", 4))


def test_requests_that_a_backend_has_answered_are_told_with_the_backend(
    balancer: RealBalancer, real_etcd: RealEtcd, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put("v3", KEY, backend.address)
    eventually(lambda: balancer.servers() == [backend.address])

    seen = probed(balancer, [backend.address])

    assert (seen.pool, seen.backends) == (frozenset({backend.address}), {backend.address: ""})
    assert (seen.codes, seen.served) == ((200, 200, 200, 200), {backend.address: 4})


def test_a_backend_that_its_balancer_can_not_reach_has_served_nothing(
    balancer: RealBalancer, real_etcd: RealEtcd, free_port: Callable[[], int], eventually
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    real_etcd.put("v3", KEY, nobody)
    eventually(lambda: balancer.servers() == [nobody])

    seen = probed(balancer, [])

    assert any(f"passed to: {nobody}: GET /?coreos-kit-verify=" in line for line in balancer.log())
    assert (seen.codes, seen.served) == ((502, 502, 502, 502), {})
