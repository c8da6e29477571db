"""Real programs on free loopback ports: etcd with both APIs, and the balancer without its container."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from coreos_kit.balancer.door import DoorClosed, give_pool, running_pool
from coreos_kit.testing.servers import free_port

REPOSITORY = Path(__file__).parents[2]
PREFIX = "/services/apache"


def _get(port: int, path: str = "/") -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture(name="free_port")
def free_port_fixture() -> Callable[[], int]:
    """Give the function that finds a free port of loopback."""
    return free_port


@pytest.fixture
def get() -> Callable[..., tuple[int, str]]:
    """Give a function that fetches a path from a port of loopback: the status and the body."""
    return _get


def eventually(fact: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Wait until `fact` is true, without raising; fail with what it last was."""
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = fact()
        except (OSError, ValueError, http.client.HTTPException) as error:
            last = error
        else:
            if last:
                return
        time.sleep(0.01)
    pytest.fail(f"not true within {within_s} s; last seen: {last!r}")


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., None]:
    """Give the function that waits until something is true."""
    return eventually


@dataclass
class RealEtcd:
    """One etcd of this machine, serving v2 and v3; its data survives `stop` and `start`."""

    data: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    _peer_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        client, peer = f"http://{self.host}:{self.port}", f"http://{self.host}:{self._peer_port}"
        with (self.data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "/usr/bin/etcd", "--name", "test", "--data-dir", str(self.data / "etcd"), "--enable-v2",
                    "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", f"test={peer}",
                    "--heartbeat-interval", "20", "--election-timeout", "200",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        eventually(lambda: b'"true"' in self.request("GET", "/health"), within_s=20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def request(self, method: str, path: str, body: bytes | None = None, content: str = "") -> bytes:
        request = urllib.request.Request(f"http://{self.host}:{self.port}{path}", body, method=method)
        if content:
            request.add_header("Content-Type", content)
        with urllib.request.urlopen(request, timeout=5) as answer:
            text: bytes = answer.read()
            return text

    def put(self, api: str, key: str, value: str) -> None:
        if api == "v2":
            body = urllib.parse.urlencode({"value": value}).encode()
            self.request("PUT", f"/v2/keys{key}", body, "application/x-www-form-urlencoded")
        else:
            self._v3("put", {"key": key, "value": value})

    def delete(self, api: str, key: str) -> None:
        if api == "v2":
            self.request("DELETE", f"/v2/keys{key}")
        else:
            self._v3("deleterange", {"key": key})

    def put_many(self, prefix: str, count: int) -> None:
        """Put `count` keys into v3, a hundred a transaction."""
        for start in range(0, count, 100):
            keys = [f"{prefix}{number}".encode() for number in range(start, start + 100)]
            puts = [{"requestPut": {"key": base64.b64encode(key).decode(), "value": "eA=="}} for key in keys]
            self.request("POST", "/v3/kv/txn", json.dumps({"success": puts}).encode())

    def _v3(self, call: str, words: dict[str, str]) -> None:
        encoded = {name: base64.b64encode(word.encode()).decode() for name, word in words.items()}
        self.request("POST", f"/v3/kv/{call}", json.dumps(encoded).encode())


@pytest.fixture
def real_etcd() -> Iterator[RealEtcd]:
    """Give a running etcd of this test's own: `.host`, `.port`, `.stop()`, `.start()`."""
    if not Path("/usr/bin/etcd").exists():
        pytest.skip("etcd is not installed: apt-get install etcd-server")
    folder = Path(tempfile.mkdtemp(prefix="kit-etcd-"))
    etcd = RealEtcd(folder)
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.stop()
        shutil.rmtree(folder)


@dataclass
class Backend:
    """A web server that answers with its own address, like an Apache of the guide."""

    address: str
    server: ThreadingHTTPServer
    requests: list[str]

    def kill(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def revive(self) -> None:
        """Serve again, on the same port."""
        self.server = _serving(self.server.server_address)
        self.server.backend = self  # type: ignore[attr-defined]


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        backend: Backend = self.server.backend  # type: ignore[attr-defined]
        backend.requests.append(self.path)
        body = backend.address.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _serving(address: tuple[str, int]) -> ThreadingHTTPServer:
    server = _Server(address, _Answers)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def backends() -> Iterator[Callable[..., Backend]]:
    """Give a function that starts another backend on an address of loopback."""
    started: list[Backend] = []

    def start(host: str = "127.0.0.1") -> Backend:
        server = _serving((host, free_port(host)))  # nobody else's while it is killed
        backend = Backend(f"{host}:{server.server_address[1]}", server, [])
        server.backend = backend  # type: ignore[attr-defined]
        started.append(backend)
        return backend

    yield start
    for backend in started:
        backend.kill()


@dataclass
class RealBalancer:
    """The image's files laid out under a folder, and its command running there with a real Nginx."""

    root: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def hand_written(self) -> Path:
        return self.root / "etc/nginx"

    @property
    def _socket(self) -> str:
        return str(self.root / "run/coreos-kit/pool.sock")

    def start(self) -> None:
        with (self.root / "out").open("ab") as out, (self.root / "err").open("ab") as err:
            self.process = subprocess.Popen(self._command(), env=self._env(), stdout=out, stderr=err)
        eventually(lambda: self.get() is not None, within_s=20)

    def stop(self) -> int:
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        code, self.process = self.process.wait(10), None
        return code

    def run_to_its_end(self) -> int:
        with (self.root / "err").open("ab") as err:
            done = subprocess.run(self._command(), env=self._env(), stderr=err, check=False, timeout=10)
        return done.returncode

    def forget_everything(self) -> None:
        """Be a new container of the same image."""
        shutil.rmtree(self.root / "var")
        shutil.rmtree(self.root / "run")

    def tell_nginx(self, servers: list[str]) -> None:
        """Set the pool behind the watcher's back."""
        give_pool(self._socket, servers)

    def headers(self) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return dict(connection.getresponse().getheaders())

    def nginx_pid(self) -> int:
        return int((self.root / "run/coreos-kit/nginx.pid").read_text())

    def get(self, path: str = "/") -> tuple[int, str]:
        return _get(self.port, path)

    def show(self) -> dict[str, object]:
        shown: dict[str, object] = json.loads(self.try_show().stdout)
        return shown

    def try_show(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command(), "--show"],
            env=self._env(),
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )

    def servers(self) -> list[str]:
        """Ask Nginx itself: `--show` is a process, and takes longer than what some tests measure."""
        try:
            return list(running_pool(self._socket).servers)
        except DoorClosed as error:
            raise ConnectionError(str(error)) from error

    def state(self) -> dict[str, object]:
        """Read what the watcher has written down, which `show` tells as well."""
        state: dict[str, object] = json.loads((self.root / "run/coreos-kit/state.json").read_text())
        return state

    def said(self) -> list[str]:
        return (self.root / "err").read_text().splitlines()

    def log(self) -> list[str]:
        return (self.root / "out").read_text().splitlines()

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "balancer"]

    def _env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(self.root / "usr/local/lib/coreos-kit"),
            "COREOS_KIT_BALANCER_ROOT": str(self.root), "LISTEN_PORT": str(self.port), **self.environment,
        }  # fmt: skip


