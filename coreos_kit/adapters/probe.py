"""The prober: a constant script on the balancer's machine that looks at pool, backends and requests."""

import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.adapters.answers import Line, read_answer, understood
from coreos_kit.adapters.scripts import script
from coreos_kit.ports import Probe, ProbeOrder, Runner, WatcherWord

PROBE_TIMEOUT_S = 60  # beside what the backends' checks may take
REQUESTS_S = 25  # for all of them together
_CODE = re.compile("[0-9]{3}")  # 000: curl got no answer
_NOT_A_BACKENDS = frozenset({0, 502, 504})  # what comes where no backend has answered


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
                self.engine_path, order.container, order.balancer, nonce,
                str(order.requests), str(REQUESTS_S),
                *(f"{check.kind}|{check.address}|{check.path}|{check.timeout_s}" for check in order.checks),
            ],
            root=True,
            timeout_s=PROBE_TIMEOUT_S + max((check.timeout_s for check in order.checks), default=0),
        )  # fmt: skip
        lines = read_answer(order.machine, completed)
        with understood(order.machine):
            return read_probe(lines, nonce)


def read_probe(lines: tuple[Line, ...], nonce: str) -> Probe:
    """Read what probe.sh printed; a pool that is no list of addresses is an error, not an empty pool."""
    pool, pool_error, watcher = _pool(lines)
    codes = tuple(int(line.word()) for line in lines if line.key == "code" and _CODE.fullmatch(line.word()))
    log = next((line.text() for line in lines if line.key == "log"), "")
    return Probe(
        backends={
            line.word(): "" if line.word(1) == "yes" else line.text(2).strip()
            for line in lines
            if line.key == "backend"
        },
        pool=pool,
        pool_error=pool_error,
        codes=codes,
        served=_served(log, nonce, codes),
        log_error=next((_complaint(line) for line in lines if line.key == "log-error"), ""),
        watcher=watcher,
    )


def _complaint(line: Line) -> str:
    return line.text().strip() or "it gave no answer in time"


def _pool(lines: tuple[Line, ...]) -> tuple[frozenset[str] | None, str, WatcherWord]:
    for line in lines:
        if line.key == "pool-error":
            return None, line.text().strip(), WatcherWord()
        if line.key == "pool":
            try:
                shown = json.loads(line.text())
                if not isinstance(shown["servers"], list):
                    raise TypeError(shown)
                return frozenset(str(server) for server in shown["servers"]), "", _watcher(shown)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                said = f"confd-watch --show printed no pool: {line.text()[:200].strip()!r}"
                return None, said, WatcherWord()
    return None, "", WatcherWord()


def _watcher(shown: Mapping[str, object]) -> WatcherWord:
    """Read what the watcher says beside the pool; confd says less than the kit's own."""
    etcd = str(shown.get("etcd") or "connected")
    problem = "" if etcd == "connected" else f"{etcd}: {shown.get('etcd_problem') or ''}"
    return WatcherWord(
        etcd_problem=problem,
        held=frozenset(_strings(shown.get("held"))),
        configuration_problem=str(shown.get("configuration_problem") or ""),
        configuration_differs=tuple(_strings(shown.get("configuration_differs"))),
    )


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _served(log: str, nonce: str, codes: Sequence[int]) -> Mapping[str, int]:
    """Count the requests that each backend answered: of `a, b` it is the last, tried after the others.

    The log also names a backend that Nginx asked in vain: then the answer was Nginx's own.
    """
    pattern = re.compile(
        rf"passed to: ([0-9.:, ]+): [A-Z]+ \S*coreos-kit-verify={re.escape(nonce)}&n=([0-9]{{1,9}})\s"
    )
    answered = {str(number) for number, code in enumerate(codes, 1) if code not in _NOT_A_BACKENDS}
    return Counter(match[1].split(", ")[-1] for match in pattern.finditer(log) if match[2] in answered)
