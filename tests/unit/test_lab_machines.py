"""What is written into a lab's machines and how they are started; built, not run."""

import json
from pathlib import Path

import pytest

from coreos_kit.adapters.nspawn import cgroups, mounts
from coreos_kit.adapters.nspawn.dress import PROFILES, dress_tree, etcd_unit, gateway_command
from coreos_kit.adapters.nspawn.files import Keys, docker_configuration, machine_tree, podman_registries
from coreos_kit.adapters.nspawn.fleet import fleet_configuration, fleet_tree, refuse_without_programs
from coreos_kit.adapters.nspawn.host import install_line
from coreos_kit.adapters.nspawn.machine import Machine, nspawn_argv, nspawn_name
from coreos_kit.adapters.nspawn.network import Network, numbers_in
from coreos_kit.adapters.nspawn.registry import Layer, image_config, image_manifest
from coreos_kit.adapters.nspawn.sources import AptSource, Upstream
from coreos_kit.adapters.nspawn.tree import Text, Tree, differs, write_tree
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.lab import Lab, LabMachine, etcd_members_of, machine_of

UPSTREAM = Upstream(
    sources=(AptSource("http://mirror.example/debian", "bookworm", ("main",)),),
    apt_conf="",
    resolv_conf="nameserver 192.0.2.53\n",
    proxy="",
    ca_bundle=b"",
)
KEYS = Keys(host_key="private", host_key_public="public", authorized="ssh-ed25519 AAAA me")


@pytest.fixture
def lab() -> Lab:
    return Lab(
        name="trial",
        number=7,
        profile="debian",
        machines=tuple(machine_of("trial", 7, index) for index in (1, 2, 3, 4)),
        registry_machine=machine_of("trial", 7, 0),
        etcd_members=etcd_members_of(4),
        folder=Path("/labs/trial"),
        root=Path("/cache/system"),
    )


@pytest.fixture
def first(lab: Lab) -> LabMachine:
    return lab.machines[0]


@pytest.mark.parametrize(
    ("profile", "unit"),
    [
        ("coreos", "etcd.service"),
        ("debian", "etcd.service"),
        ("flatcar", "etcd-member.service"),
        ("fedora-coreos", "etcd-member.service"),
    ],
)
def test_each_profile_has_one_etcd_unit_and_removes_the_other(
    lab: Lab, first: LabMachine, profile: str, unit: str
) -> None:
    tree = dress_tree(lab, first, profile)

    units = {"etcd.service", "etcd-member.service"}
    assert etcd_unit(profile) == unit
    assert f"etc/systemd/system/{unit}" in tree.files
    assert {path for path in tree.absent if path.startswith("etc/systemd/system/etcd")} == {
        f"etc/systemd/system/{other}" for other in units - {unit}
    }


def test_an_unknown_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidConfig, match="there is no profile 'rhel'") as caught:
        etcd_unit("rhel")

    assert caught.value.hint == "Choose one of coreos, debian, fedora-coreos, flatcar."


def test_only_coreos_writes_its_addresses_into_etc_environment(lab: Lab, first: LabMachine) -> None:
    texts = {
        profile: dress_tree(lab, first, profile).files["etc/environment"].content for profile in PROFILES
    }

    assert texts.pop("coreos") == "COREOS_PRIVATE_IPV4=10.132.7.11\nCOREOS_PUBLIC_IPV4=10.132.7.139\n"
    assert set(texts.values()) == {""}


def test_only_coreos_s_etcd_listens_on_4001_too(lab: Lab, first: LabMachine) -> None:
    listening = {
        profile: "4001" in dress_tree(lab, first, profile).files["etc/lab/etcd.env"].content
        for profile in PROFILES
    }

    assert [profile for profile, is_listening in listening.items() if is_listening] == ["coreos"]


def test_etcdctl_is_on_the_machine_except_under_fedora_coreos(lab: Lab, first: LabMachine) -> None:
    trees = {profile: dress_tree(lab, first, profile) for profile in PROFILES}

    assert "ETCDCTL_API:-2" in trees["coreos"].files["usr/bin/etcdctl"].content
    assert trees["flatcar"].links["usr/bin/etcdctl"] == "/usr/lib/coreos-kit-lab/etcdctl"
    assert "usr/bin/etcdctl" in trees["fedora-coreos"].absent
    assert trees["fedora-coreos"].links["usr/bin/podman"] == "/usr/lib/coreos-kit-lab/podman"
    assert "usr/bin/podman" in trees["debian"].absent


