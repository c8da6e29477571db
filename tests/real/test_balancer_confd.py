"""The guide's way, `watcher = "confd"`: what is rendered, what is let through, and confd itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Backend, RealEtcd

pytestmark = pytest.mark.real
SOURCES = Path(__file__).parents[2] / "images/nginx_lb/confd"
_PLACES = {
    "confd-watch": "usr/local/bin",
    "nginx.conf": "etc/nginx",
    "nginx.toml": "etc/confd/conf.d",
    "nginx.tmpl": "etc/confd/templates",
}
ONE, TWO = "127.0.0.2:7777", "127.0.0.3:8888"


def rendered(servers: list[str], port: str) -> str:
    """Render nginx.tmpl as confd does: the few words of Go's text/template that it uses."""
    text = (SOURCES / "nginx.tmpl").read_text()
    text = re.sub(r"\s*\{\{- ", "{{ ", text)
    text = re.sub(r" -\}\}\s*", " }}", text)
    words = {'getenv "UPSTREAM_NAME"': "apache", 'getenv "LISTEN_PORT"': port, '$servers := getvs "/*"': ""}
    for word, value in words.items():
        text = text.replace("{{ " + word + " }}", value)
    inner = r"((?:(?!\{\{ (?:if|range|end)).)*?)"
    text = re.sub(
        r"\{\{ range \$servers \}\}" + inner + r"\{\{ end \}\}",
        lambda match: "".join(match[1].replace("{{ . }}", server) for server in servers),
        text,
        flags=re.DOTALL,
    )
    ipv6 = Path("/proc/net/if_inet6").exists()
    for condition, true in ((r'fileExists "/proc/net/if_inet6"', ipv6), (r"\$servers", bool(servers))):
        text = re.sub(
            r"\{\{ if " + condition + r" \}\}" + inner + r"(?:\{\{ else \}\}" + inner + r")?\{\{ end \}\}",
            lambda match, true=true: match[1] if true else match[2] or "",
            text,
            flags=re.DOTALL,
        )
    assert "{{" not in text
    return text


