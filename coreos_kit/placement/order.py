"""The order in which units are placed: leaders before those that follow them."""

import heapq
from collections.abc import Sequence

from coreos_kit.placement.values import PlacementUnit


def leaders_first(units: Sequence[PlacementUnit]) -> list[PlacementUnit]:
    """Sort units, given in the order of their names, so that peers come before those that name them.

    Units that wait for each other in a circle come last.
    """
    index = {str(unit.name): i for i, unit in enumerate(units)}
    followers: dict[int, list[int]] = {}
    waits_for = []
    for i, unit in enumerate(units):
        leaders = {index[peer] for peer in unit.requirements.peers if peer in index}
        waits_for.append(len(leaders))
        for leader in leaders:
            followers.setdefault(leader, []).append(i)
    ready = [i for i, count in enumerate(waits_for) if not count]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for follower in followers.get(i, ()):
            waits_for[follower] -= 1
            if not waits_for[follower]:
                heapq.heappush(ready, follower)
    order += [i for i, count in enumerate(waits_for) if count]
    return [units[i] for i in order]
