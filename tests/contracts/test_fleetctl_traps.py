"""The traps of fleetctl 1.0.0, each by its title: what the double does, as a real one was seen to."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.fleetctl import Fleetctl, StateFolder, Story
from coreos_kit.testing.fleetctl.packing import packed, script

MACHINES = {
    letter * 32: (f"192.0.2.{number}", {"n": str(number), "region": "lab"})
    for number, letter in enumerate("abc", 1)
}
SLEEPS = "[Service]\nExecStart=/bin/sleep 100000\n"
APACHE = (
    "[Unit]\nDescription=Apache on %i\n[Service]\nKillMode=none\n"
    "ExecStartPre=/usr/bin/docker pull user_name/apache\n"
    "ExecStart=/usr/bin/docker run --name apache.%i user_name/apache /usr/sbin/apache2ctl -D FOREGROUND\n"
    "ExecStop=/usr/bin/docker stop apache.%i\n[X-Fleet]\nConflicts=apache@*.service\n"
)


class Patience(FakeClock):
    """Time that ends: fleetctl can wait for ever."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.time > 600:
            raise TimeoutError


SIDEKICK = (
    "[Unit]\nRequires=apache@%i.service\nAfter=apache@%i.service\nBindsTo=apache@%i.service\n"
    f"{SLEEPS}ExecStop=/usr/bin/etcdctl rm /services/apache/1\n[X-Fleet]\nMachineOf=apache@%i.service\n"
)


@dataclass
class World:
    """A cluster of three machines and a working directory on the first of them."""

    state: StateFolder
    clock: FakeClock
    folder: Path

    def __call__(self, command: str, machine_id: str = "") -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = Fleetctl(self.state, self.folder, machine_id, out, err).run(command.split())
        return code, out.getvalue(), err.getvalue()

    def writes(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def runs(self, name: str, text: str) -> None:
        self.writes(name, text)
        assert self(f"start --no-block {name}")[0] == 0
        self.clock.sleep(30)

    def units(self) -> dict[str, str]:
        """Return what list-units shows: machine, active and sub."""
        return {
            line.split()[0]: " ".join(line.split()[1:])
            for line in self("list-units --no-legend")[1].splitlines()
        }

    def files(self) -> dict[str, str]:
        """Return what list-unit-files shows: hash, dstate, state and target."""
        return {
            line.split()[0]: " ".join(line.split()[1:])
            for line in self("list-unit-files --no-legend")[1].splitlines()
        }

    def tells(self, story: Story) -> None:
        with self.state.opened() as kept:
            for member in kept.cluster.members:
                member.host.stories.append(story)

    def until_a_round(self) -> float:
        """Return the seconds until the agent of the first machine looks again."""
        with self.state.opened() as kept:
            return kept.cluster.members[0].watch.at - kept.cluster.now

    def orphans(self) -> list[str]:
        with self.state.opened() as kept:
            return [name for member in kept.cluster.members for name in member.host.orphans]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., World]:
    """Give a function that makes a cluster, of a version if that matters."""

    def make(version: str = "1.0.0") -> World:
        clock, folder = Patience(), tmp_path / "home"
        folder.mkdir()
        state = StateFolder(tmp_path / "state", clock)
        state.create(MACHINES, version=version)
        return World(state, clock, folder)

    return make


@pytest.fixture
def fleet(make: Callable[..., World]) -> World:
    return make()


def test_start_of_a_changed_file_warns_ends_with_0_and_keeps_the_old_text(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)
    before = fleet.files()
    fleet.writes("plain.service", "[Unit]\nDescription=new\n" + SLEEPS)

    code, out, err = fleet("start plain.service")

    assert (code, out) == (0, "")
    assert err == (
        "WARNING: Unit plain.service in registry differs from local unit file plain.service. "
        "Add --replace to override.\n"
    )
    assert fleet.files() == before


def test_start_of_a_failed_unit_ends_with_0_and_does_nothing(fleet: World) -> None:
    fleet.runs("fails.service", "[Service]\nExecStart=/bin/false\n")

    answer = fleet("start fails.service")
    fleet.clock.sleep(30)

    assert answer == (0, "", "")
    assert fleet.units()["fails.service"].endswith("failed failed")


