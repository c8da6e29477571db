"""What a probe says of a balancer with a real Nginx: its script runs here, with an engine of a few lines."""

from __future__ import annotations

import shlex
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from coreos_kit.adapters import probe
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.probe import MachineProber
from coreos_kit.model.services import HealthKind
from coreos_kit.ports import Check, Probe, ProbeOrder

if TYPE_CHECKING:
    from conftest import Backend, RealBalancer, RealEtcd

pytestmark = [pytest.mark.real, pytest.mark.parametrize("api", ["v3"], indirect=True)]
KEY = "/services/apache/127.0.0.1"


def probed(balancer: RealBalancer, checks: list[str], *, logs: str = "") -> Probe:
    """Probe a balancer; `logs` is what the engine does when it is asked for the log, if not to print it."""
    engine = balancer.root / "engine"
    library = balancer.root / "usr/local/lib/coreos-kit"
    words = [f"COREOS_KIT_BALANCER_ROOT={balancer.root}", f"PYTHONPATH={library}", sys.executable]
    engine.write_text(
        "#!/bin/bash\n"
        f'[ "$1" != exec ] || exec env {shlex.join(words)} -m balancer --show\n'
        f"{logs or shlex.join(['exec', 'cat', str(balancer.root / 'out')])}\n"
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


def test_a_log_that_can_not_be_read_is_said_and_not_taken_for_an_empty_one(
    balancer: RealBalancer, real_etcd: RealEtcd, backends: Callable[[], Backend], eventually
) -> None:
    backend = backends()
    real_etcd.put("v3", KEY, backend.address)
    eventually(lambda: balancer.servers() == [backend.address])

    seen = probed(balancer, [], logs="echo 'this logging driver does not support reading' >&2; exit 1")

    assert (seen.codes, seen.served) == ((200, 200, 200, 200), {})
    assert seen.log_error == "this logging driver does not support reading"


def test_requests_that_hang_do_not_keep_what_else_was_seen_from_being_told(
    balancer: RealBalancer,
    real_etcd: RealEtcd,
    backends: Callable[..., Backend],
    eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "REQUESTS_S", 2)
    well = backends("127.0.0.2")
    with socket.create_server(("127.0.0.3", 0)) as deaf:  # takes connections, and says nothing
        hangs = f"127.0.0.3:{deaf.getsockname()[1]}"
        for address in (well.address, hangs):
            real_etcd.put("v3", f"/services/apache/{address.partition(':')[0]}", address)
        eventually(lambda: balancer.servers() == [well.address, hangs])

        started = time.monotonic()
        twice = [probed(balancer, [well.address]) for _ in range(2)]

    for seen in twice:
        assert seen.backends == {well.address: ""}
        assert seen.pool == {well.address, hangs}
    # By turns: whichever came first in the first probe, what was answered before the one that hangs is told.
    assert {seen.codes for seen in twice} <= {(), (200,)}
    assert (200,) in [seen.codes for seen in twice]
    assert time.monotonic() - started < 20
