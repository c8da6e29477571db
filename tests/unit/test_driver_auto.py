"""`driver = "auto"`: what is found out by the first look that sees anything."""

from collections.abc import Collection
from dataclasses import dataclass, field

from coreos_kit.adapters.fleet.auto import AutoDriver
from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import Observation, ObservedMachine, Scheduler
from coreos_kit.model.names import UnitName

MACHINE = ObservedMachine("core-1", "1" * 32, "b", "192.0.2.1", "", {})
DARK = Observation({}, {"core-1": Unreachable("core-1 can't be reached")})
WITH_FLEET = Observation({"core-1": MACHINE}, scheduler=Scheduler("1.0.0", "core-1"))
WITHOUT = Observation({"core-1": MACHINE})


@dataclass
class Looks:
    """A driver whose looks see what is said, one after the other."""

    seen: list[Observation]
    asked: list[str] = field(default_factory=list)

    def try_observe(self, names: Collection[UnitName]) -> Observation:
        del names
        self.asked.append("fleet")
        return self.seen.pop(0)

    def observe(self, names: Collection[UnitName]) -> Observation:
        del names
        self.asked.append("chosen")
        return self.seen.pop(0)


def auto(*fleet: Observation) -> tuple[AutoDriver, Looks, Looks]:
    by_fleet, by_systemd = Looks(list(fleet)), Looks([])
    return AutoDriver(by_fleet, by_systemd), by_fleet, by_systemd  # type: ignore[arg-type]


def test_fleet_is_asked_where_it_is() -> None:
    driver, fleet, _ = auto(WITH_FLEET, WITH_FLEET)

    assert [driver.observe([]).scheduler for _ in range(2)] == [WITH_FLEET.scheduler] * 2
    assert fleet.asked == ["fleet", "chosen"]


def test_where_there_is_no_fleet_systemd_is_asked() -> None:
    driver, fleet, systemd = auto(WITHOUT)
    systemd.seen.append(WITHOUT)

    driver.observe([])
    driver.observe([])

    assert (fleet.asked, systemd.asked) == (["fleet"], ["chosen"])


def test_a_look_that_sees_no_machine_decides_nothing() -> None:
    driver, fleet, systemd = auto(DARK, DARK, WITH_FLEET, WITH_FLEET)

    assert [driver.observe([]).scheduler for _ in range(4)] == [None, None, *[WITH_FLEET.scheduler] * 2]
    assert (fleet.asked, systemd.asked) == (["fleet", "fleet", "fleet", "chosen"], [])
