"""Each profile deployed and verified on machines that carry its names."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Kit


def dress(kit: Kit, profile: str, configuration: str) -> None:
    """Give the lab's machines the names of a profile, in place, and say so in the configuration."""
    subprocess.run(
        [sys.executable, "-m", "coreos_kit", "lab", "up", "--name", kit.lab, "--profile", profile], check=True
    )
    head, lab = configuration.split("[clusters.lab]")
    dressed = lab.replace('profile = "debian"', f'profile = "{profile}"', 1)
    (kit.workspace / "coreos-kit.toml").write_text(f"{head}[clusters.lab]{dressed}")


@pytest.fixture(scope="module")
def configuration(site: Kit) -> Iterator[str]:
    """The configuration for Debian, which the machines carry again when all is over."""
    kept = (site.workspace / "coreos-kit.toml").read_text()
    yield kept
    dress(site, "debian", kept)
    site("deploy", "--yes")


@pytest.mark.parametrize(("profile", "etcd_unit", "api", "engine"), [
    ("coreos", "etcd.service", "v2", "docker"),
    ("flatcar", "etcd-member.service", "v3", "docker"),
    ("fedora-coreos", "etcd-member.service", "v3", "podman"),
])  # fmt: skip
def test_a_profile_is_deployed_and_verified(
    site: Kit, configuration: str, profile: str, etcd_unit: str, api: str, engine: str
) -> None:
    dress(site, profile, configuration)

    site("deploy", "--yes", "--timeout", "120")

    site("verify")
    machine = site.machine_of("apache@7777.service")
    assert f"After={etcd_unit}" in site.machine(machine, "cat /etc/systemd/system/apache@7777.service")
    assert "apache.7777" in site.machine(machine, f"{engine} ps --format '{{{{.Names}}}}'")
    registered = [entry["value"] for entry in site("registrations", "--json").json["registrations"]]
    assert len(registered) == 2
    if api == "v2":
        assert "/services/apache/" in site.machine(
            machine, "curl -s http://127.0.0.1:2379/v2/keys/services/apache"
        )
