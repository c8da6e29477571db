"""What a machine's root holds whatever its profile: names, addresses, keys, where things come from.

Built, never written.
"""

import json
from dataclasses import dataclass

from coreos_kit.adapters.nspawn.host import script
from coreos_kit.adapters.nspawn.sources import Upstream
from coreos_kit.adapters.nspawn.tree import Text, Tree, enabled, shipped
from coreos_kit.model.lab import Lab, LabMachine

# Docker asks its Hub for what a mirror does not have. The lab stands in for the Hub: the question ends here.
_HUB = ("registry-1.docker.io", "auth.docker.io", "index.docker.io", "docker.io", "quay.io")

_CGROUPS_UNIT = """\
[Unit]
Description=Writable control groups for containers
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/lib/coreos-kit-lab/cgroups-rw.sh

[Install]
WantedBy=sysinit.target
"""

_REGISTRY_UNIT = """\
[Unit]
Description=The registry that stands in for Docker Hub
After=network.target

[Service]
ExecStart=/usr/bin/docker-registry serve /etc/lab/registry.yml
Restart=always

[Install]
WantedBy=multi-user.target
"""

_REGISTRY_CONFIGURATION = """\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: /var/lib/docker-registry
  delete:
    enabled: true
http:
  addr: :5000
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that a machine is given."""

    host_key: str  # its own, private
    host_key_public: str
    authorized: str  # the lab's, public


def machine_tree(lab: Lab, machine: LabMachine, keys: Keys, upstream: Upstream, mtu: int) -> Tree:
    """Return what a machine holds before its profile adds to it."""
    hosts = [f"127.0.0.1 localhost {' '.join(_HUB)}", "::1 localhost"]
    hosts += [f"{other.private_ip} {other.name}" for other in lab.all_machines]
    common = Tree(
        files={
            "etc/hostname": Text(machine.name + "\n"),
            "etc/machine-id": Text(machine.machine_id + "\n", 0o444),
            "etc/hosts": Text("".join(line + "\n" for line in hosts)),
            "etc/resolv.conf": Text(upstream.resolv_conf),
            "etc/apt/sources.list": Text(upstream.sources_list),
            "etc/apt/apt.conf.d/50workstation": Text(upstream.apt_conf),
            "etc/systemd/network/10-lab.network": Text(network_file(lab, machine, mtu)),
            "etc/systemd/system/systemd-networkd-wait-online.service.d/lab.conf": Text(
                "[Service]\nExecStart=\n"
                "ExecStart=/lib/systemd/systemd-networkd-wait-online "
                "--interface=host0:routable --ipv4 --timeout=20\n"
            ),
            "etc/ssh/ssh_host_ed25519_key": Text(keys.host_key, 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": Text(keys.host_key_public),
            "home/core/.ssh/authorized_keys": Text(keys.authorized),
        }
    )
    return common | (_registry_tree() if machine == lab.registry_machine else _engine_tree(lab, mtu))


def network_file(lab: Lab, machine: LabMachine, mtu: int) -> str:
    """Return both addresses of a machine, on the one device that systemd-nspawn gives it."""
    return (
        f"[Match]\nName=host0\n\n[Link]\nMTUBytes={mtu}\n\n[Network]\nAddress={machine.private_ip}/25\n"
        f"Address={machine.public_ip}/25\nGateway={lab.gateway}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )


def docker_configuration(lab: Lab, mtu: int) -> str:
    """Return daemon.json: the registry is asked for what Docker Hub has, and may be pushed to without TLS."""
    settings = {
        "registry-mirrors": [f"http://{lab.registry}"],
        "insecure-registries": [lab.registry],
        "mtu": mtu,
    }
    return json.dumps(settings, indent=2) + "\n"


def podman_registries(lab: Lab) -> str:
    """Return the same for podman; names without a registry are Docker Hub's, as with Docker."""
    mirrors = "".join(
        f'[[registry]]\nprefix = "{hub}"\nlocation = "{hub}"\n'
        f'[[registry.mirror]]\nlocation = "{lab.registry}"\ninsecure = true\n\n'
        for hub in ("docker.io", "quay.io")
    )
    own = f'[[registry]]\nprefix = "{lab.registry}"\nlocation = "{lab.registry}"\ninsecure = true\n'
    return f'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n\n{mirrors}{own}'


def _engine_tree(lab: Lab, mtu: int) -> Tree:
    return Tree(
        files={
            "etc/docker/daemon.json": Text(docker_configuration(lab, mtu)),
            "etc/containers/registries.conf.d/lab.conf": Text(podman_registries(lab)),
            "usr/lib/coreos-kit-lab/cgroups-rw.sh": Text(script("cgroups-rw.sh"), 0o755),
            "usr/lib/coreos-kit-lab/etcd-gateway.sh": Text(script("etcd-gateway.sh"), 0o755),
            "etc/systemd/system/cgroups-rw.service": Text(_CGROUPS_UNIT),
        },
        links={
            **enabled("cgroups-rw.service", "sysinit.target"),
            **shipped("docker.socket", "sockets.target"),
            **shipped("containerd.service"),
            **shipped("docker.service"),
        },
    )


def _registry_tree() -> Tree:
    return Tree(
        files={
            "etc/lab/registry.yml": Text(_REGISTRY_CONFIGURATION),
            "etc/systemd/system/docker-registry.service": Text(_REGISTRY_UNIT),
        },
        links=enabled("docker-registry.service"),
    )
