"""The names that a machine carries for its profile: etcd's unit, the environment file, etcdctl, podman.

Built, never written. Every profile says of every name whether it is there, so that one can follow another.
"""

from coreos_kit.adapters.nspawn.tree import Text, Tree, enabled
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.lab import Lab, LabMachine

PROFILES = ("coreos", "debian", "fedora-coreos", "flatcar")
# Where Fedora CoreOS's documentation takes it from; the lab's registry holds one made of Debian's etcd.
ETCD_IMAGE = "quay.io/coreos/etcd:lab"

_UNITS = {
    "coreos": "etcd.service",
    "debian": "etcd.service",
    "flatcar": "etcd-member.service",
    "fedora-coreos": "etcd-member.service",
}
_HIDDEN = "/usr/lib/coreos-kit-lab"

# CoreOS's etcdctl was that of etcd 0.4 to 2: it speaks v2 unless it is told otherwise.
_ETCDCTL_V2 = f'#!/bin/sh\nexport ETCDCTL_API="${{ETCDCTL_API:-2}}"\nexec {_HIDDEN}/etcdctl "$@"\n'

_UNIT = """\
[Unit]
Description=etcd
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
{conflicts}
[Service]
Type={type}
{settings}Restart=always
RestartSec=1
TimeoutStartSec=infinity
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def etcd_unit(profile: str) -> str:
    """Return the name of the unit that runs etcd under a profile."""
    if profile not in _UNITS:
        raise InvalidConfig(f"there is no profile {profile!r}", hint=f"Choose one of {', '.join(PROFILES)}.")
    return _UNITS[profile]


def dress_tree(lab: Lab, machine: LabMachine, profile: str) -> Tree:
    """Return what a profile puts on a machine, and what other profiles would and it does not."""
    unit = etcd_unit(profile)
    podman = profile == "fedora-coreos"
    files = {
        f"etc/systemd/system/{unit}": Text(etcd_unit_text(lab, machine, profile)),
        "etc/lab/etcd.env": Text(etcd_environment(lab, machine, profile)),
        "etc/environment": Text(environment_file(machine, profile)),
    }
    links = enabled(unit)
    if profile == "coreos":
        files["usr/bin/etcdctl"] = Text(_ETCDCTL_V2, 0o755)
    elif not podman:
        links["usr/bin/etcdctl"] = f"{_HIDDEN}/etcdctl"
    if podman:
        links["usr/bin/podman"] = f"{_HIDDEN}/podman"
        files["etc/containers/containers.conf.d/lab.conf"] = Text(_PODMAN_SETTINGS)
        files["etc/containers/storage.conf"] = Text(_PODMAN_STORAGE)
    possible = {
        path for other in set(_UNITS.values()) for path in (f"etc/systemd/system/{other}", *enabled(other))
    }
    return Tree(absent=frozenset(possible | {"usr/bin/etcdctl", "usr/bin/podman"})) | Tree(files, links)


_PODMAN_SETTINGS = (
    '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n\n[containers]\nlog_driver = "k8s-file"\n'
    '\n[network]\nnetwork_backend = "netavark"\n'
)
_PODMAN_STORAGE = (
    '[storage]\ndriver = "overlay"\ngraphroot = "/var/lib/containers/storage"\n'
    'runroot = "/run/containers/storage"\n'
)


def environment_file(machine: LabMachine, profile: str) -> str:
    """Return /etc/environment: CoreOS writes a machine's addresses there, later systems do not."""
    if profile != "coreos":
        return ""
    return f"COREOS_PRIVATE_IPV4={machine.private_ip}\nCOREOS_PUBLIC_IPV4={machine.public_ip}\n"


def client_addresses(machine: LabMachine, profile: str) -> list[str]:
    """Return where etcd listens for clients; 4001 is etcd's first port, which CoreOS kept open."""
    ports = (2379, 4001) if profile == "coreos" else (2379,)
    return [f"{ip}:{port}" for port in ports for ip in (machine.private_ip, "127.0.0.1")]


def etcd_environment(lab: Lab, machine: LabMachine, profile: str) -> str:
    """Return etcd's settings for a member of the cluster."""
    if machine.name not in lab.etcd_members:
        return ""
    members = [member for member in lab.machines if member.name in lab.etcd_members]
    own_peer = f"http://{machine.private_ip}:2380"
    settings = {
        "ETCD_NAME": machine.name,
        "ETCD_DATA_DIR": "/var/lib/etcd/lab",
        "ETCD_ENABLE_V2": "true",
        "ETCD_LISTEN_CLIENT_URLS": ",".join(
            f"http://{address}" for address in client_addresses(machine, profile)
        ),
        "ETCD_ADVERTISE_CLIENT_URLS": f"http://{machine.private_ip}:2379",
        "ETCD_LISTEN_PEER_URLS": own_peer,
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": own_peer,
        "ETCD_INITIAL_CLUSTER": ",".join(
            f"{member.name}=http://{member.private_ip}:2380" for member in members
        ),
        "ETCD_INITIAL_CLUSTER_TOKEN": f"coreos-kit-lab-{lab.name}",
        # etcd's own 100 and 1000 ms see elections wherever the workstation is busy with something else.
        "ETCD_HEARTBEAT_INTERVAL": "200",
        "ETCD_ELECTION_TIMEOUT": "2000",
        "ETCD_LOGGER": "zap",
        "ETCD_LOG_LEVEL": "warn",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def etcd_unit_text(lab: Lab, machine: LabMachine, profile: str) -> str:
    """Return the unit that runs etcd, or the gateway on machines that are no members."""
    member = machine.name in lab.etcd_members
    gateway = gateway_command(lab, machine, profile)
    if profile == "fedora-coreos":
        mounts = (
            "--volume /var/lib/etcd:/var/lib/etcd --volume /usr/lib/coreos-kit-lab:/usr/lib/coreos-kit-lab:ro"
        )
        command = "/usr/bin/etcd" if member else gateway
        options = f"--name etcd-member --net host --env-file /etc/lab/etcd.env {mounts}"
        lines = [
            "ExecStartPre=-/usr/bin/podman rm --force --ignore etcd-member",
            f"ExecStart=/usr/bin/podman run {options} {ETCD_IMAGE} {command}",
            "ExecStop=-/usr/bin/podman stop --time 5 etcd-member",
        ]
        kind = "exec"
    else:
        # Under Fedora CoreOS's names etcd ran as root in its container and left files that are root's.
        lines = [
            "EnvironmentFile=/etc/lab/etcd.env",
            "User=etcd",
            "ExecStartPre=+/bin/chown -R etcd: /var/lib/etcd",
        ]
        lines.append(f"ExecStart={'/usr/bin/etcd' if member else gateway}")
        kind = "notify" if member else "exec"
    conflicts = "Conflicts=etcd.service etcd2.service\n" if profile == "flatcar" else ""
    return _UNIT.format(conflicts=conflicts, type=kind, settings="".join(line + "\n" for line in lines))


def gateway_command(lab: Lab, machine: LabMachine, profile: str) -> str:
    """Return the command that answers on a machine's etcd addresses and passes on to the members."""
    members = ",".join(
        f"{member.private_ip}:2379" for member in lab.machines if member.name in lab.etcd_members
    )
    return " ".join([f"{_HIDDEN}/etcd-gateway.sh", members, *client_addresses(machine, profile)])
