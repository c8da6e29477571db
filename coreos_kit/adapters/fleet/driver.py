"""The fleet driver: fleetctl on one machine of the cluster, systemd's own word from the others."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from coreos_kit.adapters.answers import Line, understood
from coreos_kit.adapters.fleet.gateway import Gateway, NoFleetError
from coreos_kit.adapters.fleet.lists import registry_of, states_of
from coreos_kit.adapters.fleet.order import Order, order_of
from coreos_kit.adapters.fleet.outcomes import End, Up, end_of, failure_of, ids_of, outcomes_of, places_of
from coreos_kit.adapters.fleet.sight import (
    Sight,
    names_of,
    observation_of,
    read_sight,
    stranger_entry,
)
from coreos_kit.adapters.scripts import script
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import MachineEntry
from coreos_kit.parallel import on_each
from coreos_kit.planning.waits import slowest_stop_s
from coreos_kit.ports import Change, Check, Glance, UnitOutcome
from coreos_kit.units.fleet_hash import fleet_hash

OBSERVE_TIMEOUT_S = 60
APPLY_TIMEOUT_S = 300

Applied = tuple[UnitOutcome, ...] | KitError
Join = Callable[[MachineEntry], None]  # opens the doors to a machine that the configuration doesn't name


@dataclass(slots=True)
class FleetDriver:
    """`ports.ClusterDriver` on a cluster that fleet schedules; `machines` asks each machine itself."""

    machines: SystemdDriver
    gateway: Gateway
    join: Join
    _texts: dict[str, str] = field(default_factory=dict)  # by hash: what need not be asked again
    _names: dict[str, str] = field(default_factory=dict)  # machine id -> name
    _sight: Sight | None = None

    def observe(self, names: Collection[UnitName]) -> Observation:
        """Ask fleet and every machine at once; see `ports.ClusterDriver.observe`.

        Raises `Unreachable` when fleet answers on no machine.
        """
        sight, seen = self._observe(names)
        if isinstance(sight, KitError):
            raise sight
        return self._together(sight, seen, names)

    def try_observe(self, names: Collection[UnitName]) -> Observation:
        """Do the same where there may be no fleet: then it is the machines' own word, without a scheduler."""
        sight, seen = self._observe(names)
        if isinstance(sight, NoFleetError) or not seen.machines:
            return seen
        if isinstance(sight, KitError):
            raise sight
        return self._together(sight, seen, names)

    def _observe(self, names: Collection[UnitName]) -> tuple[Sight | KitError, Observation]:
        with ThreadPoolExecutor(max_workers=1) as pool:
            asking = pool.submit(self._try_look)
            seen = self.machines.observe(names)
            return asking.result(), seen

    def _try_look(self) -> Sight | KitError:
        try:
            return self.look()
        except KitError as error:
            return error

    def _together(self, sight: Sight, seen: Observation, names: Collection[UnitName]) -> Observation:
        self._names = dict(names_of(self.machines.cluster, sight, seen.machines))
        strangers = {
            name: machine.ip
            for machine in sight.machines
            if machine.ip and (name := self._names[machine.id]) not in self.machines.runners
        }
        machines, unreachable = dict(seen.machines), dict(seen.unreachable)
        if strangers:
            met = self._meet(strangers, sight.gateway).observe(names)
            machines |= met.machines
            unreachable |= met.unreachable
        return observation_of(sight, self._names, machines, unreachable)

    def _meet(self, strangers: Mapping[str, str], gateway: str) -> SystemdDriver:
        """Take in machines that only fleet's list names; from now on they are asked with the others."""
        cluster = self.machines.cluster
        known = next(entry for entry in cluster.machines if entry.name == gateway)
        entries = tuple(stranger_entry(name, ip, known) for name, ip in sorted(strangers.items()))
        for entry in entries:
            self.join(entry)
        self.machines = replace(
            self.machines, cluster=replace(cluster, machines=(*cluster.machines, *entries))
        )
        return replace(self.machines, cluster=replace(cluster, machines=entries))

    def apply(self, change: Change) -> tuple[UnitOutcome, ...]:
        """Make one change; see `ports.ClusterDriver.apply`."""
        applied = self.apply_all([change])[change.machine]
        if isinstance(applied, KitError):
            raise applied
        return applied

    def apply_all(
        self, changes: Sequence[Change], *, timeout_s: int = APPLY_TIMEOUT_S
    ) -> Mapping[str, Applied]:
        """Make all changes as one; see `ports.ClusterDriver.apply_all`."""
        timeout_s = max(timeout_s, slowest_stop_s(self.machines.cluster))
        written = on_each(
            [change.machine for change in changes if change.environment is not None],
            lambda machine: self._write_environment(machine, changes),
        )
        asked = [change for change in changes if not isinstance(written.get(change.machine), KitError)]
        order = order_of(asked)
        if not (order.stop or order.remove or order.write or order.start):
            return {change.machine: written.get(change.machine) or () for change in changes}
        lines = self._carry_out(order, timeout_s)
        with understood("fleet"):
            sight = self._after(order, lines)
            end = end_of(lines)
        up = self._wait_for_starts(sight, order, timeout_s) if end.has_asked_all else {}
        failure = None if end.has_asked_all else self._failure(end, sight, timeout_s)
        applied: dict[str, Applied] = {
            machine: error for machine, error in written.items() if isinstance(error, KitError)
        }
        for change in asked:
            if failure and end.holds_up(change):
                applied[change.machine] = failure
            else:
                applied[change.machine] = tuple(outcomes_of(change, sight, self._names, up))
        return applied

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        """Wait on the machine itself; see `ports.ClusterDriver.wait_until_up`."""
        if machine not in self.machines.runners:
            raise Unreachable(f"{machine} has joined the fleet, and nobody knows how to reach it")
        return self.machines.wait_until_up(machine, units, checks, timeout_s=timeout_s)

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        """Signal on the machine itself: fleet does not pass signals on."""
        return self.machines.hold_out(machine, sidekicks, look_at)

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        """See `ports.ClusterDriver.let_in`."""
        self.machines.let_in(machine, sidekicks)

    def look(self) -> Sight:
        """Ask fleet for its lists and every text; raises `Unreachable` when it answers on no machine."""
        known = "".join(f"{hash_}\n" for hash_ in sorted(self._texts))
        gateway, lines = self.gateway.ask(script("fleet_observe"), (), known.encode(), OBSERVE_TIMEOUT_S)
        self._sight = read_sight(gateway, lines, self._texts)
        self._texts = dict(self._sight.texts)
        return self._sight

    def _carry_out(self, order: Order, timeout_s: int) -> tuple[Line, ...]:
        first = "load" if order.load_first else "start"
        # Four waits at most, and what fleetctl itself takes for many units.
        limit_s = 4 * timeout_s + APPLY_TIMEOUT_S
        _, lines = self.gateway.ask(script("fleet_apply"), [str(timeout_s), first], order.as_tar(), limit_s)
        return lines

    def _write_environment(self, machine: str, changes: Sequence[Change]) -> tuple[UnitOutcome, ...]:
        text = next(change.environment for change in changes if change.machine == machine)
        return self.machines.apply(Change(machine, environment=text))

    def _after(self, order: Order, lines: tuple[Line, ...]) -> Sight:
        """Read the lists that stand at the end of a change."""
        said = {line.key: line for line in lines}
        before = self._sight or self.look()
        self._texts |= {fleet_hash(text): text for text in dict.fromkeys(order.write.values())}
        self._sight = replace(
            before,
            registry=registry_of(said["registry"].text()),
            states=states_of(said["units"].text()),
            texts=self._texts,
        )
        if not self._names or not ids_of(self._sight, order.start) <= self._names.keys():
            # There was no look before, or a machine has joined since.
            self._together(self.look(), self.machines.observe(()), ())
        return self._sight

    def _wait_for_starts(self, sight: Sight, order: Order, timeout_s: int) -> Up:
        """Wait, on the machines that fleet chose, until what was started is up or has failed."""
        there: dict[str, list[UnitName]] = {}
        for name in order.start:
            for machine in places_of(sight, name, self._names):
                if machine in self.machines.runners:
                    there.setdefault(machine, []).append(name)
        results = on_each(
            there,
            lambda machine: self.machines.wait_until_up(machine, there[machine], (), timeout_s=timeout_s)[0],
        )
        return {
            (outcome.name, machine): outcome
            for machine, result in results.items()
            if not isinstance(result, KitError)
            for outcome in result
        }

    def _failure(self, end: End, sight: Sight, timeout_s: int) -> KitError:
        """Ask the machine of the first unit that is left why it is; a machine that is silent says so."""
        first = end.first_left
        machine = next(iter(places_of(sight, first, self._names)), "") if first else ""
        journal = self._journal(machine, first) if machine and first else ()
        return failure_of(end, sight, machine, journal, timeout_s)

    def _journal(self, machine: str, name: UnitName) -> tuple[str, ...]:
        try:
            outcomes, _ = self.machines.wait_until_up(machine, [name], (), timeout_s=0)
        except KitError as error:
            return (str(error),)
        return outcomes[0].journal if outcomes else ()
