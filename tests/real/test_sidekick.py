"""The sidekick as its unit runs it, against a real etcd: bash, curl and etcdctl of this machine."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coreos_kit.model.plan import UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, EtcdApi, EtcdSettings, Project
from coreos_kit.model.services import Health, HealthKind, Registration, Service
from coreos_kit.testing.exec_line import exec_argv
from coreos_kit.units.render import desired_units
from coreos_kit.units.unit_file import UnitFile

REPOSITORY = Path(__file__).parents[2]
KEY = "/services/apache/127.0.0.1"
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not shutil.which("etcdctl", path="/usr/bin"),
        reason="etcdctl is not installed: apt-get install etcd-client",
    ),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed: apt-get install curl"),
]

Eventually = Callable[..., None]


@dataclass
class Sidekick:
    """One sidekick's two Exec lines, run as systemd would run them."""

    etcd: Any
    api: str
    port: int
    out: Path
    health: Health = field(default_factory=lambda: Health(timeout_s=1, fall=2))
    registration: Registration = field(
        default_factory=lambda: Registration("/services/apache", ttl_s=4, renew_s=1, drain_s=1)
    )
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                self._argv("ExecStart"), env=self._env(), stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def leave(self, *, main_pid: int | None = None) -> tuple[float, str]:
        """Run ExecStop to its end; return how long it took and what it said. It never fails."""
        before = time.monotonic()
        done = subprocess.run(
            self._argv("ExecStop"),
            env={**self._env(), **({"MAINPID": str(main_pid)} if main_pid else {})},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return time.monotonic() - before, done.stdout

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def end(self) -> int:
        """Stop the loop alone, as SIGTERM does."""
        assert self.process
        self.process.terminate()
        return self.process.wait(10)

    def said(self) -> list[str]:
        return self.out.read_text().splitlines()

    def value(self) -> str | None:
        return value(self.etcd, self.api)

    def _argv(self, directive: str) -> list[str]:
        return exec_argv(
            UnitFile.parse(self._text()).values("Service", directive)[0],
            {"i": str(self.port), "n": f"apache-discovery@{self.port}.service"},
            self._env(),
        )

    def _text(self) -> str:
        service = Service(
            "apache", "apache", "", 80, (str(self.port),), health=self.health, registration=self.registration
        )
        endpoint = f"http://{self.etcd.host}:{self.etcd.port}"
        settings = EtcdSettings(EtcdApi(self.api), (endpoint,))
        cluster = Cluster("c", PROFILES["debian"], DriverKind.SYSTEMD, (), (service,), (), etcd=settings)
        project = Project(Path(), "web", "user_name", "", "c", {"c": cluster})
        units = desired_units(project, cluster, SOURCES)
        return next(unit.text for unit in units if unit.kind is UnitKind.SIDEKICK)

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "COREOS_PRIVATE_IPV4": "127.0.0.1"}