def test_the_fourth_machine_runs_a_gateway_under_etcd_s_name(lab: Lab) -> None:
    fourth = lab.machines[3]

    unit = dress_tree(lab, fourth, "debian").files["etc/systemd/system/etcd.service"].content

    assert gateway_command(lab, fourth, "debian") == (
        "/usr/lib/coreos-kit-lab/etcd-gateway.sh 10.132.7.11:2379,10.132.7.12:2379,10.132.7.13:2379 "
        "10.132.7.14:2379 127.0.0.1:2379"
    )
    assert f"ExecStart={gateway_command(lab, fourth, 'debian')}\n" in unit
    assert "Type=exec" in unit


def test_etcd_of_three_knows_its_members_and_serves_v2_and_v3(lab: Lab, first: LabMachine) -> None:
    settings = dress_tree(lab, first, "debian").files["etc/lab/etcd.env"].content.splitlines()

    assert "ETCD_ENABLE_V2=true" in settings
    assert "ETCD_LISTEN_CLIENT_URLS=http://10.132.7.11:2379,http://127.0.0.1:2379" in settings
    assert (
        "ETCD_INITIAL_CLUSTER=core-1=http://10.132.7.11:2380,"
        "core-2=http://10.132.7.12:2380,core-3=http://10.132.7.13:2380"
    ) in settings


def test_a_machine_gets_its_engine_and_the_registry_s_machine_does_not(lab: Lab, first: LabMachine) -> None:
    member = machine_tree(lab, first, KEYS, UPSTREAM, 1400)
    registry = machine_tree(lab, lab.registry_machine, KEYS, UPSTREAM, 1400)

    assert "etc/systemd/system/multi-user.target.wants/docker.service" in member.links
    assert "etc/systemd/system/multi-user.target.wants/docker-registry.service" in registry.links
    assert not any("docker.service" in path for path in registry.links)
    assert member.files["etc/ssh/ssh_host_ed25519_key"] == Text("private", 0o600)
    assert "10.132.7.13 core-3\n" in member.files["etc/hosts"].content


def test_docker_hub_s_names_lead_nowhere_on_a_machine(lab: Lab, first: LabMachine) -> None:
    hosts = machine_tree(lab, first, KEYS, UPSTREAM, 1400).files["etc/hosts"].content

    assert hosts.startswith("127.0.0.1 localhost registry-1.docker.io ")


def test_docker_and_podman_ask_the_lab_s_registry_first(lab: Lab) -> None:
    docker = json.loads(docker_configuration(lab, 1400))

    assert docker == {
        "registry-mirrors": ["http://10.132.7.10:5000"],
        "insecure-registries": ["10.132.7.10:5000"],
        "mtu": 1400,
    }
    assert '[[registry.mirror]]\nlocation = "10.132.7.10:5000"\ninsecure = true' in podman_registries(lab)


def test_a_machine_is_registered_only_where_there_is_machined(lab: Lab) -> None:
    machine = Machine(lab, lab.machines[1])

    alone = nspawn_argv(machine, registered=False)

    assert alone == [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--directory=/labs/trial/machines/core-2/root",
        "--machine=ck7m2",
        "--hostname=core-2",
        "--network-bridge=coreos-kit7",
        "--capability=all",
        "--system-call-filter=add_key keyctl bpf",
        "--bind=/labs/trial/machines/core-2/docker:/var/lib/docker",
        "--bind=/labs/trial/machines/core-2/containers:/var/lib/containers",
        "--bind=/labs/trial/machines/core-2/registry:/var/lib/docker-registry",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
    ]
    assert [word for word in alone if word not in nspawn_argv(machine, registered=True)] == [
        "--register=no",
        "--keep-unit",
    ]


def test_a_device_s_name_fits_into_what_the_kernel_takes() -> None:
    longest = f"vb-{nspawn_name(254, 'core-100')}"

    assert longest == "vb-ck254m100"
    assert len(longest) <= 15
    assert nspawn_name(1, "registry") == "ck1m0"


