"""One machine of a cluster in memory: its files, what runs, and how that looks from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.model.cluster import ObservedContainer, ObservedMachine, ObservedUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import container_name
from coreos_kit.planning.recording import digest
from coreos_kit.ports import UnitOutcome
from coreos_kit.units.ownership import owner_of


@dataclass(slots=True)
class FakeMachine:
    """One machine: its files, and which of its units are active."""

    name: str
    machine_id: str
    private_ip: str
    public_ip: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: dict[UnitName, str] = field(default_factory=dict)
    active: set[UnitName] = field(default_factory=set)
    environment: str | None = None
    is_down: bool = False
    started: dict[UnitName, str] = field(default_factory=dict)  # the text that each was started from
    strays: list[ObservedContainer] = field(default_factory=list)  # containers that no unit runs
    held_out: set[UnitName] = field(default_factory=set)  # sidekicks that run and stay out of etcd
    boot_id: str = "b" * 8

    def bound_to(self, stopped: Sequence[UnitName]) -> set[UnitName]:
        """Return the sidekicks that go with their units, as BindsTo= has it."""
        return {
            name
            for name in self.active
            for main in stopped
            if f"BindsTo={main.prefix}@%i.{main.type}" in self.files.get(name, "")
            and name.instance == main.instance
        }

    def digest(self, name: UnitName) -> str:
        """Return a unit's file as `ports.Glance` has it."""
        return digest(self.files[name]) if name in self.files else ""

    def outcome(self, name: UnitName) -> UnitOutcome:
        """Return how a unit is, as after a change."""
        is_active = name in self.active
        return UnitOutcome(
            name,
            self.name,
            "active" if is_active else "inactive",
            "running" if is_active else "dead",
            "success",
        )

    def snapshot(self) -> ObservedMachine:
        """Return what a driver sees of it."""
        units = []
        active = sorted(self.active)
        for name, text in sorted(self.files.items()):
            owner = owner_of(text)
            state = ("active", "running") if name in self.active else ("inactive", "dead")
            units.append(
                ObservedUnit(
                    name, self.name, text, "loaded", *state, f"/etc/systemd/system/{name}",
                    project=owner.project, service=owner.service,
                    is_older_than_file=self.started.get(name) != text,
                )
            )  # fmt: skip
        return ObservedMachine(
            name=self.name,
            machine_id=self.machine_id,
            boot_id=self.boot_id,
            private_ip=self.private_ip,
            public_ip=self.public_ip,
            metadata=self.metadata,
            units=tuple(units),
            containers=(
                *(ObservedContainer(container_name(name), "c", "running", "", "") for name in active),
                *self.strays,
            ),
            environment=self.environment,
        )
