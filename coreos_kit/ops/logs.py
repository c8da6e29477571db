"""Logs: the journals of all machines as one, in the order in which things happened."""

import heapq
import json
import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName
from coreos_kit.ops.session import Session
from coreos_kit.parallel import on_each

HOLD_BACK_S = 0.5  # how long a line waits for an earlier one of another machine
_YEAR_10000_US = 253_402_300_800_000_000
FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT"


@dataclass(frozen=True, slots=True, order=True)
class LogLine:
    """One journal entry; `time_us` is the machine's own clock, microseconds since the epoch."""

    time_us: int
    machine: str
    unit: str
    message: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A machine whose journal can't be read, and why."""

    machine: str
    error: KitError


def journal_argv(units: Sequence[UnitName], *, lines: int, follow: bool = False) -> list[str]:
    """Return the command that reads the journal of units as JSON lines."""
    argv = ["journalctl", "--no-pager", "--output=json", f"--output-fields={FIELDS}", f"--lines={lines}"]
    argv += [f"--unit={unit}" for unit in units]
    return [*argv, "--follow"] if follow else argv


def logs(session: Session, machines: dict[str, list[UnitName]], *, lines: int) -> Iterator[LogLine | Silence]:
    """Return the last `lines` of each machine's units, merged by time, then the machines that were silent."""
    answers = on_each(
        list(machines),
        lambda name: session.runner(name).run(
            journal_argv(machines[name], lines=lines), root=True, timeout_s=60
        ),
    )
    read = {
        name: [line for text in answer.text.splitlines() if (line := read_line(name, text))]
        for name, answer in answers.items()
        if not isinstance(answer, KitError)
    }
    yield from heapq.merge(*read.values())
    yield from (Silence(name, answer) for name, answer in answers.items() if isinstance(answer, KitError))


def follow(
    session: Session, machines: dict[str, list[UnitName]], *, lines: int, stop: Event
) -> Iterator[LogLine | Silence]:
    """Return lines as they come, held back a moment so that they fall into order; ends when `stop` is set."""
    arrived: queue.SimpleQueue[LogLine | Silence | None] = queue.SimpleQueue()

    def read(name: str) -> None:
        try:
            session.runner(name).stream(
                journal_argv(machines[name], lines=lines, follow=True),
                lambda text: arrived.put(read_line(name, text)),
                stop=stop,
                root=True,
            )
        except KitError as error:
            arrived.put(Silence(name, error))

    threads = [Thread(target=read, args=(name,), daemon=True) for name in machines]
    for thread in threads:
        thread.start()
    held: list[tuple[float, LogLine]] = []
    while not stop.is_set():
        try:
            item = arrived.get(timeout=HOLD_BACK_S / 5)
        except queue.Empty:
            item = None
            if not any(thread.is_alive() for thread in threads) and not held:
                return
        if isinstance(item, Silence):
            yield item
        elif item is not None:
            held.append((session.clock.now() + HOLD_BACK_S, item))
        now = session.clock.now()  # once: a line between two looks at the clock would be lost
        due = [line for deadline, line in held if deadline <= now]
        held = [(deadline, line) for deadline, line in held if deadline > now]
        yield from sorted(due)


def read_line(machine: str, text: str) -> LogLine | None:
    """Read one line of `journalctl --output=json`; None for what is no entry."""
    try:
        entry: dict[str, Any] = json.loads(text)
        time_us = int(entry["__REALTIME_TIMESTAMP"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    if not 0 <= time_us < _YEAR_10000_US:  # nobody could write it down
        return None
    return LogLine(
        time_us, machine, _text(entry.get("UNIT") or entry.get("_SYSTEMD_UNIT")), _text(entry.get("MESSAGE"))
    )


def _text(value: object) -> str:
    """Read a field: a string, numbers for the bytes of what is not UTF-8, a list of repeats, or null."""
    if isinstance(value, list):
        return _from_bytes(value) or " ".join(_one(item) for item in value)
    return _one(value)


def _one(value: object) -> str:
    if isinstance(value, list):
        return _from_bytes(value)
    return str(value) if isinstance(value, str | int | float) else ""


def _from_bytes(numbers: list[Any]) -> str:
    if not all(isinstance(item, int) and 0 <= item < 256 for item in numbers):
        return ""
    return bytes(numbers).decode("utf-8", "replace")