def test_forwarding_rules_are_only_added_where_the_workstation_drops() -> None:
    network = Network(7)

    open_host, closed_host = network.rules(forward_drops=False), network.rules(forward_drops=True)

    masquerade = (
        "-s",
        "10.132.7.0/24",
        "!",
        "-d",
        "10.132.7.0/24",
        "-m",
        "comment",
        "--comment",
        "coreos-kit7",
    )
    assert open_host == [("nat", "POSTROUTING", *masquerade, "-j", "MASQUERADE")]
    assert [rule[:4] for rule in closed_host[1:]] == [
        ("filter", "FORWARD", "-i", "coreos-kit7"),
        ("filter", "FORWARD", "-o", "coreos-kit7"),
    ]


def test_subnet_numbers_are_found_in_addresses_and_routes() -> None:
    assert numbers_in('{"local":"10.132.3.1"} "dst":"10.132.12.0/25" "10.13.2.5" "110.132.9.1"') == {3, 12}


def test_mounts_are_taken_away_innermost_first() -> None:
    table = "\n".join(
        f"{number} 1 0:1 / {point} rw - ext4 /dev/x rw"
        for number, point in enumerate(
            ["/", "/labs/trial/root", "/labs/trial/root/a\\040b", "/labs/trial-2/root"]
        )
    )

    assert mounts.mounts_below(Path("/labs/trial"), table) == [
        Path("/labs/trial/root/a b"),
        Path("/labs/trial/root"),
    ]


def test_control_groups_are_found_in_both_versions() -> None:
    table = (
        "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        "proc /proc proc rw 0 0\n"
    )

    assert cgroups.hierarchies(table) == [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/unified")]


def test_the_same_tars_give_the_same_image(tmp_path: Path) -> None:
    (tmp_path / "base.tar").write_bytes(b"base")
    layer = Layer.read(tmp_path / "base.tar")

    config = image_config([layer], ["bash"])
    manifest = json.loads(image_manifest(config, [layer]))

    assert config == image_config([layer], ["bash"])
    assert json.loads(config)["rootfs"]["diff_ids"] == [layer.digest]
    assert manifest["layers"] == [
        {"digest": layer.digest, "mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": 4}
    ]


def test_a_tree_is_written_once_and_then_differs_no_more(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/old").write_text("x")
    tree = Tree(
        files={"etc/new": Text("content", 0o600)},
        links={"etc/link": "/etc/new"},
        absent=frozenset({"etc/old"}),
    )

    first = (differs(tmp_path, tree), write_tree(tmp_path, tree))
    second = (differs(tmp_path, tree), write_tree(tmp_path, tree))

    assert (first, second) == ((True, True), (False, False))
    assert (tmp_path / "etc/new").stat().st_mode & 0o777 == 0o600
    assert str((tmp_path / "etc/link").readlink()) == "/etc/new"
    assert not (tmp_path / "etc/old").exists()


def test_a_file_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "name").symlink_to(tmp_path / "target")

    write_tree(tmp_path, Tree(files={"name": Text("new")}))

    assert (tmp_path / "name").read_text() == "new"
    assert (tmp_path / "target").read_text() == "kept"


def test_of_two_trees_the_second_wins_and_what_it_has_is_not_absent() -> None:
    both = Tree(files={"a": Text("1"), "b": Text("1")}, absent=frozenset({"c", "d"})) | Tree(
        files={"a": Text("2"), "c": Text("2")}, links={"b": "/x"}
    )

    assert both == Tree(files={"a": Text("2"), "c": Text("2")}, links={"b": "/x"}, absent=frozenset({"d"}))


def test_fleet_talks_to_its_own_machine_s_etcd(lab: Lab, first: LabMachine) -> None:
    assert fleet_configuration(lab, first) == (
        'etcd_servers=["http://127.0.0.1:2379"]\npublic_ip="10.132.7.11"\nmetadata="region=lab,n=1"\n'
    )
    assert (
        "After=etcd-member.service"
        in fleet_tree(lab, first, "flatcar").files["etc/systemd/system/fleet.service"].content
    )


def test_a_folder_without_fleet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="fleetd is no program") as caught:
        refuse_without_programs(tmp_path)

    assert caught.value.hint == "Give --fleet a folder that holds fleetd and fleetctl."


def test_missing_programs_are_answered_with_one_command_to_paste() -> None:
    assert install_line(["ip", "systemd-nspawn", "unshare", "nsenter"]) == (
        "apt-get install -y iproute2 systemd-container util-linux"
    )
