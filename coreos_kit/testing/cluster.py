"""A cluster in memory that keeps the promises of the driver, the prober and the etcd store.

Sidekicks register when they start and deregister when they stop, the balancer follows at once; nothing else
happens by itself. What it claims is shown on real machines by the contract suites.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.cluster import EtcdEntry, Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, EtcdApi
from coreos_kit.model.services import Registration, server_of
from coreos_kit.ports import Change, Check, Glance, Probe, ProbeOrder, UnitOutcome
from coreos_kit.testing.etcd import FakeEtcdStore
from coreos_kit.testing.machine import FakeMachine


class FakeCluster:
    """Driver, prober and etcd store at once. `log` says what was asked of which machine, in order.

    `broken` names units that never become active, as no unit does whose text has `broken_text` in it;
    `images` are what an engine can pull; `planted` are registrations that no sidekick wrote; `kept` is what
    the kit itself writes into etcd.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.machines = {
            entry.name: FakeMachine(
                entry.name,
                machine_id=f"{index:032x}",
                private_ip=entry.private_ip or f"192.0.2.{index}",
                public_ip=f"198.51.100.{index}",
                metadata=entry.metadata,
            )
            for index, entry in enumerate(cluster.machines, start=1)
        }
        self.broken: set[UnitName] = set()
        self.broken_text = ""
        self.images: dict[str, str] = {}
        self.planted: list[EtcdEntry] = []
        self.kept = FakeEtcdStore(cluster.etcd_api)
        self.log: list[str] = []
        self.etcd_is_down = False

    def where(self, name: UnitName) -> list[str]:
        """Return the machines that have a file of that name."""
        return [machine.name for machine in self.machines.values() if name in machine.files]

    def names(self) -> list[str]:
        """Return every unit file of the cluster as `machine/unit`, sorted."""
        return sorted(
            f"{machine.name}/{name}" for machine in self.machines.values() for name in machine.files
        )

    # The driver

    def observe(self, names: Collection[UnitName]) -> Observation:
        """See `ports.ClusterDriver.observe`."""
        del names  # a machine in memory has no units but the kit's and those that a test put there
        return Observation(
            {machine.name: machine.snapshot() for machine in self.machines.values() if not machine.is_down},
            {
                machine.name: Unreachable(f"{machine.name} does not answer", machine=machine.name)
                for machine in self.machines.values()
                if machine.is_down
            },
        )

    def apply(self, change: Change) -> tuple[UnitOutcome, ...]:
        """See `ports.ClusterDriver.apply`."""
        machine = self._up(change.machine)
        asked = {
            "disable": change.disable,
            "stop": change.stop,
            "remove": change.remove,
            "write": tuple(change.write),
            "start": change.start,
        }
        for verb, names in asked.items():
            if names:
                self.log.append(f"{machine.name}: {verb} {' '.join(str(name) for name in names)}")
        machine.active -= {*change.stop, *machine.bound_to(change.stop)}
        machine.held_out &= machine.active
        for name in change.remove:
            machine.files.pop(name, None)
        machine.files |= change.write
        if change.environment is not None:
            machine.environment = change.environment
            self.log.append(f"{machine.name}: environment")
        came = {name for name in change.start if name in machine.files and self._comes_up(machine, name)}
        machine.started |= {name: machine.files[name] for name in came - machine.active}
        machine.active |= came
        return tuple(machine.outcome(name) for name in (*change.stop, *change.remove, *change.start))

    def apply_all(
        self, changes: Sequence[Change], *, timeout_s: int = 300
    ) -> Mapping[str, tuple[UnitOutcome, ...] | KitError]:
        """See `ports.ClusterDriver.apply_all`."""
        del timeout_s
        return {change.machine: self._attempt(change) for change in changes}

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        """See `ports.ClusterDriver.wait_until_up`."""
        del checks, timeout_s
        there = self._up(machine)
        return tuple(there.outcome(name) for name in units), all(name in there.active for name in units)

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        """See `ports.ClusterDriver.hold_out`."""
        there = self._up(machine)
        if sidekicks:
            self.log.append(f"{machine}: hold out {' '.join(map(str, sidekicks))}")
        there.held_out |= there.active.intersection(sidekicks)
        return Glance(there.boot_id, {name: there.digest(name) for name in look_at})

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        """See `ports.ClusterDriver.let_in`."""
        self._up(machine).held_out.difference_update(sidekicks)
        self.log.append(f"{machine}: let in {' '.join(map(str, sidekicks))}")

    # The prober

    def probe(self, order: ProbeOrder) -> Probe:
        """See `ports.Prober.probe`."""
        self._up(order.machine)
        pool = frozenset(entry.value for entry in self._registrations()) if order.container else None
        backends = {
            check.address: "" if self._answers(check.address) else "refused" for check in order.checks
        }
        well = sorted(server for server in pool or () if self._answers(server))
        served = Counter(well[number % len(well)] for number in range(order.requests) if well)
        return Probe(backends, pool, "", (200,) * order.requests, served)

    # The etcd store

    @property
    def api(self) -> EtcdApi:
        """See `ports.EtcdStore.api`."""
        return self.cluster.etcd_api

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """See `ports.EtcdStore.entries`."""
        kept = self._etcd().entries(prefix)
        registered = (entry for entry in self._registrations() if entry.key.startswith(f"{prefix}/"))
        return tuple(sorted((*registered, *kept), key=lambda entry: entry.key))

    def entry(self, key: str) -> EtcdEntry | None:
        """See `ports.EtcdStore.entry`."""
        kept = self._etcd().entry(key)
        return kept or next((entry for entry in self._registrations() if entry.key == key), None)

    def put(self, key: str, value: str) -> None:
        """See `ports.EtcdStore.put`."""
        self._etcd().put(key, value)

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """See `ports.EtcdStore.create`."""
        return self._etcd().create(key, value, ttl_s)

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """See `ports.EtcdStore.renew`."""
        return self._etcd().renew(key, value, lease, ttl_s)

    def delete_if_value(self, key: str, value: str) -> bool:
        """See `ports.EtcdStore.delete_if_value`; what a live sidekick keeps is back at once."""
        if self._etcd().delete_if_value(key, value):
            return True
        there = [entry for entry in self._registrations() if (entry.key, entry.value) == (key, value)]
        self.planted = [entry for entry in self.planted if entry not in there]
        self.log.append(f"etcd: delete {key}")
        return bool(there)

    def _etcd(self) -> FakeEtcdStore:
        if self.etcd_is_down:
            raise Unreachable("etcd does not answer")
        return self.kept

    def _registrations(self) -> list[EtcdEntry]:
        return [*self._kept_alive(), *self.planted]

    def _kept_alive(self) -> list[EtcdEntry]:
        return [
            _entry(service.registration, machine, name)
            for machine in self.machines.values()
            if not machine.is_down
            for service in self.cluster.services
            if service.registration and service.sidekick
            for name in sorted(machine.active)
            if name.is_instance and name.template == service.sidekick and name not in machine.held_out
        ]

    def _answers(self, address: str) -> bool:
        host, _, port = address.partition(":")
        return any(
            machine.private_ip == host
            and not machine.is_down
            and any(name.instance == port for name in machine.active)
            for machine in self.machines.values()
        )

    def _comes_up(self, machine: FakeMachine, name: UnitName) -> bool:
        return name not in self.broken and not (self.broken_text and self.broken_text in machine.files[name])

    def _attempt(self, change: Change) -> tuple[UnitOutcome, ...] | KitError:
        try:
            return self.apply(change)
        except KitError as error:
            return error

    def _up(self, name: str) -> FakeMachine:
        machine = self.machines[name]
        if machine.is_down:
            raise Unreachable(f"{name} does not answer", machine=name)
        return machine


def _entry(registration: Registration, machine: FakeMachine, sidekick: UnitName) -> EtcdEntry:
    instance = sidekick.instance or ""
    return EtcdEntry(
        registration.key_for(machine.private_ip, instance),
        server_of(machine.private_ip, instance),
        registration.ttl_s,
        registration.ttl_s,
    )
