"""The double as the driver meets it: a program on a machine, called over SSH, in one file without coreos_kit.

The machine is an sshd on loopback: the lab's machines have no Python, and a real fleet runs there anyway.
"""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coreos_kit.adapters.ssh import open_machines
from coreos_kit.ports import Runner
from coreos_kit.testing.fleetctl import Fleetctl, StateFolder
from coreos_kit.testing.fleetctl.__main__ import WallClock
from coreos_kit.testing.fleetctl.packing import packed, script
from coreos_kit.testing.servers import SSHD, running_sshd, wait_until

pytestmark = pytest.mark.real

CONTRACT = Path(__file__).parents[1] / "contract" / "fleetctl-1.0.0.jsonl"
RECORD = {line["title"]: line for line in map(json.loads, CONTRACT.read_text().splitlines())}
SPEED = 20.0
SLEEPS = "[Service]\nExecStart=/bin/sleep 100000\n"
CALL = 'cd "$1" && export PATH="$1/bin:$PATH" && shift && exec "$@"'


@dataclass(frozen=True)
class Machine:
    runner: Runner
    folder: Path
    state: StateFolder

    def fleetctl(self, *argv: str) -> tuple[int, str, str]:
        done = self.runner.run_script(CALL, [str(self.folder), "fleetctl", *argv], timeout_s=120, check=False)
        return done.code, done.text, done.error_text

    def in_process(self, *argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = Fleetctl(self.state, self.folder, out=out, err=err).run(argv)
        return code, out.getvalue(), err.getvalue()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if not Path(SSHD).exists():
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    (tmp_path / "fleetctl.pyz").write_bytes(packed())
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/fleetctl"
    python = f"{sys.executable} -I -S"
    program.write_text(
        script(str(tmp_path / "fleetctl.pyz"), str(tmp_path / "state"), speed=SPEED, python=python)
    )
    program.chmod(0o755)
    state = StateFolder(tmp_path / "state", WallClock(), SPEED)
    recorded = json.loads(RECORD["api machines"]["stdout"])["machines"]
    state.create({entry["id"]: (entry["primaryIP"], entry["metadata"]) for entry in recorded})
    (tmp_path / "plain.service").write_text(SLEEPS)
    with running_sshd() as server, open_machines([server.entry()]) as machines:
        yield Machine(machines.runner("web1"), tmp_path, state)


def test_codes_and_both_outputs_come_through_ssh_as_they_were_recorded(machine: Machine) -> None:
    titles = (
        "machines", "machines, machine readable", "empty units", "empty unit files, no legend", "bad field",
        "status missing", "destroy missing", "file missing", "no fleetd", "unknown command",
    )  # fmt: skip

    answers = {title: machine.fleetctl(*RECORD[title]["command"].split()[1:]) for title in titles}

    assert answers == {
        title: (RECORD[title]["exit"], RECORD[title]["stdout"], RECORD[title]["stderr"]) for title in titles
    }


def test_one_call_leaves_to_the_next_what_it_did(machine: Machine) -> None:
    code, out, err = machine.fleetctl("start", "plain.service")

    assert (code, err) == (0, "")
    assert "Unit plain.service launched on 305932de.../10.132.0.13\n" in out
    assert machine.fleetctl("cat", "plain.service") == machine.in_process("cat", "plain.service")
    wait_until(lambda: "running" in machine.in_process("list-units")[1])
    assert machine.fleetctl("list-units") == machine.in_process("list-units")
