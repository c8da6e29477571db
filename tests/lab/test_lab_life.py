"""A lab comes, survives accidents and goes without a trace; on labs of its own, beside whatever runs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from coreos_kit.adapters.nspawn import cgroups, sysctls
from coreos_kit.adapters.nspawn.host import wait_until
from coreos_kit.adapters.nspawn.lab import NspawnLab
from coreos_kit.adapters.nspawn.login import machine_named, ssh_argv
from coreos_kit.adapters.nspawn.machine import Machine
from coreos_kit.adapters.nspawn.state import lab_folder, read_lab, try_read_lab
from coreos_kit.errors import KitError
from coreos_kit.model.lab import Lab, LabMachineState

NAME = "drill"
OTHER = "drill-2"
UP = """
import sys
from coreos_kit.adapters.nspawn.lab import NspawnLab
NspawnLab(print).up(sys.argv[1], machines=1)
"""

# In network and mount namespaces of its own: the workstation's policy is nobody's to change for a test.
DROPPING = """
import subprocess
from pathlib import Path
from coreos_kit.adapters.nspawn.network import Network

def show():
    print(subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True).stdout, end="====")

subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
Network(250).make_bridge()
Network(250).open_way_out(Path("/"))
show()
Network(250).open_way_out(Path("/"))
show()
Network(250).remove(Path("/"))
show()
print(Path("/proc/sys/net/ipv4/ip_forward").read_text(), end="")
"""


@pytest.fixture(scope="module", autouse=True)
def _warm_cache() -> Iterator[None]:
    """Have the root file system made before anything is timed or killed, and no lab of ours left over."""
    for name in (NAME, OTHER):
        NspawnLab().down(name)
    NspawnLab().up(NAME, machines=1)
    NspawnLab().down(NAME)
    yield
    for name in (NAME, OTHER):
        NspawnLab().down(name)


@pytest.fixture
def drill() -> Iterator[NspawnLab]:
    """The tool, and afterwards no lab."""
    yield NspawnLab()
    NspawnLab().down(NAME)


def traces() -> dict[str, list[str]]:
    """Return what the workstation has of everything that a lab adds, other labs left out."""
    files = [file for file in lab_folder(NAME).parent.glob("*/lab.json") if file.parent.name != NAME]
    others = [lab for file in files if (lab := try_read_lab(file.parent.name)) is not None]
    numbers = "|".join(str(lab.number) for lab in others) or "none"
    names = "|".join(re.escape(lab.name) for lab in others) or "none"
    theirs = re.compile(rf"coreos-kit/?({numbers})\b|\bck({numbers})m|/labs/({names})/")
    seen = {
        "links": subprocess.run(
            ["ip", "-o", "link"], capture_output=True, text=True, check=True
        ).stdout.splitlines(),
        "mounts": [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()],
        "rules": [
            line
            for line in subprocess.run(
                ["iptables-save"], capture_output=True, text=True, check=True
            ).stdout.splitlines()
            if line.startswith("-A")
        ],
        "processes": [line for line in process_lines() if f"/labs/{NAME}/" in line],
        "groups": [str(folder) for top in cgroups.hierarchies() for folder in (top / "coreos-kit").glob("*")],
        "nspawn": [str(path) for path in Path("/run/systemd/nspawn").glob("propagate/*")],
        "folders": [str(path) for path in lab_folder(NAME).parent.glob(f"{NAME}*")],
        "sysctls": [] if there_are_other_labs() else [read_sysctl(name) for name in sysctls.NEEDED],
    }
    return {kind: sorted(line for line in lines if not theirs.search(line)) for kind, lines in seen.items()}


def process_lines() -> list[str]:
    files = Path("/proc").glob("[0-9]*/cmdline")
    lines = []
    for file in files:
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return lines


def read_sysctl(name: str) -> str:
    return Path("/proc/sys", name).read_text().strip()


def there_are_other_labs() -> bool:
    record = sysctls.SHARED / "sysctls.json"
    holders = json.loads(record.read_text())["holders"] if record.exists() else []
    return any(Path(holder) != lab_folder(NAME) for holder in holders)


def on(lab: Lab, machine: str, *command: str) -> str:
    argv = ssh_argv(lab, machine_named(lab, machine), command)
    return subprocess.run(
        argv, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL
    ).stdout


def opens(ip: str, port: int = 22) -> bool:
    try:
        socket.create_connection((ip, port), timeout=2).close()
    except OSError:
        return False
    return True


def v2_keys(ip: str) -> str:
    with urllib.request.urlopen(f"http://{ip}:2379/v2/keys/", timeout=10) as answer:
        return str(json.load(answer)["action"])


def vanish(lab: Lab) -> None:
    """Let all processes of a lab be gone at once, in no order, as when a CI runner ends a job."""
    for pid in [pid for member in lab.all_machines for pid in Machine(lab, member).processes()]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert wait_until(lambda: set(states(NspawnLab()).values()) == {LabMachineState.STOPPED}, timeout_s=10)


def states(lab: NspawnLab, name: str = NAME) -> dict[str, LabMachineState]:
    return {entry.machine.name: entry.state for entry in lab.status(name).machines}


def test_down_leaves_the_workstation_as_it_was(drill: NspawnLab) -> None:
    before = traces()

    lab = drill.up(NAME, machines=1).lab
    during = traces()
    removed = drill.down(NAME).removed

    assert any(f"coreos-kit{lab.number}:" in line for line in during["links"])
    assert any(lab.subnet in line for line in during["rules"])
    assert during["mounts"] != before["mounts"]
    assert during["processes"]
    assert during["groups"] or Path("/run/systemd/system").exists()
    assert "its machines" in removed
    assert traces() == before


def test_up_outlives_its_terminal_and_holds_nothing_of_it(drill: NspawnLab) -> None:
    started = subprocess.run(
        [sys.executable, "-c", UP, NAME], capture_output=True, text=True, timeout=120, check=True
    )

    # `run` returns when nobody holds the pipes any more: the machines don't.
    assert "booting registry, core-1" in started.stdout
    assert drill.status(NAME).is_up
    session = {
        os.getsid(Machine(read_lab(NAME), member).processes()[0]) for member in read_lab(NAME).all_machines
    }
    assert os.getsid(0) not in session


@pytest.mark.parametrize("after_s", [0.2, 0.4, 0.6, 0.8, 1.1, 1.5])
def test_an_up_that_is_killed_anywhere_can_be_continued_and_taken_away(
    drill: NspawnLab, after_s: float
) -> None:
    before = traces()
    dying = subprocess.Popen(
        [sys.executable, "-c", UP, NAME], stdout=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(after_s)
    dying.kill()
    dying.wait()

    lab = drill.up(NAME, machines=1).lab

    assert drill.status(NAME).is_up
    assert on(lab, "core-1", "hostname") == "core-1\n"
    drill.down(NAME)
    assert traces() == before


@pytest.mark.parametrize(
    "after_s",
    [
        *(0.2, 0.4, 0.6, 0.8, 1.1, 1.5),
        *(pytest.param(tenth / 10, marks=pytest.mark.campaign) for tenth in range(1, 60)),
    ],
)
def test_an_up_that_is_killed_anywhere_leaves_nothing_after_down(drill: NspawnLab, after_s: float) -> None:
    before = traces()
    dying = subprocess.Popen(
        [sys.executable, "-c", UP, NAME], stdout=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(after_s)
    dying.kill()
    dying.wait()

    drill.down(NAME)

    assert traces() == before


def test_up_boots_again_what_vanished_at_once_and_keeps_its_data(drill: NspawnLab) -> None:
    lab = drill.up(NAME, machines=1).lab
    on(lab, "core-1", "etcdctl", "put", "/kept", "yes")
    on(lab, "core-1", "sudo", "docker", "pull", "debian:bookworm-slim")
    vanish(lab)

    again = drill.up(NAME)

    assert again.booted == ("registry", "core-1")
    assert on(lab, "core-1", "etcdctl", "get", "/kept") == "/kept\nyes\n"
    assert on(lab, "core-1", "docker", "images", "--quiet", "debian:bookworm-slim")


def test_down_clears_up_after_processes_that_vanished(drill: NspawnLab) -> None:
    before = traces()
    lab = drill.up(NAME, machines=1).lab
    vanish(lab)

    drill.down(NAME)

    assert traces() == before


def test_an_up_that_is_killed_while_it_installs_leaves_no_process_and_no_mount(
    drill: NspawnLab, tmp_path: Path
) -> None:
    environment = {**os.environ, "COREOS_KIT_CACHE_DIR": str(tmp_path)}
    dying = subprocess.Popen([sys.executable, "-c", UP, NAME], stdout=subprocess.DEVNULL, env=environment)
    installing = re.compile(rf"^/bin/sh .*debootstrap.*{re.escape(str(tmp_path))}")
    assert wait_until(lambda: any(installing.search(line) for line in process_lines()), timeout_s=60)
    time.sleep(1)

    dying.kill()
    dying.wait()

    assert wait_until(lambda: not any(str(tmp_path) in line for line in process_lines()), timeout_s=20)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert drill.down(NAME).removed == ()


def test_fleet_is_installed_from_a_folder_on_a_lab_that_runs(drill: NspawnLab, tmp_path: Path) -> None:
    for name in ("fleetd", "fleetctl"):  # what is shown is the installing; nobody has the real ones here
        (tmp_path / name).write_text("#!/bin/sh\nexec sleep 1000\n")
        (tmp_path / name).chmod(0o755)
    lab = drill.up(NAME, machines=1).lab

    drill.up(NAME, fleet=tmp_path)
    drill.kill("core-1", NAME)
    drill.revive("core-1", NAME)

    # What a lab waits for is etcd; fleet starts when systemd has heard of it, and the boot ends after that.
    booted = "systemctl is-system-running --wait > /dev/null; systemctl is-active fleet.service fleet.socket"
    assert on(lab, "core-1", "bash", "-c", booted) == "active\nactive\n"
    assert "etcd_servers" in on(lab, "core-1", "cat", "/etc/fleet/fleet.conf")
    assert on(lab, "core-1", "bash", "-c", "type -P fleetctl") == "/usr/bin/fleetctl\n"


def test_up_again_changes_nothing(drill: NspawnLab) -> None:
    said: list[str] = []
    drill.up(NAME, machines=1)
    leader = Machine(read_lab(NAME), read_lab(NAME).machines[0]).try_leader()

    again = NspawnLab(said.append).up(NAME)

    assert (again.booted, said) == ((), [])
    assert Machine(again.lab, again.lab.machines[0]).try_leader() == leader


def test_a_lab_grows_and_the_new_machine_reaches_etcd_through_a_gateway(drill: NspawnLab) -> None:
    drill.up(NAME, machines=1)

    grown = drill.up(NAME, machines=2)

    assert grown.booted == ("core-2",)
    assert grown.lab.etcd_members == ("core-1",)
    assert on(grown.lab, "core-2", "etcdctl", "put", "/from", "core-2") == "OK\n"
    assert on(grown.lab, "core-1", "etcdctl", "get", "/from") == "/from\ncore-2\n"
    assert v2_keys(grown.lab.machines[1].private_ip) == "get"
    assert "etcd gateway" in on(grown.lab, "core-2", "systemctl", "status", "etcd.service")


def test_a_killed_machine_comes_back_with_its_disk(drill: NspawnLab) -> None:
    lab = drill.up(NAME, machines=1).lab
    on(lab, "core-1", "sudo", "sh", "-c", "echo mine > /etc/mine; sync")

    assert drill.kill("core-1", NAME)
    assert not drill.kill("core-1", NAME)
    assert states(drill) == {"registry": LabMachineState.RUNNING, "core-1": LabMachineState.STOPPED}
    assert not opens(lab.machines[0].private_ip)
    assert drill.revive("core-1", NAME)
    assert not drill.revive("core-1", NAME)

    assert on(lab, "core-1", "cat", "/etc/mine") == "mine\n"
    assert v2_keys(lab.machines[0].private_ip) == "get"


def test_a_cut_machine_reaches_nobody_and_nobody_reaches_it(drill: NspawnLab) -> None:
    lab = drill.up(NAME, machines=2).lab
    one, two = lab.machines
    ping = ["ping", "-c1", "-W1", one.private_ip]
    inside = Machine(lab, two)

    drill.cut("core-2", NAME)

    assert states(drill)["core-2"] is LabMachineState.CUT
    assert not opens(two.private_ip)
    assert not opens(two.public_ip)
    assert inside.run(ping, check=False).code == 1
    assert "10.132." in inside.run(["ip", "-4", "-o", "address", "show", "host0"]).text
    drill.heal("core-2", NAME)
    assert opens(two.private_ip)
    assert inside.run(ping).code == 0
    assert drill.status(NAME).is_up


def test_up_plugs_a_cut_machine_in_again(drill: NspawnLab) -> None:
    drill.up(NAME, machines=1)
    drill.cut("core-1", NAME)

    again = drill.up(NAME)

    assert again.booted == ()
    assert drill.status(NAME).is_up


def test_two_labs_side_by_side_don_t_disturb_each_other(drill: NspawnLab) -> None:
    first = drill.up(NAME, machines=1).lab
    second = drill.up(OTHER, machines=1).lab

    drill.down(OTHER)

    assert first.subnet != second.subnet
    assert drill.status(NAME).is_up
    assert read_sysctl("net/ipv4/ip_forward") == "1"
    assert on(first, "core-1", "sudo", "apt-get", "-qq", "update") == ""
    with pytest.raises(KitError) as caught:
        read_lab(OTHER)
    assert caught.value.hint.startswith(f"coreos-kit lab up --name {OTHER}; or take one that is here (")


def test_the_registry_stands_in_for_docker_hub(drill: NspawnLab) -> None:
    lab = drill.up(NAME, machines=1).lab
    on(lab, "core-1", "docker", "pull", "debian:bookworm-slim")
    dockerfile = (
        "FROM debian:bookworm-slim\nRUN apt-get update && apt-get install -y --no-install-recommends bc\n"
    )
    built = f"printf '{dockerfile}' | docker build -t {lab.registry}/user_name/calculator -"

    on(lab, "core-1", "sh", "-c", f"{built} && docker push {lab.registry}/user_name/calculator")
    on(lab, "core-1", "docker", "rmi", f"{lab.registry}/user_name/calculator")

    run = on(lab, "core-1", "docker", "run", "--rm", "user_name/calculator", "sh", "-c", "echo 6*7 | bc")
    assert run == "42\n"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        on(lab, "core-1", "docker", "pull", "nobody/nothing")
    assert "connection refused" in caught.value.stderr


def test_a_machine_has_what_flatcar_has_and_lacks_what_it_lacks(drill: NspawnLab) -> None:
    lab = drill.up(NAME, machines=1).lab

    tools = "systemctl docker curl etcdctl bash sudo ip iptables nft ping"
    there = on(lab, "core-1", "bash", "-c", f"PATH=$PATH:/usr/sbin; type -P {tools}")
    missing = on(lab, "core-1", "bash", "-c", "type -P python3 jq podman fleetctl || true")

    assert len(there.splitlines()) == 10
    assert missing == ""
    assert on(lab, "core-1", "systemctl", "--failed", "--no-legend") == ""
    assert on(lab, "core-1", "id", "--name", "--groups").split() == [
        "core",
        "sudo",
        "docker",
        "systemd-journal",
    ]
    assert on(lab, "core-1", "cat", "/etc/machine-id").strip() == lab.machines[0].machine_id


@pytest.mark.parametrize(
    ("profile", "unit", "environment"),
    [
        ("coreos", "etcd.service", True),
        ("flatcar", "etcd-member.service", False),
        ("debian", "etcd.service", False),
    ],
)
def test_a_running_lab_takes_another_profile_s_names_and_keeps_etcd_s_data(
    drill: NspawnLab, profile: str, unit: str, environment: bool
) -> None:
    lab = drill.up(NAME, machines=1).lab
    on(lab, "core-1", "env", "ETCDCTL_API=3", "etcdctl", "put", "/kept", "yes")

    changed = drill.up(NAME, profile=profile)

    assert (changed.booted, changed.lab.profile) == ((), profile)
    assert on(lab, "core-1", "systemctl", "is-active", unit) == "active\n"
    assert on(lab, "core-1", "env", "ETCDCTL_API=3", "etcdctl", "get", "/kept") == "/kept\nyes\n"
    assert ("COREOS_PRIVATE_IPV4" in on(lab, "core-1", "cat", "/etc/environment")) is environment
    assert opens(lab.machines[0].private_ip, 4001) is (profile == "coreos")


def test_fedora_coreos_s_names_put_etcd_into_podman(drill: NspawnLab) -> None:
    drill.up(NAME, machines=1)

    lab = drill.up(NAME, profile="fedora-coreos").lab

    member = ["sudo", "podman", "exec", "etcd-member", "etcdctl"]
    assert on(lab, "core-1", *member, "put", "/in", "podman") == "OK\n"
    assert on(lab, "core-1", "bash", "-c", "type -P etcdctl || true") == ""
    drill.up(NAME, profile="debian")
    assert on(lab, "core-1", "etcdctl", "get", "/in") == "/in\npodman\n"
    assert on(lab, "core-1", "bash", "-c", "type -P podman || true") == ""


def test_where_the_workstation_forwards_nothing_the_lab_is_let_through_and_the_policy_stays() -> None:
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-c", DROPPING],
        capture_output=True,
        text=True,
        check=True,
    )

    first, second, after, forwarding = done.stdout.split("====")
    answers = "-m conntrack --ctstate RELATED,ESTABLISHED"
    mark = "-m comment --comment coreos-kit250 -j ACCEPT"
    assert sorted(first.splitlines()) == [
        f"-A FORWARD -i coreos-kit250 {mark}",
        f"-A FORWARD -o coreos-kit250 {answers} {mark}",
        "-P FORWARD DROP",
    ]
    assert second == first
    assert after == "-P FORWARD DROP\n"
    assert forwarding == "0\n"


def test_without_root_up_is_refused_and_nothing_is_changed() -> None:
    before = traces()

    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c", UP, NAME],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Refused: the lab needs root" in done.stderr
    assert traces() == before


def test_a_lab_that_is_not_there_is_taken_down_without_complaint() -> None:
    assert NspawnLab().down("never-made").removed == ()


def test_breaking_a_machine_that_there_is_not_names_those_that_there_are(drill: NspawnLab) -> None:
    drill.up(NAME, machines=1)

    with pytest.raises(KitError, match="lab drill has no machine core-9") as caught:
        drill.kill("core-9", NAME)

    assert caught.value.hint == "Its machines are registry, core-1."


def test_a_stopped_machine_cannot_be_cut(drill: NspawnLab) -> None:
    drill.up(NAME, machines=1)
    drill.kill("core-1", NAME)

    with pytest.raises(KitError, match="core-1 of lab drill does not run") as caught:
        drill.cut("core-1", NAME)

    assert caught.value.hint == "coreos-kit lab revive core-1 --name drill"