def test_a_failed_unit_that_is_stopped_and_started_tries_again(fleet: World) -> None:
    fleet.runs("fails.service", "[Service]\nExecStart=/bin/false\n")
    fleet.tells(Story("fails.service", fails=False))

    fleet("stop fails.service")
    code, _, _ = fleet("start fails.service")

    assert code == 0
    assert fleet.units()["fails.service"].endswith("active running")


def test_start_gives_systemd_two_seconds_whatever_is_granted_and_ends_with_1_though_all_is_well(
    fleet: World,
) -> None:
    fleet.writes("apache@.service", APACHE)

    code, _, err = fleet("start --block-attempts=100 apache@1.service")
    fleet.clock.sleep(5)

    assert code == 1
    assert "Failed to find an active unit apache@1.service within 2s" in err
    assert fleet.units()["apache@1.service"].endswith("active running")


def test_destroy_of_a_running_unit_with_a_sidekick_leaves_stop_sigterm_for_90_s_and_an_orphan(
    fleet: World,
) -> None:
    fleet.runs("apache@1.service", APACHE)
    fleet.runs("apache-discovery@1.service", SIDEKICK)

    fleet("destroy apache@1.service apache-discovery@1.service")
    fleet.clock.sleep(6)
    fleet("start --no-block apache@1.service")
    fleet.clock.sleep(6)
    while_it_dies = fleet.units()["apache@1.service"]
    fleet.clock.sleep(120)

    assert while_it_dies.endswith("deactivating stop-sigterm")
    assert fleet.units()["apache@1.service"].endswith("active running")
    assert fleet.orphans() == ["apache@1.service"]


def test_replace_of_a_running_unit_with_a_sidekick_leaves_stop_sigterm_and_an_orphan_too(
    fleet: World,
) -> None:
    fleet.runs("apache@1.service", APACHE)
    fleet.runs("apache-discovery@1.service", SIDEKICK)
    fleet.writes("apache@1.service", APACHE.replace("Apache on", "Another on"))

    fleet("start --replace apache@1.service")  # 0 or 1: it depends on whether the agent has looked already
    fleet.clock.sleep(6)
    while_it_dies = fleet.units()["apache@1.service"]
    fleet.clock.sleep(120)

    assert while_it_dies.endswith("deactivating stop-sigterm")
    assert fleet.units()["apache@1.service"].endswith("active running")
    assert fleet.orphans() == ["apache@1.service"]


def test_destroy_of_a_running_unit_alone_lets_its_stop_command_end(fleet: World) -> None:
    fleet.runs("apache@1.service", APACHE)

    fleet("destroy apache@1.service")
    fleet.clock.sleep(30)

    assert fleet.units() == {}
    assert fleet.orphans() == []


def test_stop_until_inactive_then_destroy_leaves_nothing(fleet: World) -> None:
    fleet.runs("apache@1.service", APACHE)
    fleet.runs("apache-discovery@1.service", SIDEKICK)

    fleet("stop apache@1.service apache-discovery@1.service")
    fleet.clock.sleep(12)
    stopped = fleet.units()["apache@1.service"]
    fleet("destroy apache@1.service apache-discovery@1.service")
    fleet.clock.sleep(12)
    fleet("start --no-block apache@1.service")
    fleet.clock.sleep(30)

    assert stopped.endswith("failed failed")  # docker stop had to kill it
    assert fleet.units()["apache@1.service"].endswith("active running")
    assert fleet.orphans() == []


def test_a_container_with_init_listens_and_leaves_no_orphan(fleet: World) -> None:
    fleet.runs("apache@1.service", APACHE.replace("docker run", "docker run --init"))
    fleet.runs("apache-discovery@1.service", SIDEKICK)

    fleet("destroy apache@1.service apache-discovery@1.service")
    fleet.clock.sleep(12)

    assert fleet.units() == {}
    assert fleet.orphans() == []


