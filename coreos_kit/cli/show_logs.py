"""Journal lines as they come: text, or JSON Lines."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from threading import Event

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.names import UnitName
from coreos_kit.ops.logs import LogLine, Silence, logs
from coreos_kit.ops.logs import follow as follow_logs
from coreos_kit.ops.session import Session
from coreos_kit.ops.units import find
from coreos_kit.ops.verify import configured_units


def show(settings: Settings, session: Session, patterns: Sequence[str], *, lines: int, follow: bool) -> bool:
    """Print the journals; return whether every machine could be read."""
    machines = _units_by_machine(session, patterns)
    stop = Event()
    complete = True
    found: Iterator[LogLine | Silence] = (
        follow_logs(session, machines, lines=lines, stop=stop)
        if follow
        else logs(session, machines, lines=lines)
    )
    collected: list[LogLine] = []
    try:
        for item in found:
            if isinstance(item, Silence):
                complete = False
                output.say(f"{item.machine}: {item.error}")
            elif settings.json and not follow:
                collected.append(item)
            else:
                _print(settings, item)
    finally:
        stop.set()
    if settings.json and not follow:
        output.print_json(
            "logs",
            {
                "cluster": session.cluster.name,
                "complete": complete,
                "lines": [_body(line) for line in collected],
            },
        )
    return complete


def _units_by_machine(session: Session, patterns: Sequence[str]) -> dict[str, list[UnitName]]:
    """Say what to read where: without patterns every configured unit everywhere, else what matches."""
    if not patterns:
        return {name: configured_units(session.cluster) for name in session.runners}
    machines: dict[str, list[UnitName]] = {}
    for unit in find(session, patterns):
        machines.setdefault(unit.machine, []).append(unit.name)
    return machines


def _print(settings: Settings, line: LogLine) -> None:
    if settings.json:
        output.print_json("logs", _body(line))
        return
    time = datetime.fromtimestamp(line.time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    output.line(f"{time}Z {line.machine} {line.unit}: {line.message}")


def _body(line: LogLine) -> dict[str, object]:
    return {"time_us": line.time_us, "machine": line.machine, "unit": line.unit, "message": line.message}
