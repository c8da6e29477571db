"""The prober: a constant script on the balancer's machine that looks at pool, backends and requests."""

import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from coreos_kit.adapters.answers import Line, read_answer
from coreos_kit.adapters.scripts import script
from coreos_kit.ports import Probe, ProbeOrder, Runner

PROBE_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class MachineProber:
    """`ports.Prober` through a machine's runner."""

    engine_path: str
    runners: Mapping[str, Runner]

    def probe(self, order: ProbeOrder) -> Probe:
        """Run the script once; see `ports.Prober.probe`."""
        nonce = secrets.token_hex(8)
        completed = self.runners[order.machine].run_script(
            script("probe"),
            [
                self.engine_path, order.container, order.balancer, nonce, str(order.requests),
                *(f"{check.kind}|{check.address}|{check.path}|{check.timeout_s}" for check in order.checks),
            ],
            root=True,
            timeout_s=PROBE_TIMEOUT_S,
        )  # fmt: skip
        return read_probe(read_answer(order.machine, completed), nonce)


def read_probe(lines: tuple[Line, ...], nonce: str) -> Probe:
    """Read what probe.sh printed; a pool that is no list of addresses is an error, not an empty pool."""
    pool, pool_error = _pool(lines)
    return Probe(
        backends={
            line.word(): "" if line.word(1) == "yes" else line.text(2).strip()
            for line in lines
            if line.key == "backend"
        },
        pool=pool,
        pool_error=pool_error,
        codes=tuple(int(line.word()) for line in lines if line.key == "code" and line.word().isdigit()),
        served=_served(next((line.text() for line in lines if line.key == "log"), ""), nonce),
    )


def _pool(lines: tuple[Line, ...]) -> tuple[frozenset[str] | None, str]:
    for line in lines:
        if line.key == "pool-error":
            return None, line.text().strip()
        if line.key == "pool":
            try:
                servers = json.loads(line.text())["servers"]
                return frozenset(str(server) for server in servers), ""
            except (ValueError, KeyError, TypeError):
                return None, f"confd-watch --show printed no pool: {line.text()[:200].strip()!r}"
    return None, ""


def _served(log: str, nonce: str) -> Mapping[str, int]:
    """Count the requests that each backend answered: of `a, b` it is the last, tried after the others."""
    pattern = re.compile(rf"passed to: ([0-9.:, ]+): [A-Z]+ \S*coreos-kit-verify={re.escape(nonce)}")
    return Counter(match.group(1).split(", ")[-1] for match in pattern.finditer(log))