def test_destroy_is_noticed_by_the_agent_in_its_next_round_only(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)

    code, out, _ = fleet("destroy plain.service")
    at_once = fleet.files(), list(fleet.units())
    fleet.clock.sleep(7)

    assert (code, out) == (0, "Destroyed plain.service\n")
    assert at_once == ({}, ["plain.service"])
    assert fleet.units() == {}


def test_destroy_of_an_unknown_unit_ends_with_0(fleet: World) -> None:
    assert fleet("destroy nosuch.service") == (0, "", "Units not found in registry\n")


def test_an_unknown_unit_among_known_ones_is_dropped_without_a_word(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)

    assert fleet("destroy nosuch.service plain.service") == (0, "Destroyed plain.service\n", "")


def test_restart_of_a_launched_unit_ends_with_0_and_does_not_restart_it(fleet: World) -> None:
    fleet.runs("fails.service", "[Service]\nExecStart=/bin/false\n")
    fleet.tells(Story("fails.service", fails=False))
    fleet.clock.sleep(fleet.until_a_round() + 0.1)

    code, out, err = fleet("restart fails.service")
    fleet.clock.sleep(10)

    assert code == 0
    assert out == "Unit fails.service launched on aaaaaaaa.../192.0.2.1\n" * 2
    assert err.endswith("INFO restart.go:100: Unit(fails.service) was restarted.\n")
    assert fleet.units()["fails.service"].endswith("failed failed")


def test_restart_waits_for_ever_where_an_agent_looks_between_its_two_steps(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)
    fleet.clock.sleep(fleet.until_a_round() + 4.9)

    with pytest.raises(TimeoutError):
        fleet("restart plain.service")

    assert fleet.files()["plain.service"].split()[1:3] == ["loaded", "loaded"]


def test_a_machine_forgets_one_destroyed_unit_in_each_round(fleet: World) -> None:
    for number in range(4):
        fleet.runs(f"plain{number}.service", SLEEPS + f"[X-Fleet]\nMachineID={'a' * 32}\n")

    fleet("destroy " + " ".join(f"plain{number}.service" for number in range(4)))
    left = []
    for _ in range(4):
        fleet.clock.sleep(fleet.until_a_round() + 1.1)
        left.append(len(fleet.units()))

    assert left == [3, 2, 1, 0]


def test_a_unit_that_has_moved_vanishes_when_the_machine_it_came_from_says_again_that_it_is_gone(
    fleet: World,
) -> None:
    fleet.runs("plain.service", SLEEPS)
    fleet("destroy plain.service")
    fleet.clock.sleep(6)
    fleet.writes("plain.service", SLEEPS + f"[X-Fleet]\nMachineID={'b' * 32}\n")
    fleet("start --no-block plain.service")

    seen = []
    for _ in range(60):
        fleet.clock.sleep(1)
        seen.append(("plain.service" in fleet.units(), fleet.files()["plain.service"].split()[2]))
    changes = [one for one, before in zip(seen, [None, *seen], strict=False) if one != before]

    assert changes == [(False, "inactive"), (True, "launched"), (False, "inactive"), (True, "launched")]


def test_stop_ends_when_the_state_is_loaded_while_the_unit_still_stops(fleet: World) -> None:
    fleet.runs("apache@1.service", APACHE)

    code, _, err = fleet("stop apache@1.service")
    fleet.clock.sleep(1)

    assert (code, err) == (0, "Successfully stopped units [apache@1.service].\n")
    assert fleet.files()["apache@1.service"].endswith("loaded loaded aaaaaaaa.../192.0.2.1")
    assert fleet.units()["apache@1.service"].endswith("deactivating stop")


def test_an_unknown_key_of_x_fleet_is_only_warned_of(fleet: World) -> None:
    fleet.writes("odd.service", SLEEPS + "[X-Fleet]\nMashineID=1\n")

    code, out, err = fleet("submit odd.service")

    assert (code, out) == (0, "Unit odd.service inactive\n")
    assert err.endswith(
        'WARN fleetctl.go:674: Unit odd.service: unrecognized requirement in [X-Fleet] section: "MashineID"\n'
    )