def lay_out(root: Path) -> None:
    """Put the image's files where its Dockerfile puts them."""
    library = root / "usr/local/lib/coreos-kit"
    library.mkdir(parents=True)
    for name in ("nginx.conf", "pool.lua"):
        shutil.copy(REPOSITORY / "images/nginx_lb/kit" / name, library)
    shutil.copytree(REPOSITORY / "coreos_kit/balancer", library / "balancer")
    nginx = root / "etc/nginx"
    shutil.copytree("/etc/nginx/modules-enabled", nginx / "modules-enabled", symlinks=True)
    shutil.copy("/etc/nginx/mime.types", nginx)
    (nginx / "conf.d").mkdir()
    (nginx / "sites-enabled").mkdir()


@pytest.fixture(params=["v3", "v2"])
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def balancer(real_etcd: RealEtcd, api: str) -> Iterator[RealBalancer]:
    """Give a running balancer that follows `real_etcd` by `api`; its renewal time is one second."""
    if not Path("/usr/share/lua/5.1/ngx/balancer.lua").exists() or not Path("/usr/sbin/nginx").exists():
        pytest.skip("nginx with lua is not installed: apt-get install nginx libnginx-mod-http-lua")
    if os.geteuid() != 0:
        pytest.skip("nginx as the image runs it needs root")
    root = Path(tempfile.mkdtemp(prefix="kit-lb-"))  # pytest's own folders are too long for a unix socket
    lay_out(root)
    environment = {
        "HOST_IP": real_etcd.host, "ETCD_PORT": str(real_etcd.port), "ETCD_API": api, "ETCD_PREFIX": PREFIX,
        "POOL_NETWORK": "127.0.0.0/8", "UPSTREAM_NAME": "apache", "RENEW_S": "1",
    }  # fmt: skip
    box = RealBalancer(root, environment)
    try:
        box.start()
        yield box
    finally:
        box.stop()
        shutil.rmtree(root)