def value(etcd: Any, api: str) -> str | None:
    """Return what the key holds, None if it is not there."""
    if api == "v2":
        try:
            return str(json.loads(etcd.request("GET", f"/v2/keys{KEY}"))["node"]["value"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
    asked = json.dumps({"key": base64.b64encode(KEY.encode()).decode()}).encode()
    found = json.loads(etcd.request("POST", "/v3/kv/range", asked)).get("kvs", [])
    return base64.b64decode(found[0]["value"]).decode() if found else None


class Backend:
    """A web server on a fixed port that can be told to fail, to hang, and to refuse connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.hang = threading.Event()
        self.server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        backend = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if backend.hang.is_set():
                    time.sleep(3)
                with suppress(OSError):
                    self.send_response(backend.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Answers)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture
def backend(free_port: Callable[[], int]) -> Iterator[Backend]:
    one = Backend(free_port())
    one.start()
    yield one
    one.stop()


@pytest.fixture
def sidekick(real_etcd: Any, api: str, backend: Backend, tmp_path: Path) -> Iterator[Sidekick]:
    one = Sidekick(real_etcd, api, backend.port, tmp_path / "journal")
    yield one
    if one.process and one.process.poll() is None:
        one.process.kill()
        one.process.wait(10)


def test_a_well_backend_is_registered_renewed_and_not_spoken_of_again(
    sidekick: Sidekick, eventually: Eventually
) -> None:
    mine = f"127.0.0.1:{sidekick.port}"

    sidekick.start()

    eventually(lambda: sidekick.value() == mine)
    time.sleep(sidekick.registration.ttl_s + 1.5)
    assert sidekick.value() == mine
    assert sidekick.said() == [f"registered {KEY} = {mine}"]


def test_a_backend_that_comes_late_is_registered_within_a_second(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    backend.stop()
    sidekick.start()
    time.sleep(2)
    assert (sidekick.value(), sidekick.said()) == (None, [])

    backend.start()

    eventually(lambda: sidekick.value() is not None, within_s=1.5)


def test_a_refused_connection_takes_it_out_at_once_and_an_answer_brings_it_back(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    mine = f"127.0.0.1:{sidekick.port}"
    sidekick.start()
    eventually(lambda: sidekick.value() == mine)

    backend.stop()
    eventually(lambda: sidekick.value() is None, within_s=sidekick.registration.renew_s + 1)
    backend.start()
    eventually(lambda: sidekick.value() == mine, within_s=3)

    eventually(lambda: len(sidekick.said()) == 3)
    assert sidekick.said() == [
        f"registered {KEY} = {mine}",
        f"deregistered {KEY}: {mine} refuses connections",
        f"registered {KEY} = {mine}",
    ]


def test_errors_take_it_out_after_as_many_failures_as_configured(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    backend.status = 503
    eventually(lambda: sidekick.value() is None, within_s=6)

    reason = "the check failed 2 times in a row: curl: (22) The requested URL returned error: 503"
    eventually(lambda: sidekick.said()[1:] == [f"deregistered {KEY}: {reason}"])


def test_a_single_failure_changes_nothing(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    sidekick.health = replace(sidekick.health, fall=20)
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    backend.status = 500
    time.sleep(2.5)
    backend.status = 200
    time.sleep(1)

    assert sidekick.value() is not None
    assert len(sidekick.said()) == 1


def test_a_backend_that_hangs_is_taken_out(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    backend.hang.set()

    eventually(lambda: sidekick.value() is None, within_s=8)
    eventually(lambda: "the check failed 2 times in a row: curl: (28)" in sidekick.said()[-1])


def test_a_tcp_check_needs_no_http(sidekick: Sidekick, backend: Backend, eventually: Eventually) -> None:
    sidekick.health = Health(HealthKind.TCP, timeout_s=1)
    backend.status = 500
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    backend.stop()

    eventually(lambda: sidekick.value() is None, within_s=3)
    eventually(lambda: sidekick.said()[-1].endswith("refuses connections"))


def test_without_a_check_it_is_registered_whatever_the_backend_does(
    sidekick: Sidekick, backend: Backend, eventually: Eventually
) -> None:
    sidekick.health = Health(HealthKind.NONE)
    backend.stop()

    sidekick.start()

    eventually(lambda: sidekick.value() is not None)


def test_what_an_earlier_instance_left_is_overwritten(
    sidekick: Sidekick, real_etcd: Any, api: str, eventually: Eventually
) -> None:
    real_etcd.put(api, KEY, "127.0.0.1:1")

    sidekick.start()

    eventually(lambda: sidekick.value() == f"127.0.0.1:{sidekick.port}")


def test_its_own_value_of_an_earlier_life_goes_while_the_backend_is_not_well(
    sidekick: Sidekick, backend: Backend, real_etcd: Any, api: str, eventually: Eventually
) -> None:
    real_etcd.put(api, KEY, f"127.0.0.1:{sidekick.port}")
    backend.stop()

    sidekick.start()

    eventually(lambda: sidekick.value() is None, within_s=2)


def test_a_key_deleted_or_overwritten_behind_its_back_is_back_at_the_next_renewal(
    sidekick: Sidekick, real_etcd: Any, api: str, eventually: Eventually
) -> None:
    mine = f"127.0.0.1:{sidekick.port}"
    sidekick.start()
    eventually(lambda: sidekick.value() == mine)

    real_etcd.delete(api, KEY)
    eventually(lambda: sidekick.value() == mine, within_s=3)
    real_etcd.put(api, KEY, "127.0.0.1:1")
    eventually(lambda: sidekick.value() == mine, within_s=3)


def test_an_outage_of_etcd_is_one_line_when_it_begins_and_one_when_it_ends(
    sidekick: Sidekick, real_etcd: Any, eventually: Eventually
) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    real_etcd.stop()
    time.sleep(sidekick.registration.ttl_s + 4)  # longer than the key lives
    real_etcd.start()
    eventually(lambda: sidekick.said()[-1] == "etcd answers again", within_s=8)

    assert sidekick.process
    assert sidekick.process.poll() is None
    assert sidekick.value() is not None
    first, away, back = sidekick.said()
    assert first.startswith("registered ")
    assert away.startswith("etcd does not answer, trying on: ")
    assert back == "etcd answers again"


def test_a_backend_that_dies_while_etcd_is_away_is_taken_out_when_it_is_back(
    sidekick: Sidekick, backend: Backend, real_etcd: Any, eventually: Eventually
) -> None:
    sidekick.registration = replace(sidekick.registration, ttl_s=60)
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    real_etcd.stop()
    backend.stop()
    time.sleep(3)
    real_etcd.start()

    eventually(lambda: sidekick.value() is None, within_s=8)


def test_a_sidekick_that_is_killed_leaves_a_key_that_ends_with_its_ttl(
    sidekick: Sidekick, eventually: Eventually
) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    sidekick.signal(signal.SIGKILL)

    assert sidekick.value() is not None
    eventually(lambda: sidekick.value() is None, within_s=sidekick.registration.ttl_s + 3)


def test_usr1_takes_it_out_and_holds_it_out_until_usr2(sidekick: Sidekick, eventually: Eventually) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)

    sidekick.signal(signal.SIGUSR1)
    eventually(lambda: sidekick.value() is None, within_s=1.5)
    time.sleep(2.5)
    assert sidekick.value() is None
    sidekick.signal(signal.SIGUSR2)
    eventually(lambda: sidekick.value() is not None, within_s=2)

    assert f"deregistered {KEY}: held out by SIGUSR1" in sidekick.said()


def test_sigterm_ends_the_loop_at_once_and_well(sidekick: Sidekick, eventually: Eventually) -> None:
    sidekick.registration = replace(sidekick.registration, renew_s=10, ttl_s=30)
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)
    before = time.monotonic()

    assert sidekick.end() == 0

    assert time.monotonic() - before < 1


def test_leaving_deregisters_ends_the_loop_and_drains(sidekick: Sidekick, eventually: Eventually) -> None:
    sidekick.start()
    eventually(lambda: sidekick.value() is not None)
    assert sidekick.process
    # systemd reaps the loop as soon as it ends, and so does this.
    threading.Thread(target=sidekick.process.wait, daemon=True).start()

    took, said = sidekick.leave(main_pid=sidekick.process.pid)

    assert (sidekick.value(), said) == (None, "")
    assert sidekick.registration.drain_s <= took < sidekick.registration.drain_s + 2
    assert sidekick.process.wait(1) == 0


def test_leaving_works_though_the_loop_is_dead_and_does_not_drain_a_dead_backend(
    sidekick: Sidekick, backend: Backend, real_etcd: Any, api: str
) -> None:
    real_etcd.put(api, KEY, f"127.0.0.1:{sidekick.port}")
    sidekick.registration = replace(sidekick.registration, drain_s=20)
    backend.stop()

    took, _ = sidekick.leave()

    assert sidekick.value() is None
    assert took < sidekick.registration.drain_s / 2


def test_leaving_leaves_alone_what_another_has_registered(
    sidekick: Sidekick, real_etcd: Any, api: str
) -> None:
    real_etcd.put(api, KEY, "127.0.0.1:1")

    _, said = sidekick.leave()

    assert (sidekick.value(), said) == ("127.0.0.1:1", "")


def test_leaving_without_etcd_is_bounded_and_says_what_becomes_of_the_key(
    sidekick: Sidekick, real_etcd: Any
) -> None:
    real_etcd.stop()

    took, said = sidekick.leave()

    assert took < 12
    assert said.startswith(f"etcd does not answer, so {KEY} goes when its TTL is over: ")


def test_leaving_is_bounded_where_etcd_takes_connections_and_says_nothing(sidekick: Sidekick) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sidekick.etcd = replace(sidekick.etcd, port=silent.getsockname()[1])

        took, _ = sidekick.leave()

    assert took < 13