def test_what_no_machine_can_take_stays_pending_and_nobody_says_why(fleet: World) -> None:
    fleet.writes("nowhere.service", SLEEPS + "[X-Fleet]\nMachineMetadata=region=moon\n")

    code, _, err = fleet("start --block-attempts=2 nowhere.service")

    assert code == 1
    assert err.count("timed out waiting for unit nowhere.service to report state launched") == 2
    assert fleet.files()["nowhere.service"].endswith("launched inactive -")


def test_unload_of_a_pending_unit_skips_it(fleet: World) -> None:
    fleet.runs("nowhere.service", SLEEPS + "[X-Fleet]\nMachineMetadata=region=moon\n")

    code, _, err = fleet("unload nowhere.service")

    assert (code, err) == (0, "Successfully unloaded units [].\n")
    assert fleet.files()["nowhere.service"].endswith("launched inactive -")


def test_stop_of_a_pending_unit_ends_with_1_and_leaves_the_rest_alone(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)
    fleet.runs("nowhere.service", SLEEPS + "[X-Fleet]\nMachineMetadata=region=moon\n")

    code, _, err = fleet("stop nowhere.service plain.service")

    assert (code, err) == (1, "Unable to stop unit nowhere.service in state inactive\n")
    assert fleet.files()["plain.service"].split()[1:3] == ["launched", "launched"]


def test_load_of_a_launched_unit_stops_it(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)

    code, _, _ = fleet("load plain.service")
    fleet.clock.sleep(2)

    assert code == 0
    assert fleet.units()["plain.service"].endswith("inactive dead")


def test_replace_is_refused_in_a_state_that_is_not_the_commands_and_ends_with_0(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)
    fleet.writes("plain.service", "[Unit]\nDescription=new\n" + SLEEPS)

    assert fleet("submit --replace plain.service") == (
        0,
        "",
        "Warning: can not replace Unit(plain.service) in state 'launched', use the appropriate command\n",
    )


def test_the_template_of_the_registry_goes_before_the_one_on_disk(fleet: World) -> None:
    fleet.writes("web@.service", SLEEPS)
    fleet("submit web@.service")
    fleet.writes("web@.service", "[Unit]\nDescription=new\n" + SLEEPS)

    _, _, err = fleet("start --no-block web@1.service")

    assert "WARNING: Unit web@.service in registry differs from local template unit file web@1.service" in err
    assert fleet.files()["web@1.service"].split()[0] == fleet.files()["web@.service"].split()[0]


def test_a_template_can_be_submitted_and_never_started(fleet: World) -> None:
    fleet.writes("web@.service", SLEEPS)

    code, out, err = fleet("start web@.service")

    assert (code, out) == (1, "Unit web@.service inactive\n")
    assert 'cannot activate template "web@.service"' in err


def test_a_symlink_is_read_through_and_named_for_itself(fleet: World) -> None:
    fleet.writes("templates/web@.service", SLEEPS)
    fleet.writes("instances/.keep", "")
    (fleet.folder / "instances/web@1.service").symlink_to("../templates/web@.service")

    code, _, _ = fleet("submit instances/web@1.service")

    assert code == 0
    assert list(fleet.files()) == ["web@1.service"]


def test_a_unit_whose_sidekick_is_not_loaded_is_not_started_and_nobody_tries_again(fleet: World) -> None:
    fleet.writes("web@.service", "[Unit]\nRequires=side@%i.service\n" + SLEEPS)
    fleet.writes("side@.service", "[Unit]\nBindsTo=web@%i.service\n" + SLEEPS)

    fleet("start --no-block web@1.service")
    fleet.clock.sleep(10)
    fleet("start --no-block side@1.service")
    fleet.clock.sleep(30)

    assert fleet.files()["web@1.service"].split()[1:3] == ["launched", "launched"]
    assert "inactive dead" in fleet.units()["web@1.service"]


