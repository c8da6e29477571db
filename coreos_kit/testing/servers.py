"""Servers on loopback for tests: OpenSSH's sshd and etcd, each in its own folder; one that only drips."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.model.project import MachineEntry

SSHD = "/usr/sbin/sshd"
ETCD = shutil.which("etcd") or "/usr/bin/etcd"


_held: deque[socket.socket] = deque()
_MOST_HELD = 64  # more than one test ever uses


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on and that is given to nobody else, until it is far from use.

    It is held by a socket that is bound and does not listen. A server that sets SO_REUSEADDR, as all of these
    do, binds it all the same; until then, and after the server has stopped, it refuses connections. One that
    was let go could be another process's by the time it is used.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    _held.append(holder)
    if len(_held) > _MOST_HELD:
        _held.popleft().close()
    port: int = holder.getsockname()[1]
    return port


def wait_until(fact: Callable[[], bool], *, within_s: float = 30) -> None:
    """Ask again until a fact holds."""
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come true within {within_s:g} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def dripping_server(at_once: bytes) -> Iterator[int]:
    """Answer one question on a port of 127.0.0.1 with `at_once`, and then a byte now and then, for ever."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(64 * 1024)
            connection.sendall(at_once)
            while not over.wait(0.1):
                connection.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


def make_key(path: Path, key_type: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair with ssh-keygen and return the private half's path."""
    bits = ["-b", "2048"] if key_type == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", key_type, *bits, "-N", passphrase, "-C", "test", "-f", str(path)],
        check=True,
    )
    return path


@dataclass(slots=True)
class Sshd:
    """One sshd that lets the test's own user in with `identity`."""

    folder: Path
    port: int
    identity: Path
    host_key_types: tuple[str, ...] = ("ed25519",)
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The server as known_hosts names it."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return (self.folder / "log").read_text()

    def host_key(self, key_type: str = "ed25519") -> str:
        """Return a host key as known_hosts writes it: type and key."""
        return " ".join((self.folder / f"host_{key_type}.pub").read_text().split()[:2])

    def known_hosts(self, *lines: str) -> str:
        """Write a known_hosts file, without lines one that knows the server, and return its path."""
        path = Path(tempfile.mkstemp(dir=self.folder, prefix="known_hosts-")[1])
        path.write_text("".join(f"{line}\n" for line in lines or (f"{self.name} {self.host_key()}",)))
        return str(path)

    def entry(self, name: str = "web1", known_hosts_file: str = "", identity_file: str = "") -> MachineEntry:
        """Return the server as a machine of a cluster."""
        return MachineEntry(
            name,
            f"{getpass.getuser()}@127.0.0.1:{self.port}",
            identity_file=identity_file or str(self.identity),
            known_hosts_file=known_hosts_file or self.known_hosts(),
        )

    def start(self, settings: Sequence[str] = ()) -> None:
        """Start the server, with further lines of sshd_config."""
        home = self.folder / "home"  # without a .bashrc: sshd's shells read it, and it may be slow
        home.mkdir(exist_ok=True)
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", "PidFile none", "StrictModes no", "UsePAM no",
            "PermitRootLogin yes", f"AuthorizedKeysFile {self.identity}.pub", f"SetEnv HOME={home}",
            *(f"HostKey {self.folder}/host_{key_type}" for key_type in self.host_key_types), *settings,
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation wants the folder
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until(lambda: "Server listening" in self.log.rpartition("Received signal")[2])

    def stop(self) -> None:
        """Stop the listening server and every session of it."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        sessions = children.read_text().split() if children.exists() else []
        self.process.terminate()
        self.process.wait(10)
        self.process = None
        for session in sessions:
            subprocess.run(["kill", session], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def running_sshd(
    *, host_key_types: tuple[str, ...] = ("ed25519",), settings: Sequence[str] = (), start: bool = True
) -> Iterator[Sshd]:
    """Run an sshd for the time of a block."""
    with tempfile.TemporaryDirectory(prefix="kit-sshd-") as name:
        folder = Path(name)
        for key_type in host_key_types:
            make_key(folder / f"host_{key_type}", key_type)
        server = Sshd(folder, free_port(), make_key(folder / "identity"), host_key_types)
        try:
            if start:
                server.start(settings)
            yield server
        finally:
            server.stop()


@dataclass(slots=True)
class EtcdServer:
    """One etcd with both APIs; `ctl` is etcdctl against it."""

    folder: Path
    port: int
    peer_port: int
    scheme: str = "http"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self, arguments: Sequence[str] = ("--enable-v2",)) -> None:
        """Start it and wait until it serves."""
        log_file = self.folder / "log"
        before = log_file.stat().st_size if log_file.exists() else 0  # what an earlier start has said
        peer = f"http://127.0.0.1:{self.peer_port}"
        with log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    ETCD, "--name", "test", "--data-dir", str(self.folder / "data"),
                    "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", f"test={peer}",
                    "--heartbeat-interval", "20", "--election-timeout", "200", *arguments,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: b"ready to serve client requests" in log_file.read_bytes()[before:])
        wait_until(lambda: listens(self.port))

    def stop(self) -> None:
        """Stop it; its data stay."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def ctl(self, *arguments: str, api: str = "3") -> str:
        """Run etcdctl and return what it prints."""
        return subprocess.run(
            ["etcdctl", "--endpoints", self.url, *arguments],
            env={**os.environ, "ETCDCTL_API": api},
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        ).stdout


@contextmanager
def running_etcd(
    arguments: Sequence[str] = ("--enable-v2",), *, scheme: str = "http", start: bool = True
) -> Iterator[EtcdServer]:
    """Run an etcd for the time of a block."""
    with tempfile.TemporaryDirectory(prefix="kit-etcd-") as name:
        server = EtcdServer(Path(name), free_port(), free_port(), scheme)
        try:
            if start:
                server.start(arguments)
            yield server
        finally:
            server.stop()


def make_certificates(folder: Path, address: str = "127.0.0.1", client: str = "/O=client") -> None:
    """Make an authority, and with it a certificate of a server and a client: NAME.crt, NAME.key.

    The client has no CommonName: where logins are on, etcd's JSON gateway refuses one.
    """
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    signed = [
        "-addext", f"subjectAltName=IP:{address}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-CA", "ca.crt", "-CAkey", "ca.key",
    ]  # fmt: skip
    subjects = {"ca": "/CN=ca", "server": "/CN=server", "client": client}
    for name, subject in subjects.items():
        further = [] if name == "ca" else signed
        argv = ["openssl", "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        subprocess.run([*argv, "-subj", subject, *further], check=True, capture_output=True, cwd=folder)
