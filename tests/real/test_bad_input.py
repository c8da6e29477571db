"""Bad input to SSH, through the whole command line: what stands in the way, and the way out.

Continues tests/cli/test_bad_input.py. A sudo that asks for a password and a full disk are in
tests/lab/test_bad_machines.py.
"""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coreos_kit.cli.main import main
from coreos_kit.testing.servers import (
    SSHD,
    Sshd,
    free_port,
    make_certificates,
    make_key,
    running_etcd,
    running_sshd,
)

pytestmark = pytest.mark.real

CONFIGURATION = """
[project]
name = "web"
[services.apache]
image = "apache"
container_port = 80
instances = [7777]
[clusters.own]
profile = "debian"
network = { private = "127.0.0.0/8" }
[clusters.own.machines.web1]
ssh = "root@127.0.0.1:PORT"
"""


NO_ETCD = (
    "Does etcd run there, with TLS or without as etcd.endpoints says? Empty is port 2379 of each machine."
)


@dataclass
class Workstation:
    """A workspace with one machine, and an ssh_config of this test's own."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    server: Sshd

    def points_at(
        self, port: int = 0, *, known_hosts: str = "", identity: Path | None = None, more: str = ""
    ) -> None:
        (self.folder / "web/coreos-kit.toml").write_text(
            CONFIGURATION.replace("PORT", str(port or self.server.port))
        )
        (self.folder / "ssh_config").write_text(
            f"UserKnownHostsFile {known_hosts or self.server.known_hosts()}\nGlobalKnownHostsFile /dev/null\n"
            f"IdentityFile {identity or self.server.identity}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"{more}\n"
        )

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(self.folder / "web"), *args])
        out, err = self.capsys.readouterr()
        return int(ended.value.code or 0), out, err


@pytest.fixture
def workstation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workstation]:
    if not Path(SSHD).exists():
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with pytest.raises(SystemExit):
        main(["init", str(tmp_path / "web")])
    bin_ = tmp_path / "bin"  # ssh -G reads the home of the password database, whatever HOME says
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/ssh_config "$@"\n')
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    with running_sshd() as server:
        yield Workstation(tmp_path, capsys, server)


def not_known(kit: Workstation) -> tuple[str, str]:
    empty = kit.folder / "known_hosts"
    empty.touch()
    kit.points_at(known_hosts=str(empty))
    return (
        f"host key of web1 (127.0.0.1:{kit.server.port}) is not known: ssh-ed25519 SHA256:",
        f"Connect by hand and compare: ssh -p {kit.server.port} root@127.0.0.1",
    )


def changed(kit: Workstation) -> tuple[str, str]:
    make_key(kit.folder / "other")
    other = " ".join((kit.folder / "other.pub").read_text().split()[:2])
    kit.points_at(known_hosts=kit.server.known_hosts(f"{kit.server.name} {other}"))
    return (
        f"host key of web1 (127.0.0.1:{kit.server.port}) has changed: ssh-ed25519 SHA256:",
        "If the machine was rebuilt: ssh-keygen -f ",
    )


def key_refused(kit: Workstation) -> tuple[str, str]:
    kit.points_at(identity=make_key(kit.folder / "other"))
    return (
        f"web1 (127.0.0.1:{kit.server.port}) can't be reached: login as root refused (tried {kit.folder}/o",
        f"Try it by hand: ssh -v -p {kit.server.port} root@127.0.0.1; ",
    )


def nobody_listens(kit: Workstation) -> tuple[str, str]:
    port = free_port()
    kit.points_at(port)
    return (
        f"web1 (127.0.0.1:{port}) can't be reached: connection refused",
        f"Is sshd running there, and is {port} its port?",
    )


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(not_known, id="an unknown host key"),
        pytest.param(changed, id="a changed host key"),
        pytest.param(key_refused, id="a key that is refused"),
        pytest.param(nobody_listens, id="a port on which nobody listens"),
    ],
)
def test_plan_and_status_say_what_is_in_the_way_and_the_way_out(
    workstation: Workstation, prepare: Callable[[Workstation], tuple[str, str]]
) -> None:
    message, hint = prepare(workstation)

    code, out, err = workstation("plan")
    shown = workstation("machines")

    assert (code, out) == (4, "")
    assert err.startswith("error: web1 can't be looked at, so nothing was touched\n")
    assert f"       web1: {message}" in err
    assert f"\n         {hint}" in err
    assert shown[0] == 4
    assert f"web1 is unreachable: {message}" in shown[1]
    assert f"\n  {hint}" in shown[1]


def test_a_server_that_is_silent_costs_its_timeout_and_is_named(workstation: Workstation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        workstation.points_at(port, more="ConnectTimeout 1")

        code, _, err = workstation("plan")

    assert code == 4
    assert f"web1 (127.0.0.1:{port}) can't be reached: something answers there, but not as an SSH" in err


def test_what_stands_in_the_way_of_ssh_itself_is_255(workstation: Workstation) -> None:
    nobody_listens(workstation)

    assert workstation("ssh", "web1", "--", "true")[0] == 255


def asks_etcd(kit: Workstation, port: int, scheme: str = "http", more: str = "") -> None:
    file = kit.folder / "web/coreos-kit.toml"
    file.write_text(
        CONFIGURATION.replace("PORT", str(kit.server.port))
        + '[services.apache.registration]\nprefix = "/services/apache"\nkey = "ip-port"\n'
        + f'[clusters.own.etcd]\nendpoints = ["{scheme}://127.0.0.1:{port}"]\n{more}\n'
    )
    (kit.folder / "ssh_config").write_text(f"UserKnownHostsFile {kit.server.known_hosts()}\n")


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_an_etcd_that_is_not_there_is_named(workstation: Workstation, api: str) -> None:
    port = free_port()
    asks_etcd(workstation, port, more=f'api = "{api}"')

    code, out, err = workstation("registrations")

    assert (code, out) == (4, "")
    assert (
        err == f"error: etcd http://127.0.0.1:{port} gives no answer: connection refused\nhint:  {NO_ETCD}\n"
    )


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.parametrize(
    ("scheme", "authority", "reason", "hint"),
    [
        ("https", "other", "TLS: CERTIFICATE_VERIFY_FAILED", "Check etcd.ca, etcd.cert and etcd.key, "),
        ("http", "own", "connection refused", NO_ETCD),
    ],
    ids=["another authority's", "none asked for"],
)
def test_an_etcd_whose_tls_is_not_what_is_configured_is_named(
    workstation: Workstation, tmp_path: Path, scheme: str, authority: str, reason: str, hint: str, api: str
) -> None:
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        make_certificates(tmp_path / name)
    own = tmp_path / authority
    arguments = ["--enable-v2", "--cert-file", f"{own}/server.crt", "--key-file", f"{own}/server.key"]
    with running_etcd(arguments, scheme="https") as server:
        ca = f'ca = "{tmp_path}/own/ca.crt"' if scheme == "https" else ""
        asks_etcd(workstation, server.port, scheme, f'{ca}\napi = "{api}"')

        code, out, err = workstation("registrations")

    assert (code, out) == (4, "")
    assert err.startswith(
        f"error: etcd {scheme}://127.0.0.1:{server.port} gives no answer: {reason}\nhint:  {hint}"
    )
