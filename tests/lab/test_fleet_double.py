"""The fleet driver keeps what `ports.ClusterDriver` promises over SSH to a lab with the double.

The machines have no Python, which the double needs: it is installed on the one that is asked.
"""

from collections.abc import Iterator, Mapping

import pytest

from coreos_kit.adapters.fleet.driver import FleetDriver
from coreos_kit.adapters.fleet.gateway import Gateway
from coreos_kit.adapters.nspawn.state import read_lab
from coreos_kit.model.project import Cluster
from coreos_kit.ports import ClusterDriver, Runner
from coreos_kit.testing.fleetctl import StateFolder
from coreos_kit.testing.fleetctl.__main__ import WallClock
from coreos_kit.testing.fleetctl.packing import packed, script
from tests.contracts.driver_suite import *  # noqa: F403 - the suite
from tests.contracts.fleet_double import DoubleMachines
from tests.lab.lab_cluster import on_a_lab

LAB = "contract-double"
SPEED = 5.0
FOLDER = "/var/lib/fleetctl-double"

INSTALL = """\
set -e
cat > /usr/local/lib/fleetctl.pyz
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --no-install-recommends python3
"""
PROGRAM = "cat > /usr/local/bin/fleetctl && chmod 755 /usr/local/bin/fleetctl"


@pytest.fixture(scope="module")
def opened() -> Iterator[ClusterDriver]:
    with on_a_lab(LAB, "coreos") as (cluster, runners):
        ids = {entry.name: _machine_id(runners[entry.name]) for entry in cluster.machines}
        state = _install(cluster, runners, ids)
        machines = DoubleMachines(cluster, runners, state, ids)
        yield FleetDriver(machines, Gateway(cluster.name, runners), lambda entry: None)  # type: ignore[arg-type]


def _machine_id(runner: Runner) -> str:
    return runner.run(["cat", "/etc/machine-id"]).text.strip()


def _install(cluster: Cluster, runners: Mapping[str, Runner], ids: Mapping[str, str]) -> StateFolder:
    """Put the double onto the first machine; return its state, which the workstation sees in the lab."""
    first = cluster.machines[0]
    runner = runners[first.name]
    runner.run_script(INSTALL, stdin=packed(), root=True, timeout_s=300)
    program = script("/usr/local/lib/fleetctl.pyz", FOLDER, speed=SPEED, machine_id=ids[first.name])
    runner.run_script(PROGRAM, stdin=program.encode(), root=True)
    root = read_lab(LAB).folder / "machines" / first.name / "root"
    state = StateFolder(root / FOLDER.removeprefix("/"), WallClock(), SPEED)
    state.create(
        {
            ids[entry.name]: (entry.private_ip, {"n": str(number)})
            for number, entry in enumerate(cluster.machines, 1)
        }
    )
    runner.run_script(f"touch {FOLDER}/lock && chown -R core: {FOLDER}", root=True)
    return state


def test_fleetctl_is_the_double_and_is_called_on_the_machine(opened: FleetDriver) -> None:
    first = opened.gateway.runners["core-1"]

    said = first.run(["fleetctl", "list-machines", "--full", "--no-legend", "--fields=ip"]).text.split()

    assert first.run(["cat", "/usr/local/bin/fleetctl"]).text.count(FOLDER) == 1
    assert sorted(said) == sorted(entry.private_ip for entry in opened.machines.cluster.machines)
    assert opened.look().gateway == "core-1"
