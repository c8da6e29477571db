"""How long a plan drains, stops and pauses, as the configuration has it. Starting takes what it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.model.plan import Step, Verb
from coreos_kit.model.project import Cluster


@dataclass(frozen=True, slots=True)
class _Times:
    """Of one service or balancer, in seconds."""

    drain_s: int
    stop_s: int  # at most
    pause_s: int


def longest_stop_s(cluster: Cluster, services: Sequence[str]) -> Mapping[str, int]:
    """Return how long each of these services and balancers takes at most from leaving the pool to its end."""
    times = _times(cluster)
    return {name: times[name].drain_s + times[name].stop_s for name in services if name in times}


def slowest_stop_s(cluster: Cluster) -> int:
    """Return how long whichever unit of a cluster takes longest may take to drain and stop."""
    return max((one.drain_s + one.stop_s for one in _times(cluster).values()), default=0)


def waits_s(cluster: Cluster, waves: Sequence[Sequence[Step]]) -> int:
    """Return for how long a plan drains and pauses, one wave after the other; it can't be quicker."""
    times = _times(cluster)
    return sum(max((_wait_s(step, times) for step in wave), default=0) for wave in waves)


def _wait_s(step: Step, times: Mapping[str, _Times]) -> int:
    """The units of a step stop at once; after one that stays there is a pause."""
    leaving = {change.name for change in step.changes if change.verb is Verb.REMOVE}
    stopping = {change.name for change in step.changes if change.verb is Verb.REPLACE} | {*step.restarts}
    found = [(times[unit.prefix], unit) for unit in leaving | stopping if unit.prefix in times]
    return max((one.drain_s + (one.pause_s if unit in stopping else 0) for one, unit in found), default=0)


def _times(cluster: Cluster) -> Mapping[str, _Times]:
    balancers = {balancer.name: _Times(0, balancer.stop_timeout_s, 0) for balancer in cluster.load_balancers}
    return balancers | {
        service.name: _Times(
            service.registration.drain_s if service.registration else 0,
            service.stop_timeout_s,
            service.rollout.pause_s,
        )
        for service in cluster.services
    }
