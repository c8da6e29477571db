"""The engine of a machine in memory, which keeps the promises of `ports.Engine`."""

from dataclasses import dataclass

from coreos_kit.errors import CommandFailed, Unreachable
from coreos_kit.testing.cluster import FakeCluster


@dataclass(frozen=True, slots=True)
class FakeEngine:
    """`ports.Engine` of one machine of a `FakeCluster`."""

    cluster: FakeCluster
    machine: str

    def pull(self, reference: str) -> str:
        """See `ports.Engine.pull`."""
        if self.cluster.machines[self.machine].is_down:
            raise Unreachable(f"{self.machine} does not answer", machine=self.machine)
        name, _, digest = reference.partition("@")
        if digest:
            self.cluster.log.append(f"{self.machine}: pull {name}")
            return digest
        if name not in self.cluster.images:
            raise CommandFailed(f"{self.machine}: can't pull {name}: not found", machine=self.machine)
        return self.cluster.images[name]

    def remove_container(self, container_id: str) -> None:
        """See `ports.Engine.remove_container`."""
        machine = self.cluster.machines[self.machine]
        machine.strays = [stray for stray in machine.strays if stray.id != container_id]
        self.cluster.log.append(f"{self.machine}: remove container {container_id}")
