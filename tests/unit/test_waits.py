"""How long a plan drains and pauses."""

from dataclasses import replace

import pytest

from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, UnitChange, Verb
from coreos_kit.model.services import LoadBalancer, Registration, Rollout
from coreos_kit.planning.waits import longest_stop_s, waits_s
from tests.unit.test_planning import cluster_of

PLAIN = cluster_of(3)
APACHE = replace(
    PLAIN.services[0],
    registration=Registration("/services/apache", drain_s=3),
    rollout=Rollout(pause_s=5),
    stop_timeout_s=20,
)
CLUSTER = replace(PLAIN, services=(APACHE,), load_balancers=(LoadBalancer("nginx_lb", "nginx_lb", "apache"),))


def step(verb: Verb, *units: str, machine: str = "core-1") -> Step:
    return Step(machine, tuple(UnitChange(UnitName.parse(unit), verb, machine, "why") for unit in units))


@pytest.mark.parametrize(
    ("waves", "seconds"),
    [
        ([], 0),
        ([[step(Verb.CREATE, "apache@1.service")]], 0),
        ([[step(Verb.RESTART, "apache@1.service")]], 0),
        ([[step(Verb.REMOVE, "apache@1.service", "apache-discovery@1.service")]], 3),
        ([[step(Verb.REPLACE, "apache@1.service")], [step(Verb.REPLACE, "apache@2.service")]], 16),
        ([[step(Verb.REPLACE, "apache@1.service"), step(Verb.REPLACE, "apache@2.service")]], 8),
        ([[step(Verb.REPLACE, "nginx_lb.service")]], 0),
        ([[step(Verb.REPLACE, "cron.service")]], 0),
    ],
)
def test_waves_drain_and_pause_one_after_the_other_their_steps_at_once(
    waves: list[list[Step]], seconds: int
) -> None:
    assert waits_s(CLUSTER, waves) == seconds


def test_a_sidekick_that_changes_drains_its_unit() -> None:
    sidekick = UnitChange(UnitName.parse("apache-discovery@1.service"), Verb.REPLACE, "core-1", "why")
    whole = Step("core-1", (sidekick,), (UnitName.parse("apache@1.service"),))

    assert waits_s(CLUSTER, [[whole]]) == 8


def test_until_it_stands_still_it_drains_and_then_has_its_time_to_stop() -> None:
    assert longest_stop_s(CLUSTER, ["apache", "nginx_lb", "cron"]) == {"apache": 23, "nginx_lb": 10}
