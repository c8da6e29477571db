"""The same question to many machines at once, each with its own answer or its own failure."""

import threading
from collections.abc import Callable, Hashable, Iterable
from queue import SimpleQueue
from typing import TypeVar

from coreos_kit.errors import KitError

AT_A_TIME = 32

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def on_each(
    items: Iterable[K], action: Callable[[K], V], *, at_a_time: int = AT_A_TIME
) -> dict[K, V | KitError]:
    """Run `action` for every item and return what each gave, in the order of `items`.

    A `KitError` is a result; anything else is a bug and comes out as it is, at once. The threads don't
    outlive an interrupted process.
    """
    waiting = list(dict.fromkeys(items))
    if len(waiting) == 1:
        return {waiting[0]: _attempt(waiting[0], action)}
    todo: SimpleQueue[K | None] = SimpleQueue()
    done: SimpleQueue[tuple[K, V | KitError] | Exception] = SimpleQueue()

    def work() -> None:
        while (item := todo.get()) is not None:
            try:
                done.put((item, _attempt(item, action)))
            except Exception as bug:  # noqa: BLE001 handed to the caller, who raises it
                done.put(bug)

    workers = min(at_a_time, len(waiting))
    for item in [*waiting, *[None] * workers]:
        todo.put(item)
    for number in range(workers):
        threading.Thread(target=work, name=f"on-each-{number}", daemon=True).start()
    results: dict[K, V | KitError] = {}
    for _ in waiting:
        result = done.get()
        if isinstance(result, Exception):
            raise result
        results[result[0]] = result[1]
    return {item: results[item] for item in waiting}


def _attempt(item: K, action: Callable[[K], V]) -> V | KitError:
    try:
        return action(item)
    except KitError as error:
        return error
