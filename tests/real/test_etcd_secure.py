"""An etcd that wants TLS, a certificate and a login: the workstation, the sidekick and the watcher get in."""

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from coreos_kit.adapters.etcd import open_store
from coreos_kit.balancer.access import Access
from coreos_kit.balancer.etcd import EtcdV2, EtcdV3
from coreos_kit.balancer.wire import Unreachable
from coreos_kit.model.plan import UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, EtcdApi, EtcdSettings, Project
from coreos_kit.model.services import Health, HealthKind, Registration, Service
from coreos_kit.testing.exec_line import exec_argv
from coreos_kit.testing.servers import ETCD, EtcdServer, make_certificates, running_etcd, wait_until
from coreos_kit.units.render import desired_units
from coreos_kit.units.secret_files import folder
from coreos_kit.units.unit_file import UnitFile

REPOSITORY = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}
PREFIX = "/services/apache"
KEY = f"{PREFIX}/127.0.0.1"
PASSWORD = 'p: "$x" \\ %i'  # everything that a shell, a unit or a header could stumble over

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _there() -> None:
    if not Path(ETCD).exists() or not shutil.which("etcdctl"):
        pytest.skip("apt-get install etcd-server etcd-client")


@dataclass
class SecureEtcd:
    """The etcd, and the folder with what a machine of the cluster would have."""

    server: EtcdServer
    api: EtcdApi
    certificates: Path
    files: Path

    @property
    def settings(self) -> EtcdSettings:
        made = self.certificates
        return EtcdSettings(
            self.api, (self.server.url,), f"{made}/ca.crt", f"{made}/client.crt", f"{made}/client.key",
            username="kit", password_file=f"{made}/password",
        )  # fmt: skip

    def as_root(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
        context = ssl.create_default_context(cafile=f"{self.certificates}/ca.crt")
        context.load_cert_chain(f"{self.certificates}/client.crt", f"{self.certificates}/client.key")
        request = urllib.request.Request(
            self.server.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": token, "Content-Type": "application/json"} if token else {},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return json.loads(answer.read() or b"{}")

    def token(self) -> str:
        if self.api is EtcdApi.V2:
            return "Basic " + base64.b64encode(b"root:root").decode()
        said = self.as_root("POST", "/v3/auth/authenticate", {"name": "root", "password": "root"})
        return str(said["token"])

    def demand_logins(self) -> None:
        if self.api is EtcdApi.V2:
            rights = {"kv": {"read": [f"{PREFIX}*"], "write": [f"{PREFIX}*"]}}
            self.as_root("PUT", "/v2/auth/users/root", {"user": "root", "password": "root"})
            self.as_root("PUT", "/v2/auth/enable", {})
            token = self.token()
            self.as_root("PUT", "/v2/auth/roles/kit", {"role": "kit", "permissions": rights}, token)
            user = {"user": "kit", "password": PASSWORD, "roles": ["kit"]}
            self.as_root("PUT", "/v2/auth/users/kit", user, token)
            self.as_root("DELETE", "/v2/auth/roles/guest", token=token)
            return
        key = {"key": _b64(f"{PREFIX}/"), "range_end": _b64(f"{PREFIX}0"), "permType": "READWRITE"}
        for call, words in (
            ("user/add", {"name": "root", "password": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("role/add", {"name": "kit"}),
            ("role/grant", {"name": "kit", "perm": key}),
            ("user/add", {"name": "kit", "password": PASSWORD}),
            ("user/grant", {"user": "kit", "role": "kit"}),
            ("enable", {}),
        ):
            self.as_root("POST", f"/v3/auth/{call}", words)

    def change_password(self, password: str) -> None:
        if self.api is EtcdApi.V2:
            self.as_root("PUT", "/v2/auth/users/kit", {"user": "kit", "password": password}, self.token())
        else:
            words = {"name": "kit", "password": password}
            self.as_root("POST", "/v3/auth/user/changepw", words, self.token())

    def write_login(self, password: str) -> None:
        (self.files / "login").write_text(f"kit:{password}")

    def put(self, value: str) -> None:
        if self.api is EtcdApi.V2:
            path, token = f"/v2/keys{KEY}?value={value}", self.token()
            self.as_root("PUT", path, token=token)
        else:
            self.as_root("POST", "/v3/kv/put", {"key": _b64(KEY), "value": _b64(value)}, self.token())

    def store(self) -> EtcdV2 | EtcdV3:
        kind = EtcdV2 if self.api is EtcdApi.V2 else EtcdV3
        return kind("127.0.0.1", self.server.port, PREFIX, Access("https", str(self.files)))

    def values(self) -> list[str]:
        with open_store(self.settings, self.api, {}, timeout_s=3) as store:
            return [entry.value for entry in store.entries(PREFIX)]


@pytest.fixture(params=list(EtcdApi))
def etcd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecureEtcd]:
    made, files = tmp_path / "made", tmp_path / "files"
    made.mkdir()
    files.mkdir()
    make_certificates(made)
    for source, name in (("ca.crt", "ca.pem"), ("client.crt", "cert.pem"), ("client.key", "key.pem")):
        shutil.copy(made / source, files / name)
    (made / "password").write_text(f"{PASSWORD}\n")
    arguments = [
        "--enable-v2", "--cert-file", f"{made}/server.crt", "--key-file", f"{made}/server.key",
        "--client-cert-auth", "--trusted-ca-file", f"{made}/ca.crt",
    ]  # fmt: skip
    with running_etcd(arguments, scheme="https") as server:
        secure = SecureEtcd(server, request.param, made, files)
        secure.write_login(PASSWORD)
        secure.demand_logins()
        yield secure


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# The workstation


def test_the_workstation_reads(etcd: SecureEtcd) -> None:
    etcd.put("127.0.0.1:80")

    assert etcd.values() == ["127.0.0.1:80"]


def test_the_workstation_writes_where_its_role_lets_it_and_is_told_where_not(etcd: SecureEtcd) -> None:
    from coreos_kit.errors import Unreachable as KitUnreachable

    with open_store(etcd.settings, etcd.api, {}, timeout_s=3) as store:
        store.put(f"{PREFIX}/a", "x")
        for question in (
            lambda: store.create("/coreos-kit/v1/web/lock", "mine", 60),
            lambda: store.put("/coreos-kit/v1/web/a", "x"),
            lambda: store.entry("/coreos-kit/v1/web/lock"),
        ):
            with pytest.raises(KitUnreachable) as caught:
                question()
            assert "read and write" in caught.value.hint
            assert "/coreos-kit/" in caught.value.hint


# The watcher


def test_the_watcher_reads_and_is_woken_by_a_change(etcd: SecureEtcd) -> None:
    etcd.put("127.0.0.1:80")
    store = etcd.store()
    snapshot = store.read()
    assert dict(snapshot.registrations) == {KEY: "127.0.0.1:80"}
    woken = threading.Event()

    def wait() -> None:
        store.wait(snapshot, 10)
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    etcd.put("127.0.0.1:81")

    assert woken.wait(5)
    assert dict(store.read().registrations) == {KEY: "127.0.0.1:81"}


def test_the_watcher_reads_on_after_a_restart_that_forgets_its_token(etcd: SecureEtcd) -> None:
    store = etcd.store()
    store.read()
    etcd.server.stop()
    with pytest.raises(Unreachable):
        store.read()
    made = etcd.certificates
    etcd.server.start(
        [
            "--enable-v2", "--cert-file", f"{made}/server.crt", "--key-file", f"{made}/server.key",
            "--client-cert-auth", "--trusted-ca-file", f"{made}/ca.crt",
        ]
    )  # fmt: skip

    assert dict(store.read().registrations) == {}


def test_a_new_password_is_used_as_soon_as_the_file_has_it(etcd: SecureEtcd) -> None:
    store = etcd.store()
    store.read()

    etcd.change_password("another")
    etcd.write_login("another")

    assert dict(store.read().registrations) == {}


def test_a_wrong_password_is_a_reason_and_is_not_shown(etcd: SecureEtcd) -> None:
    etcd.write_login("hunter2")

    with pytest.raises(Unreachable) as caught:
        etcd.store().read()

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem"])
def test_without_the_authority_or_the_certificate_nothing_is_read(etcd: SecureEtcd, missing: str) -> None:
    (etcd.files / missing).unlink()

    with pytest.raises(Unreachable, match=r"(?i)certificate|tls|ssl|reset|closed"):
        etcd.store().read()


def test_a_certificate_with_a_common_name_is_refused_by_v3s_gateway_and_that_is_said(
    etcd: SecureEtcd,
) -> None:
    if etcd.api is EtcdApi.V2:
        pytest.skip("only v3 has a gateway")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=client"]
    subprocess.run(
        [
            *argv, "-CA", "ca.crt", "-CAkey", "ca.key",
            "-keyout", etcd.files / "key.pem", "-out", etcd.files / "cert.pem",
        ],
        cwd=etcd.certificates, check=True, capture_output=True,
    )  # fmt: skip

    with pytest.raises(Unreachable, match="make one without a CommonName"):
        etcd.store().read()


def test_certificates_that_are_none_are_a_reason(etcd: SecureEtcd) -> None:
    (etcd.files / "cert.pem").write_text("nonsense")

    with pytest.raises(Unreachable):
        etcd.store().read()


def test_an_etcd_without_logins_that_is_shown_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("kit:secret")
    with running_etcd() as server:
        with pytest.raises(Unreachable, match="authentication is not enabled"):
            EtcdV3("127.0.0.1", server.port, PREFIX, Access("http", str(tmp_path))).read()


# The sidekick


def sidekick_argv(etcd: SecureEtcd, directive: str) -> list[str]:
    """Return the Exec line as systemd runs it, with the folder of this test in the place of root's."""
    service = Service(
        "apache", "apache", "", 80, ("8080",),
        health=Health(HealthKind.NONE), registration=Registration(PREFIX, ttl_s=4, renew_s=1, drain_s=0),
    )  # fmt: skip
    cluster = Cluster(
        "c", PROFILES["debian"], DriverKind.SYSTEMD, (), (service,), (), etcd=etcd.settings
    )  # fmt: skip
    project = Project(Path(), "web", "user_name", "", "c", {"c": cluster})
    units = desired_units(project, cluster, SOURCES)
    text = next(unit.text for unit in units if unit.kind is UnitKind.SIDEKICK)
    value = UnitFile.parse(text).values("Service", directive)[0]
    argv = exec_argv(value, {"i": "8080", "n": "N"}, {"COREOS_PRIVATE_IPV4": "127.0.0.1"})
    return [word.replace(f"{folder('web')}/etcd", str(etcd.files)) for word in argv]


def start_sidekick(etcd: SecureEtcd, out: Path) -> subprocess.Popen[bytes]:
    with out.open("ab") as file:
        return subprocess.Popen(
            sidekick_argv(etcd, "ExecStart"),
            env={"PATH": os.environ["PATH"], "COREOS_PRIVATE_IPV4": "127.0.0.1"},
            stdout=file,
            stderr=file,
        )


def test_the_sidekick_registers_goes_on_with_a_new_password_and_deregisters(
    etcd: SecureEtcd, tmp_path: Path
) -> None:
    out = tmp_path / "journal"
    process = start_sidekick(etcd, out)
    try:
        wait_until(lambda: etcd.values() == ["127.0.0.1:8080"])

        etcd.change_password("another")
        etcd.write_login("another")
        (etcd.certificates / "password").write_text("another")
        seen = len(out.read_text())
        wait_until(lambda: etcd.values() == ["127.0.0.1:8080"])
        wait_until(
            lambda: "does not answer" not in out.read_text()[seen:] or "answers again" in out.read_text()
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    done = subprocess.run(
        sidekick_argv(etcd, "ExecStop"),
        env={"PATH": os.environ["PATH"], "COREOS_PRIVATE_IPV4": "127.0.0.1"},
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert etcd.values() == []
    assert "another" not in out.read_text()
    assert PASSWORD not in out.read_text()


def test_no_process_of_the_sidekick_has_the_password_among_its_arguments(
    etcd: SecureEtcd, tmp_path: Path
) -> None:
    etcd.change_password("hunter2-hunter2")
    etcd.write_login("hunter2-hunter2")
    (etcd.certificates / "password").write_text("hunter2-hunter2")
    process = start_sidekick(etcd, tmp_path / "journal")
    seen: set[str] = set()
    try:
        while etcd.values() != ["127.0.0.1:8080"] or not any("etcdctl" in line for line in seen):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)

    assert [line for line in seen if "hunter2-hunter2" in line] == []


def test_a_sidekick_without_its_login_says_why_and_goes_on(etcd: SecureEtcd, tmp_path: Path) -> None:
    out = tmp_path / "journal"
    (etcd.files / "login").unlink()
    process = start_sidekick(etcd, out)
    try:
        wait_until(lambda: "etcd does not answer, trying on: " in out.read_text())
        etcd.write_login(PASSWORD)
        wait_until(lambda: etcd.values() == ["127.0.0.1:8080"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)

    assert "No such file" not in out.read_text()


def test_the_workstation_is_refused_with_another_users_certificate_missing(etcd: SecureEtcd) -> None:
    from coreos_kit.errors import Unreachable as KitUnreachable

    stranger = replace(etcd.settings, cert="", key="")

    with open_store(stranger, etcd.api, {}, timeout_s=2) as store, pytest.raises(KitUnreachable):
        store.entries(PREFIX)
