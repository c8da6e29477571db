"""What one look at fleet gave, and what it means beside the machines' own snapshots."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from coreos_kit.adapters.answers import Line, understood
from coreos_kit.adapters.fleet.lists import (
    INACTIVE,
    FleetMachine,
    RegistryEntry,
    UnitState,
    machines_of,
    registry_of,
    states_of,
)
from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit, Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, MachineEntry
from coreos_kit.units.ownership import owner_of

PENDING = "pending"
_OF_FLEET = ("/run/fleet/", "/run/systemd/")


@dataclass(frozen=True, slots=True)
class Sight:
    """fleet's three lists, and the texts behind their hashes."""

    version: str
    gateway: str
    machines: tuple[FleetMachine, ...] = ()
    registry: Mapping[UnitName, RegistryEntry] = field(default_factory=dict)
    states: Mapping[UnitName, tuple[UnitState, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)  # by hash

    def text(self, entry: RegistryEntry) -> str | None:
        """Return a unit's text as fleet keeps it: without comments."""
        return self.texts.get(entry.hash)

    def of(self, name: UnitName) -> tuple[UnitState, ...]:
        """Return what systemd says of a unit, on each machine that has it."""
        return self.states.get(name, ())

    def machine_ids(self, entry: RegistryEntry) -> tuple[str, ...]:
        """Return the machines that have a unit."""
        if entry.is_global:
            return tuple(sorted({state.machine_id for state in self.of(entry.name)}))
        return (entry.machine_id,) if entry.machine_id else ()


def read_sight(gateway: str, lines: tuple[Line, ...], known: Mapping[str, str]) -> Sight:
    """Read what fleet_observe.sh printed; raises `CommandFailed` where it makes no sense."""
    with understood(gateway):
        said = {line.key: line for line in lines}
        texts = {line.word(): line.text(1) for line in lines if line.key == "text"}
        return Sight(
            version=said["fleetctl"].word(),
            gateway=gateway,
            machines=machines_of(said["machines"].text()),
            registry=registry_of(said["registry"].text()),
            states=states_of(said["units"].text()),
            texts={**known, **texts},
        )


def names_of(cluster: Cluster, sight: Sight, seen: Mapping[str, ObservedMachine]) -> Mapping[str, str]:
    """Say what the configuration calls each of fleet's machines, by id; of a stranger, its address."""
    by_id = {machine.machine_id: name for name, machine in seen.items()}
    by_address = {entry.private_ip: entry.name for entry in cluster.machines if entry.private_ip}
    by_host = {entry.destination.rpartition("@")[2]: entry.name for entry in cluster.machines}
    return {
        machine.id: by_id.get(machine.id)
        or by_address.get(machine.ip)
        or by_host.get(machine.ip)
        or machine.ip
        or machine.id[:8]
        for machine in sight.machines
    }


def stranger_entry(name: str, ip: str, gateway: MachineEntry) -> MachineEntry:
    """Say how to reach a machine that only fleet names: as the gateway's user, through the gateway."""
    user, at, _ = gateway.destination.rpartition("@")
    return MachineEntry(
        name=name,
        destination=f"{user}{at}{ip}",
        private_ip=ip,
        identity_file=gateway.identity_file,
        known_hosts_file=gateway.known_hosts_file,
        through=gateway.name,
    )


def observation_of(
    sight: Sight,
    names: Mapping[str, str],
    seen: Mapping[str, ObservedMachine],
    unreachable: Mapping[str, KitError],
) -> Observation:
    """Put fleet's view and the machines' own together: fleet says what is where, systemd how it is."""
    machines = dict(seen)
    counted = {names[machine.id]: machine for machine in sight.machines}
    for name, known in counted.items():
        if name not in machines:
            machines[name] = _unseen(name, known, unreachable.get(name))
    units = _units_by_machine(sight, names, machines)
    return Observation(
        machines={
            name: replace(
                machine,
                units=units.get(name, ()),
                private_ip=machine.private_ip or (counted[name].ip if name in counted else ""),
                metadata=counted[name].metadata if name in counted else machine.metadata,
            )
            for name, machine in machines.items()
        },
        unreachable=unreachable,
        scheduler=Scheduler(sight.version, sight.gateway),
        unplaced=tuple(_unplaced(sight)),
    )


def _unseen(name: str, known: FleetMachine, error: KitError | None) -> ObservedMachine:
    """What fleet says of a machine that does not answer itself."""
    return ObservedMachine(
        name=name,
        machine_id=known.id,
        boot_id="",
        private_ip=known.ip,
        public_ip="",
        metadata=known.metadata,
        engine_error=str(error or f"{name} was not asked"),
    )


def _units_by_machine(
    sight: Sight, names: Mapping[str, str], machines: Mapping[str, ObservedMachine]
) -> Mapping[str, tuple[ObservedUnit, ...]]:
    own = {(unit.machine, unit.name): unit for machine in machines.values() for unit in machine.units}
    # What lies in /etc is not fleet's, and goes before it: planning refuses a unit of the same name.
    units: dict[str, list[ObservedUnit]] = {
        name: [
            replace(unit, project="", service="")
            for unit in machine.units
            if not unit.fragment_path.startswith(_OF_FLEET)
        ]
        for name, machine in machines.items()
    }
    for entry in sight.registry.values():
        states = {state.machine_id: state for state in sight.of(entry.name)}
        for id_ in sight.machine_ids(entry):
            machine = names.get(id_)
            if machine is not None:
                live = own.get((machine, entry.name))
                units[machine].append(_unit(sight, entry, machine, states.get(id_), live))
    return {machine: tuple(sorted(found, key=lambda unit: unit.name)) for machine, found in units.items()}


def _unit(
    sight: Sight, entry: RegistryEntry, machine: str, state: UnitState | None, live: ObservedUnit | None
) -> ObservedUnit:
    text = sight.text(entry)
    owner = owner_of(text or "")
    unit = ObservedUnit(
        name=entry.name,
        machine=machine,
        text=text,
        load_state="loaded",
        active_state=state.active if state else INACTIVE,
        sub_state=state.sub if state else entry.state,
        fragment_path=f"/run/fleet/units/{entry.name}",
        project=owner.project,
        service=owner.service,
    )
    # fleet publishes states a moment late; where the machine was asked itself, it knows better, and more.
    if live is None or not live.fragment_path.startswith(_OF_FLEET):
        return unit
    return replace(
        unit,
        active_state=live.active_state,
        sub_state=live.sub_state,
        restarts=live.restarts,
        since=live.since,
        needs_reload=live.needs_reload,
        own_file=live.own_file,
        drop_ins=live.drop_ins,
    )


def _unplaced(sight: Sight) -> Iterator[ObservedUnit]:
    counted = {machine.id for machine in sight.machines}
    for entry in sight.registry.values():
        if entry.name.is_template or entry.is_global or counted.intersection(sight.machine_ids(entry)):
            continue
        text = sight.text(entry)
        owner = owner_of(text or "")
        yield ObservedUnit(
            name=entry.name,
            machine="",
            text=text,
            load_state="",
            active_state=PENDING if entry.desired != INACTIVE else INACTIVE,
            sub_state="",
            fragment_path="",
            project=owner.project,
            service=owner.service,
        )