def test_an_unloaded_leader_takes_the_place_of_its_follower_away(fleet: World) -> None:
    fleet.runs("web@1.service", SLEEPS)
    fleet.runs("side@1.service", SLEEPS + "[X-Fleet]\nMachineOf=web@%i.service\n")

    fleet("unload web@1.service")
    fleet.clock.sleep(5)

    assert fleet.files()["side@1.service"].endswith("launched inactive -")


def test_a_machine_without_power_is_listed_for_30_s_and_its_units_move_then(fleet: World) -> None:
    fleet.runs("plain.service", SLEEPS)
    with fleet.state.opened() as kept:
        kept.cluster.cut_power(kept.cluster.members[0])

    fleet.clock.sleep(20)
    before = fleet.units(), len(fleet("list-machines --no-legend", "b" * 32)[1].splitlines())
    fleet.clock.sleep(20)
    units = fleet("list-units --no-legend", "b" * 32)[1]

    assert before == ({}, 3)  # asked of the machine itself, which does not answer
    assert units == "plain.service\tbbbbbbbb.../192.0.2.2\tactive\trunning\n"
    assert len(fleet("list-machines --no-legend", "b" * 32)[1].splitlines()) == 2


def test_without_fleetd_only_the_version_is_said(fleet: World) -> None:
    with fleet.state.opened() as kept:
        kept.cluster.stop_fleetd(kept.cluster.members[0])

    refused = "dial unix /var/run/fleet.sock: connect: connection refused"
    assert fleet("list-units") == (
        1,
        "",
        (
            "Error retrieving list of units from repository: "
            f'Get "http://domain-sock/fleet/v1/state?alt=json": {refused}\n'
        ),
    )
    assert fleet("version") == (0, "fleetctl version 1.0.0\n", "")
    assert fleet("list-units", "b" * 32)[0] == 0


def test_an_unknown_flag_ends_with_0(fleet: World) -> None:
    assert fleet("start --nosuch x.service") == (
        0,
        "",
        "Error: unknown flag: --nosuch\n\ncannot execute cmdFleet: unknown flag: --nosuch\n",
    )


def test_before_0_13_there_is_no_replace_and_wrong_usage_ends_with_2(make: Callable[..., World]) -> None:
    fleet = make("0.11.8")
    fleet.runs("plain.service", SLEEPS)
    fleet.writes("plain.service", "[Unit]\nDescription=new\n" + SLEEPS)

    assert fleet("start --replace plain.service")[0] == 2
    assert fleet("frobnicate")[0] == 2
    assert fleet("start plain.service") == (
        0,
        "",
        "WARNING: Unit plain.service in registry differs from local unit file plain.service\n",
    )


def test_before_1_0_start_does_not_look_at_systemd(make: Callable[..., World]) -> None:
    fleet = make("0.11.8")
    fleet.writes("fails.service", "[Service]\nExecStart=/bin/false\n")

    assert fleet("start fails.service")[0] == 0


def test_packed_in_one_file_it_runs_with_nothing_but_python_and_time_can_be_scaled(tmp_path: Path) -> None:
    program, folder = tmp_path / "fleetctl.pyz", tmp_path / "bin"
    program.write_bytes(packed())
    folder.mkdir()
    fleetctl = folder / "fleetctl"
    fleetctl.write_text(
        script(str(program), str(tmp_path / "state"), speed=50, python=f"{sys.executable} -I -S")
    )
    fleetctl.chmod(0o755)
    (tmp_path / "plain.service").write_text(SLEEPS)

    # made by the program's own module, with the world's clock
    subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import json, sys, pathlib\n"
                "from coreos_kit.testing.fleetctl import StateFolder\n"
                "from coreos_kit.testing.fleetctl.__main__ import WallClock\n"
                "StateFolder(pathlib.Path(sys.argv[1]), WallClock()).create(json.loads(sys.argv[2]))\n"
            ),
            str(tmp_path / "state"),
            json.dumps(MACHINES),
        ],
        check=True,
    )
    done = subprocess.run(
        [fleetctl, "start", "plain.service"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Unit plain.service inactive",
        "Unit plain.service launched on aaaaaaaa.../192.0.2.1",
    ]
