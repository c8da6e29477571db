"""`driver = "auto"`: fleet where fleetctl is, found out by the first look, which costs nothing extra."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import NoFleetError
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, Check, ClusterDriver, Glance, UnitOutcome


@dataclass(slots=True)
class AutoDriver:
    """`ports.ClusterDriver` that becomes one of the two when it first sees a machine.

    A fleet that is there and does not answer is `Unreachable`, and never taken for none.
    """

    fleet: FleetDriver
    systemd: SystemdDriver
    _chosen: ClusterDriver | None = None

    def observe(self, names: Collection[UnitName]) -> Observation:
        """See `ports.ClusterDriver.observe`."""
        if self._chosen is None:
            seen = self.fleet.try_observe(names)
            if seen.machines:  # of those that are dark nobody knows what they run
                self._chosen = self.fleet if seen.scheduler else self.systemd
            return seen
        return self._chosen.observe(names)

    def apply(self, change: Change) -> tuple[UnitOutcome, ...]:
        """See `ports.ClusterDriver.apply`."""
        return self._driver().apply(change)

    def apply_all(
        self, changes: Sequence[Change], *, timeout_s: int = 300
    ) -> Mapping[str, tuple[UnitOutcome, ...] | KitError]:
        """See `ports.ClusterDriver.apply_all`."""
        return self._driver().apply_all(changes, timeout_s=timeout_s)

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        """See `ports.ClusterDriver.wait_until_up`."""
        return self.systemd.wait_until_up(machine, units, checks, timeout_s=timeout_s)

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        """See `ports.ClusterDriver.hold_out`."""
        return self.systemd.hold_out(machine, sidekicks, look_at)

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        """See `ports.ClusterDriver.let_in`."""
        self.systemd.let_in(machine, sidekicks)

    def _driver(self) -> ClusterDriver:
        if self._chosen is None:
            try:
                self.fleet.look()
                self._chosen = self.fleet
            except NoFleetError:
                self._chosen = self.systemd
        return self._chosen
