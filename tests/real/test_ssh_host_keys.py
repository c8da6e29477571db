"""Whose key is believed: a real sshd on loopback, and known_hosts files as people have them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import Unreachable
from coreos_kit.model.project import MachineEntry
from coreos_kit.testing.servers import SSHD, Sshd, make_key, running_sshd

pytestmark = pytest.mark.real

TYPES = ("rsa", "ecdsa", "ed25519")


@pytest.fixture
def server() -> Iterator[Sshd]:
    if not Path(SSHD).exists():
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with running_sshd(host_key_types=TYPES) as running:
        yield running


def greet(entry: MachineEntry, *, accept_new: bool = False, config_file: Path | None = None) -> str:
    with open_machines([entry], accept_new=accept_new, config_file=config_file) as machines:
        return machines.runner("web1").run(["echo", "hello"]).text


def refusal(entry: MachineEntry, *, accept_new: bool = False) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        greet(entry, accept_new=accept_new)
    assert caught.value.machine == "web1"
    return caught.value


def other_key(server: Sshd, key_type: str = "ed25519") -> str:
    path = make_key(server.folder / f"other_{key_type}", key_type)
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


@pytest.mark.parametrize("key_type", TYPES)
def test_the_key_that_is_known_is_the_one_that_is_asked_for(server: Sshd, key_type: str) -> None:
    known_hosts = server.known_hosts(f"{server.name} {server.host_key(key_type)}")

    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"


@pytest.mark.parametrize(
    "names",
    [
        "{name}",
        "127.0.0.1",
        "*",
        "[127.0.0.?]:*",
        "!other,{name}",
        "other.example,{name}",
        "127.0.0.1,[other]:22",
    ],
)
def test_a_line_may_name_the_host_in_many_ways(server: Sshd, names: str) -> None:
    known_hosts = server.known_hosts(f"{names.format(name=server.name)} {server.host_key()}")

    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"


def test_hashed_names_are_understood(server: Sshd) -> None:
    known_hosts = server.known_hosts()
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known_hosts], check=True, capture_output=True)

    assert server.name not in Path(known_hosts).read_text()
    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"


def test_damaged_and_foreign_lines_are_passed_over(server: Sshd) -> None:
    known_hosts = server.known_hosts(
        "# a comment", "", "@cert-authority", f"{server.name} ssh-ed25519 not-base-64!", "nonsense",
        f"@unknown-marker * {server.host_key()}", f"{server.name} {server.host_key()} a comment",
    )  # fmt: skip

    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"


def test_an_unknown_host_is_refused_with_its_fingerprint(server: Sshd) -> None:
    known_hosts = server.known_hosts(f"[127.0.0.2]:{server.port} {server.host_key()}")

    error = refusal(server.entry(known_hosts_file=known_hosts))

    assert str(error).startswith(
        f"host key of web1 (127.0.0.1:{server.port}) is not known: ssh-ed25519 SHA256:"
    )
    assert error.details == (f"looked in {known_hosts}",)
    assert f"ssh -p {server.port} " in error.hint


def test_a_negated_name_is_not_known(server: Sshd) -> None:
    error = refusal(
        server.entry(
            known_hosts_file=server.known_hosts(
                f"*,!{server.name},!127.0.0.1 {server.host_key()}",
            )
        )
    )

    assert "is not known" in str(error)


def test_a_changed_key_is_refused_with_the_line_that_says_otherwise(server: Sshd) -> None:
    known_hosts = server.known_hosts("# first line", f"{server.name} {other_key(server)}")

    error = refusal(server.entry(known_hosts_file=known_hosts), accept_new=True)

    assert "has changed: ssh-ed25519 SHA256:" in str(error)
    assert error.details[0].startswith(f"{known_hosts}:2 has ssh-ed25519 SHA256:")
    assert error.hint.startswith(
        f"If the machine was rebuilt: ssh-keygen -f {known_hosts} -R '{server.name}'"
    )


def test_one_of_two_known_keys_is_enough(server: Sshd) -> None:
    known_hosts = server.known_hosts(
        f"{server.name} {other_key(server)}", f"{server.name} {server.host_key()}"
    )

    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"


def test_a_revoked_key_is_refused_even_where_it_is_known(server: Sshd) -> None:
    known_hosts = server.known_hosts(f"{server.name} {server.host_key()}", f"@revoked * {server.host_key()}")

    error = refusal(server.entry(known_hosts_file=known_hosts))

    assert "is revoked" in str(error)
    assert error.details == (f"revoked by {known_hosts}:2",)


def test_a_new_key_is_written_down_where_the_configuration_says_so(server: Sshd) -> None:
    known_hosts = str(server.folder / "new" / "known_hosts")
    entry = server.entry(known_hosts_file=known_hosts)

    assert greet(entry, accept_new=True) == "hello\n"
    assert Path(known_hosts).read_text() == f"{server.name} {server.host_key()}\n"
    assert Path(known_hosts).stat().st_mode & 0o777 == 0o600
    assert greet(entry) == "hello\n"


def test_ssh_config_may_say_accept_new_but_its_no_is_not_heeded(server: Sshd) -> None:
    known_hosts = server.folder / "kh"
    config = server.folder / "ssh_config"
    entry = MachineEntry("web1", "web1")
    lines = (
        f"HostName 127.0.0.1\nPort {server.port}\nIdentityFile {server.identity}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {known_hosts}\nGlobalKnownHostsFile /dev/null\n"
    )
    config.write_text(f"StrictHostKeyChecking no\n{lines}")
    with pytest.raises(Unreachable, match="is not known"):
        greet(entry, config_file=config)
    config.write_text(f"StrictHostKeyChecking accept-new\n{lines}")

    assert greet(entry, config_file=config) == "hello\n"
    assert known_hosts.read_text() == f"{server.name} {server.host_key()}\n"


def test_a_host_key_alias_stands_for_the_host(server: Sshd) -> None:
    config = server.folder / "ssh_config"
    config.write_text(
        f"Host web1\nHostName 127.0.0.1\nPort {server.port}\nHostKeyAlias the-web\n"
        f"IdentityFile {server.identity}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {server.known_hosts(f'the-web {server.host_key()}')}\n"
    )

    assert greet(MachineEntry("web1", "web1"), config_file=config) == "hello\n"


# Certificate authorities


@pytest.fixture
def authority(server: Sshd) -> Path:
    return make_key(server.folder / "authority")


def certify(server: Sshd, authority: Path, *options: str, key_type: str = "ed25519") -> None:
    key = server.folder / f"host_{key_type}.pub"
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *options, str(key)], check=True)
    server.stop()
    server.start([f"HostCertificate {server.folder}/host_{key_type}-cert.pub"])


def authority_line(authority: Path, names: str = "127.0.0.*,[127.0.0.*]:*") -> str:
    return f"@cert-authority {names} {Path(f'{authority}.pub').read_text()}".strip()


@pytest.mark.parametrize("key_type", TYPES)
def test_a_certificate_of_a_listed_authority_is_believed(
    server: Sshd, authority: Path, key_type: str
) -> None:
    certify(server, authority, "-h", "-n", "127.0.0.1", key_type=key_type)

    assert greet(server.entry(known_hosts_file=server.known_hosts(authority_line(authority)))) == "hello\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-h", "-n", "another.example"], "it is for another.example, not for 127.0.0.1"),
        (["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "it is not valid at this time"),
        (["-n", "127.0.0.1"], "it is not a host certificate"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(
    server: Sshd, authority: Path, options: list[str], reason: str
) -> None:
    certify(server, authority, *options)

    error = refusal(server.entry(known_hosts_file=server.known_hosts(authority_line(authority))))

    assert reason in str(error) or "it showed no certificate" in str(error)


def test_a_certificate_of_another_authority_is_refused(server: Sshd, authority: Path) -> None:
    certify(server, authority, "-h", "-n", "127.0.0.1")
    line = f"@cert-authority * {other_key(server)}"

    error = refusal(server.entry(known_hosts_file=server.known_hosts(line)))

    assert "its certificate is signed by another authority" in str(error)


def test_a_revoked_authority_is_refused(server: Sshd, authority: Path) -> None:
    certify(server, authority, "-h", "-n", "127.0.0.1")
    revoked = authority_line(authority, "*").replace("@cert-authority", "@revoked")
    known_hosts = server.known_hosts(authority_line(authority), revoked)

    error = refusal(server.entry(known_hosts_file=known_hosts))

    assert "is revoked: authority SHA256:" in str(error)


def test_a_host_without_a_certificate_is_told_from_an_unknown_one(server: Sshd, authority: Path) -> None:
    known_hosts = server.known_hosts(authority_line(authority))

    error = refusal(server.entry(known_hosts_file=known_hosts))

    assert str(error).endswith("is vouched for by no listed authority: it showed no certificate")
    assert error.details[-1] == f"{known_hosts}:1 lists the authority"


def test_an_authority_beside_a_known_key_is_no_obstacle(server: Sshd, authority: Path) -> None:
    known_hosts = server.known_hosts(authority_line(authority), f"{server.name} {server.host_key('rsa')}")

    assert greet(server.entry(known_hosts_file=known_hosts)) == "hello\n"
