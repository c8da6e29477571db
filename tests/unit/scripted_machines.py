"""Machines in memory that answer the scripts of `adapters/scripts` as a `FakeCluster` has it.

So the real driver, prober and engine can be driven without a machine, and what they ask for be counted.
"""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.adapters.archive import files_of
from coreos_kit.adapters.scripts import script
from coreos_kit.model.names import UnitName
from coreos_kit.model.services import HealthKind, container_name
from coreos_kit.ports import Change, Check, ProbeOrder, UnitOutcome
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.machine import FakeMachine
from coreos_kit.testing.runner import Answer, FakeRunner

_VERBS = ("--stop", "--remove", "--write", "--start")


@dataclass(slots=True)
class ScriptedMachines:
    """A runner for each machine of a cluster; `asked` says which script, or command, was run where."""

    cluster: FakeCluster
    digests: Mapping[str, str] = field(default_factory=dict)  # image -> what a pull of it gives
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def runners(self) -> dict[str, FakeRunner]:
        """Return the doors, by machine."""
        return {name: self._runner(name) for name in self.cluster.machines}

    def count(self, machine: str) -> int:
        """Return how many round trips the machine has seen."""
        return sum(where == machine for where, _ in self.asked)

    def _runner(self, machine: str) -> FakeRunner:
        return FakeRunner(machine, {"bash": lambda args, stdin: self._run(machine, args[1], args[3:], stdin)})

    def _run(self, machine: str, text: str, args: Sequence[str], stdin: bytes) -> Answer:
        answers: dict[str, Callable[[FakeMachine, Sequence[str], bytes], Iterator[str]]] = {
            "observe": self._observe,
            "apply": self._apply,
            "wait": self._wait,
            "signal": self._signal,
            "probe": self._probe,
            "files_look": self._files_look,
        }
        for name, answer in answers.items():
            if text == script(name):
                self.asked.append((machine, name))
                lines = [*answer(self.cluster.machines[machine], args, stdin), "end"]
                return Answer("".join(f"{line}\n" for line in lines).encode())
        self.asked.append((machine, "pull"))
        name, _, digest = args[1].partition("@")
        return Answer(json.dumps([f"{name}@{digest or self.digests[name]}"]).encode())

    def _observe(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        del args, stdin
        yield f"machine-id {machine.machine_id}"
        yield f"boot-id {machine.boot_id}"
        yield "clock 0"
        yield f"release {_encoded('Debian')}"
        yield f"addresses {_encoded(f'2: host0 inet {machine.private_ip}/24 brd + scope global host0')}"
        yield f"route {_encoded(f'192.0.2.1 dev host0 src {machine.public_ip} uid 0')}"
        yield "etcd active"
        if machine.environment is not None:
            yield f"environment {_encoded(machine.environment)}"
        names = sorted(machine.files)
        yield from (f"unit {name}" for name in names)
        if names:
            texts = {str(name): machine.files[name] for name in names}
            yield f"files {base64.b64encode(_packed(texts)).decode()}"
            shown = "\n".join(_shown(machine, name) for name in names)
            yield f"show {_encoded(shown)}"
        running = [f"{container_name(name)}\tc\tUp 3 minutes\timage\t" for name in sorted(machine.active)]
        listed = "\n".join(running)
        yield f"containers {_encoded(listed)}"

    def _apply(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        named: dict[str, list[UnitName]] = {verb: [] for verb in _VERBS}
        verb = ""
        for word in args[1:]:
            if word in _VERBS:
                verb = word
            else:
                named[verb].append(UnitName.parse(word))
        texts = {path: text for path, (text, _) in files_of(stdin).items()}
        change = Change(
            machine.name,
            stop=tuple(named["--stop"]),
            remove=tuple(named["--remove"]),
            write={name: texts[f"units/{name}"] for name in named["--write"]},
            environment=texts.get("environment"),
            start=tuple(named["--start"]),
        )
        yield from _outcomes(self.cluster.apply(change))

    def _wait(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        del stdin
        units = [UnitName.parse(word) for word in args[2 + int(args[1]) :]]
        outcomes, up = self.cluster.wait_until_up(machine.name, units, [], timeout_s=int(args[0]))
        yield from _outcomes(outcomes)
        yield f"backend {'yes' if up else 'no'}"

    def _signal(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        del stdin
        names = [UnitName.parse(word) for word in args[2:]]
        sidekicks, look_at = names[: int(args[1])], names[int(args[1]) :]
        if args[0] == "USR2":
            self.cluster.let_in(machine.name, sidekicks)
        else:
            glance = self.cluster.hold_out(machine.name, sidekicks, look_at)
            yield from (f"digest {name} {digest}" for name, digest in glance.digests.items() if digest)
        yield f"boot-id {machine.boot_id}"

    def _probe(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        del stdin
        container, nonce, requests, checks = args[1], args[3], int(args[4]), args[6:]
        order = ProbeOrder(
            machine.name, tuple(_check(check) for check in checks), container, requests=requests
        )
        seen = self.cluster.probe(order)
        if seen.pool is not None:
            yield f"pool {_encoded(json.dumps({'servers': sorted(seen.pool)}))}"
        for address, said in seen.backends.items():
            yield f"backend {address} {'no' if said else 'yes'} {_encoded(said) or '-'}"
        yield from (f"code {code}" for code in seen.codes)
        servers = [server for server, count in seen.served.items() for _ in range(count)]
        log = [
            f"passed to: {server}: GET /?coreos-kit-verify={nonce}&n={number} HTTP/1.1"
            for number, server in enumerate(servers, 1)
        ]
        shown = "\n".join(log)
        yield f"log {_encoded(shown) or '-'}"

    def _files_look(self, machine: FakeMachine, args: Sequence[str], stdin: bytes) -> Iterator[str]:
        del machine, args, stdin
        yield from ()


def _check(text: str) -> Check:
    kind, address, path, seconds = text.split("|")
    return Check(HealthKind(kind), address, path, int(seconds))


def _outcomes(outcomes: Sequence[UnitOutcome]) -> Iterator[str]:
    yield from (f"unit {outcome.name}" for outcome in outcomes)
    shown = "\n".join(
        f"ActiveState={outcome.active_state}\nSubState={outcome.sub_state}\nResult={outcome.result}\n"
        for outcome in outcomes
    )
    yield f"show {_encoded(shown)}"


def _shown(machine: FakeMachine, name: UnitName) -> str:
    active = "active" if name in machine.active else "inactive"
    sub = "running" if name in machine.active else "dead"
    return (
        f"Id={name}\nLoadState=loaded\nActiveState={active}\nSubState={sub}\n"
        f"FragmentPath=/etc/systemd/system/{name}\nNRestarts=0\n"
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _packed(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