class Laid:
    """The image's files under a folder, and its script run there."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.nginx = root / "etc/nginx"
        self.environment = {"COREOS_KIT_BALANCER_ROOT": str(root), "PATH": os.environ["PATH"], **environment}

    def check(self, text: str) -> tuple[int, str]:
        staged = self.nginx / "sites-enabled/.app.conf123"
        staged.write_text(text)
        done = self.run("--check", str(staged))
        return done.returncode, done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "usr/local/bin/confd-watch", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip


@pytest.fixture
def laid(free_port: Callable[[], int]) -> Iterator[Laid]:
    if not Path("/usr/sbin/nginx").exists():
        pytest.skip("nginx is not installed: apt-get install nginx")
    root = Path(tempfile.mkdtemp(prefix="kit-confd-"))
    for folder in ("sites-enabled", "conf.d", "modules-enabled"):
        (root / "etc/nginx" / folder).mkdir(parents=True)
    (root / "run").mkdir()
    for name, where in _PLACES.items():
        (root / where).mkdir(parents=True, exist_ok=True)
        text = (SOURCES / name).read_text()
        if name != "confd-watch":
            text = text.replace("pid /run", f"pid {root}/run").replace('"/etc/nginx', f'"{root}/etc/nginx')
            text = text.replace('"/usr/local/bin', f'"{root}/usr/local/bin')
            text = text.replace("nginx -s reload", f"nginx -s reload -c {root}/etc/nginx/nginx.conf")
        (root / where / name).write_text(text)
    (root / "usr/local/bin/confd-watch").chmod(0o755)
    shutil.copy("/etc/nginx/mime.types", root / "etc/nginx")
    environment = {
        "HOST_IP": "127.0.0.1", "POOL_NETWORK": "127.0.0.0/8,192.0.2.0/24", "UPSTREAM_NAME": "apache",
        "LISTEN_PORT": str(free_port()), "CONFD_INTERVAL_S": "1",
    }  # fmt: skip
    yield Laid(root, environment)
    shutil.rmtree(root)


def test_two_servers_give_the_guides_site() -> None:
    text = rendered([ONE, TWO], "80")

    assert text.replace("    listen [::]:80 default_server ipv6only=on;\n", "") == (
        "upstream apache_pool {\n"
        "    server 127.0.0.2:7777;\n"
        "    server 127.0.0.3:8888;\n"
        "}\n"
        "\n"
        "server {\n"
        "    listen 80 default_server;\n"
        "    access_log /dev/stdout upstreamlog;\n"
        "\n"
        "    location / {\n"
        "        proxy_pass http://apache_pool;\n"
        "        proxy_redirect off;\n"
        "        proxy_connect_timeout 2s;\n"
        "        proxy_set_header Host $host;\n"
        "        proxy_set_header X-Real-IP $remote_addr;\n"
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "    }\n"
        "}\n"
    )


@pytest.mark.parametrize("servers", [[], [ONE], [ONE, TWO], [f"127.0.1.{n}:80" for n in range(200)]])
def test_the_rendered_site_passes_the_check_with_any_number_of_servers(
    laid: Laid, servers: list[str]
) -> None:
    assert laid.check(rendered(servers, laid.environment["LISTEN_PORT"])) == (0, "")


def test_what_is_checked_is_the_staged_file_not_the_installed_one(laid: Laid) -> None:
    (laid.nginx / "sites-enabled/app.conf").write_text("upstream apache_pool {}")

    assert laid.check(rendered([ONE], laid.environment["LISTEN_PORT"])) == (0, "")


def test_a_broken_file_written_by_hand_fails_the_check(laid: Laid) -> None:
    (laid.nginx / "conf.d/by-hand.conf").write_text("nonsense;")

    code, said = laid.check(rendered([ONE], laid.environment["LISTEN_PORT"]))

    assert code == 1
    assert 'unknown directive "nonsense"' in said


@pytest.mark.parametrize(
    "hostile",
    [
        "1.2.3.4:80; } include /etc/passwd;",
        "127.0.0.1:80;\n} include /etc/passwd; upstream x {\n    server 127.0.0.1:80",
        "127.0.0.1:80;\n    server unix:/run/docker.sock",
        "127.0.0.1:80;\n    keepalive 1",
        "127.0.0.1:80 # ",
        "169.254.169.254:80",
        "198.51.100.1:80",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.01:80",
        "localhost:80",
        "$(reboot):80",
        "",
        "\x1b[2J",
        "9" * 1_000_000,
    ],
)
def test_a_hostile_value_fails_the_check_in_one_printable_line(laid: Laid, hostile: str) -> None:
    code, said = laid.check(rendered([ONE, hostile], laid.environment["LISTEN_PORT"]))

    assert code == 1
    assert said.startswith("[confd-watch] refused: ")
    assert said.removesuffix("\n").isprintable()
    assert len(said) < 500


def test_an_unusable_environment_is_refused_with_everything_that_is_wrong(laid: Laid) -> None:
    laid.environment.update(HOST_IP="-etcd", POOL_NETWORK="", ETCD_PREFIX="a b")

    done = laid.run()

    assert done.returncode == 2
    assert [line.partition("not started: ")[2] for line in done.stderr.splitlines()] == [
        "HOST_IP is -etcd; it must be the IPv4 address or the name that etcd answers on",
        "ETCD_PREFIX is a\\ b; it must be a path like /services/apache",
        "POOL_NETWORK is ''; it must be IPv4 networks like 192.0.2.0/24, comma separated",
    ]


def show(laid: Laid) -> tuple[str, list[str]]:
    shown = json.loads(laid.run("--show").stdout)
    return shown["configuration_problem"], shown["configuration_differs"]


def test_show_says_which_files_nginx_has_not_taken_and_what_it_would_refuse(
    laid: Laid, eventually: Callable[..., None]
) -> None:
    site, by_hand = laid.nginx / "sites-enabled/app.conf", laid.nginx / "conf.d/by-hand.conf"
    site.write_text(rendered([ONE], laid.environment["LISTEN_PORT"]))
    long_ago = time.time() - 60
    for file in laid.nginx.rglob("*"):
        os.utime(file, (long_ago, long_ago))
    nginx = subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", str(laid.nginx / "nginx.conf")])
    try:
        eventually(lambda: (laid.root / "run/nginx.pid").read_text() != "")
        eventually(lambda: show(laid) == ("", []))

        os.utime(site, (time.time() + 60, time.time() + 60))
        assert show(laid) == ("", [str(site)])

        os.utime(site, (long_ago, long_ago))
        by_hand.write_text("add_header X-By-Hand yes")
        os.utime(by_hand, (long_ago, long_ago))
        problem, differs = show(laid)
        assert "by-hand.conf" in problem
        assert differs == []
    finally:
        nginx.terminate()
        nginx.wait(timeout=10)


@pytest.mark.real_confd
def test_confd_itself_follows_etcd_survives_an_empty_pool_and_a_hostile_value(
    laid: Laid, real_etcd: RealEtcd, api: str, backends: Callable[[], Backend], eventually, get
) -> None:
    binary = os.environ.get("COREOS_KIT_CONFD_BIN", "")
    if not binary:
        pytest.skip("COREOS_KIT_CONFD_BIN names no confd")
    shutil.copy(binary, laid.root / "usr/local/bin/confd")
    laid.environment["PATH"] = f"{laid.root}/usr/local/bin:{laid.environment['PATH']}"
    laid.environment.update(ETCD_PORT=str(real_etcd.port), ETCD_API=api)
    port, key = int(laid.environment["LISTEN_PORT"]), "/services/apache/127.0.0.1"
    first, second = backends(), backends()
    with (laid.root / "out").open("wb") as out:
        process = subprocess.Popen(
            [laid.root / "usr/local/bin/confd-watch"], env=laid.environment, stdout=out, stderr=out
        )
    try:
        eventually(lambda: get(port)[0] == 503)
        real_etcd.put(api, f"{key}1", first.address)
        eventually(lambda: get(port) == (200, first.address))
        assert json.loads(laid.run("--show").stdout) == {
            "watcher": "confd",
            "servers": [first.address],
            "configuration_problem": "",
            "configuration_differs": [],
        }

        real_etcd.delete(api, f"{key}1")
        eventually(lambda: get(port)[0] == 503)
        real_etcd.put(api, f"{key}1", first.address)
        eventually(lambda: get(port) == (200, first.address))

        real_etcd.put(api, f"{key}2", "127.0.0.1:80; } include /etc/passwd;")
        eventually(lambda: "[confd-watch] refused: " in (laid.root / "out").read_text())
        assert get(port) == (200, first.address)

        real_etcd.put(api, f"{key}2", second.address)
        eventually(lambda: {get(port)[1] for _ in range(4)} == {first.address, second.address})
        assert f"passed to: {second.address}: GET / HTTP/1.1" in (laid.root / "out").read_text()

        start = time.monotonic()
        process.terminate()
        assert (process.wait(5), time.monotonic() - start < 2) == (0, True)
    finally:
        process.kill()
        process.wait()
