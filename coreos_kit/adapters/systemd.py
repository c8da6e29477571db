"""The systemd driver: the kit's units on machines that have nothing but systemd and a container engine.

An instance is a full file of its own under /etc/systemd/system, as fleet does it, so that each can be
compared and replaced alone. What a machine is asked costs one round trip; it is asked by constant scripts.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coreos_kit.adapters.answers import Line, properties, read_answer, understood
from coreos_kit.adapters.archive import packed
from coreos_kit.adapters.scripts import script
from coreos_kit.adapters.snapshot import read_machine
from coreos_kit.errors import KitError
from coreos_kit.model.cluster import Observation, ObservedMachine
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, MachineEntry
from coreos_kit.parallel import on_each
from coreos_kit.planning.waits import slowest_stop_s
from coreos_kit.ports import Change, Check, Glance, Runner, UnitOutcome

OBSERVE_TIMEOUT_S = 30
APPLY_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class SystemdDriver:
    """`ports.ClusterDriver` on machines reached one by one."""

    cluster: Cluster
    runners: Mapping[str, Runner]

    def observe(self, names: Collection[UnitName]) -> Observation:
        """Take one snapshot of every machine at once; see `ports.ClusterDriver.observe`."""
        wanted = sorted(str(name) for name in names)
        entries = {machine.name: machine for machine in self.cluster.machines}
        answers = on_each(list(entries), lambda name: self._observe_machine(entries[name], wanted))
        return Observation(
            machines={
                name: answer for name, answer in answers.items() if isinstance(answer, ObservedMachine)
            },
            unreachable={name: answer for name, answer in answers.items() if isinstance(answer, KitError)},
        )

    def apply(self, change: Change) -> tuple[UnitOutcome, ...]:
        """Change one machine in one go; see `ports.ClusterDriver.apply`."""
        profile = self.cluster.profile
        args = [profile.environment_file]
        asked = {
            "disable": change.disable,
            "stop": change.stop,
            "remove": change.remove,
            "write": tuple(change.write),
            "start": change.start,
        }
        for verb, names in asked.items():
            args += [f"--{verb}", *(str(name) for name in names)] if names else []
        completed = self.runners[change.machine].run_script(
            script("apply"),
            args,
            stdin=change_as_tar(change),
            root=True,
            # Given up before its units have had their time, it would go on beside what undoes it.
            timeout_s=APPLY_TIMEOUT_S + slowest_stop_s(self.cluster),
        )
        return read_outcomes(change.machine, read_answer(change.machine, completed))

    def apply_all(
        self, changes: Sequence[Change], *, timeout_s: int = APPLY_TIMEOUT_S
    ) -> Mapping[str, tuple[UnitOutcome, ...] | KitError]:
        """Change all machines at once; see `ports.ClusterDriver.apply_all`."""
        del timeout_s  # systemd has its own, in the units
        by_machine = {change.machine: change for change in changes}
        return on_each(list(by_machine), lambda machine: self.apply(by_machine[machine]))

    def wait_until_up(
        self, machine: str, units: Sequence[UnitName], checks: Sequence[Check], *, timeout_s: int
    ) -> tuple[tuple[UnitOutcome, ...], bool]:
        """Wait on the machine itself; see `ports.ClusterDriver.wait_until_up`."""
        completed = self.runners[machine].run_script(
            script("wait"),
            [
                str(timeout_s),
                str(len(checks)),
                *(f"{check.kind}|{check.address}|{check.path}|{check.timeout_s}" for check in checks),
                *(str(unit) for unit in units),
            ],
            root=True,
            timeout_s=timeout_s + OBSERVE_TIMEOUT_S,
        )
        lines = read_answer(machine, completed)
        return read_outcomes(machine, lines), any(
            line.key == "backend" and line.word() == "yes" for line in lines
        )

    def hold_out(self, machine: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]) -> Glance:
        """Signal and look in one go; see `ports.ClusterDriver.hold_out`."""
        return self._signal(machine, "USR1", sidekicks, look_at)

    def let_in(self, machine: str, sidekicks: Sequence[UnitName]) -> None:
        """See `ports.ClusterDriver.let_in`."""
        self._signal(machine, "USR2", sidekicks, ())

    def _signal(
        self, machine: str, signal: str, sidekicks: Sequence[UnitName], look_at: Sequence[UnitName]
    ) -> Glance:
        completed = self.runners[machine].run_script(
            script("signal"),
            [signal, str(len(sidekicks)), *(str(name) for name in (*sidekicks, *look_at))],
            root=True,
            timeout_s=OBSERVE_TIMEOUT_S,
        )
        lines = read_answer(machine, completed)
        with understood(machine):
            seen = {UnitName.parse(line.word()): line.word(1) for line in lines if line.key == "digest"}
            said = {line.key: line for line in lines}
            return Glance(said["boot-id"].word(), {name: seen.get(name, "") for name in look_at})

    def _observe_machine(self, entry: MachineEntry, names: list[str]) -> ObservedMachine:
        profile = self.cluster.profile
        completed = self.runners[entry.name].run_script(
            script("observe"),
            [profile.engine_path, profile.etcd_unit, profile.environment_file, *names],
            root=True,
            timeout_s=OBSERVE_TIMEOUT_S,
        )
        return read_machine(entry, self.cluster.private_network, read_answer(entry.name, completed))


def change_as_tar(change: Change) -> bytes:
    """Pack what a change writes: units/NAME for each unit, and environment."""
    units = {f"units/{name}": text for name, text in change.write.items()}
    return packed(units if change.environment is None else units | {"environment": change.environment})


def read_outcomes(machine: str, lines: tuple[Line, ...]) -> tuple[UnitOutcome, ...]:
    """Read what a script said of units that it changed or waited for."""
    with understood(machine):
        return tuple(_outcomes(machine, lines))


def _outcomes(machine: str, lines: tuple[Line, ...]) -> Iterator[UnitOutcome]:
    journals = {line.word(): tuple(line.text(1).splitlines()) for line in lines if line.key == "journal"}
    names = [UnitName.parse(line.word()) for line in lines if line.key == "unit"]
    shown = next((line.text() for line in lines if line.key == "show"), "")
    blocks = [properties(block) for block in shown.split("\n\n") if block.strip()]
    for name, state in zip(names, blocks, strict=True):
        yield UnitOutcome(
            name=name,
            machine=machine,
            active_state=state.get("ActiveState", ""),
            sub_state=state.get("SubState", ""),
            result=state.get("Result", ""),
            journal=journals.get(str(name), ()),
        )
