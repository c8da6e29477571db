"""Secrets on real machines: where they are, where they are not, and an etcd that wants TLS and a login."""

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import bcrypt
import pytest

from coreos_kit.testing.servers import make_certificates
from tests.lab.conftest import Kit
from tests.lab.test_deploy import fetch

MARK = uuid4().hex  # of this run: what tests look for ends up in a journal as well
VALUES = {"A": f"env-{MARK}", "B": f'"file" $x \\ % {MARK}', "C": f"command-{MARK}"}
TABLES = """
[secrets.from_env]
env = "LAB_SECRET"

[secrets.from_file]
file = "secrets/file"

[secrets.from_command]
command = ["cat", "secrets/command"]
"""
GIVEN = 'secrets = { A = "from_env", B = "from_file", C = "from_command" }'
INSTANCES = "instances = [7777, 8888]"
FOLDER = "/etc/coreos-kit/web"


@pytest.fixture
def secret(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Give the service a secret from each source, and take them away again."""
    before = (kit.workspace / "coreos-kit.toml").read_bytes()
    folder = kit.workspace / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(f"{VALUES['B']}\n")
    (folder / "command").write_text(f"{VALUES['C']}\n")
    monkeypatch.setenv("LAB_SECRET", VALUES["A"])
    kit.edit("coreos-kit.toml", INSTANCES, f"{INSTANCES}\n{GIVEN}")
    kit.edit("coreos-kit.toml", "[clusters.lab]", f"{TABLES}\n[clusters.lab]")
    yield kit
    (kit.workspace / "coreos-kit.toml").write_bytes(before)
    shutil.rmtree(folder)
    kit("deploy", "--yes")
    for machine in machines(kit):
        assert set(kit.machine(machine, f"ls -A {FOLDER}").split()) <= {"digest.key", "releases"}


def machines(kit: Kit) -> list[str]:
    return [entry["name"] for entry in kit("machines", "--json").json["machines"]]


def inside(kit: Kit, instance: int) -> dict[str, str]:
    machine = kit.machine_of(f"apache@{instance}.service")
    lines = kit.machine(machine, f"docker exec apache.{instance} env").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name in VALUES}


def test_a_secret_reaches_its_container_and_nothing_else_shows_it(secret: Kit) -> None:
    kit, everywhere = secret, machines(secret)
    for machine in everywhere:  # whoever looks at the arguments all the time
        kit.machine(
            machine,
            "systemctl stop watch-ps 2>/dev/null;"
            " systemd-run -q --collect --unit=watch-ps --property=RuntimeMaxSec=300"
            " bash -c 'while :; do ps -eo args; sleep 0.1; done > /run/seen-by-ps'",
        )

    planned = kit("plan", "--json", "-v")
    deployed = kit("deploy", "--yes", "-v")
    again = kit("deploy", "--yes", "--json")
    verified = kit("verify", "--json", "-v")

    assert inside(kit, 7777) == inside(kit, 8888) == VALUES
    assert again.json["changed"] is False
    told = "".join(ran.out + ran.err for ran in (planned, deployed, again, verified))
    told += kit("logs", "-n", "1000").out
    assert MARK not in told
    pattern = f"[{MARK[0]}]{MARK[1:]}"  # which does not find itself
    for machine in everywhere:
        kit.machine(machine, "systemctl stop watch-ps; grep -q coreos-kit /run/seen-by-ps")
        found = kit.machine(
            machine,
            f"grep -rl {pattern} /etc /run /tmp /root /home /var/log /var/tmp"
            " --exclude-dir=containerd --exclude-dir=docker --exclude-dir=coreos-kit 2>/dev/null;"
            f" journalctl --no-pager -o export | grep -a {pattern};"
            f" systemctl show '*' | grep {pattern}; rm /run/seen-by-ps",
            code=None,
        )
        assert found == "", machine
    everything = kit.machine("core-1", "ETCDCTL_API=3 etcdctl get --from-key ''; ETCDCTL_API=2 etcdctl ls -r")
    assert "/services/apache" in everything
    assert MARK not in everything


def test_the_files_are_roots_alone_and_only_where_they_are_used(secret: Kit) -> None:
    kit = secret
    kit("deploy", "--yes")
    hosts = {kit.machine_of(f"apache@{instance}.service") for instance in (7777, 8888)}

    for machine in machines(kit):
        listed = kit.machine(machine, f"find {FOLDER} -printf '%y %m %u %P\\n' | sort")
        lines = [line.split(" ") for line in listed.splitlines()]
        assert {tuple(line[:3]) for line in lines} == {("d", "700", "root"), ("f", "600", "root")}
        # The seals of releases are on every machine, and the key under which they are digested.
        names = [name for kind, *_, name in lines if kind == "f" and not name.startswith("releases/")]
        environments = names[:-1]
        assert names[-1] == "digest.key"
        assert [name.partition(".")[0] for name in environments] == (["apache"] if machine in hosts else [])
    one = min(hosts)
    # What the documentation says: the engine itself shows a container's environment to root.
    shown = kit.machine(
        one, "docker ps -q --filter name=apache | xargs docker inspect --format '{{json .Config.Env}}'"
    )
    assert VALUES["A"] in shown


def test_a_changed_secret_is_a_change_that_is_rolled_out_and_told_without_its_value(secret: Kit) -> None:
    kit = secret
    kit("deploy", "--yes")
    (kit.workspace / "secrets/file").write_text("changed-walnut\n")

    planned = kit("plan", "--exit-code", code=1).out
    deployed = kit("deploy", "--yes", "--json")

    assert "~ replace apache@7777.service" in planned
    assert "~ replace apache@8888.service" in planned
    assert "/etc/coreos-kit/web/apache." in planned
    assert "walnut" not in planned + deployed.out + deployed.err
    assert {change["unit"] for change in deployed.json["changes"]} == {
        "apache@7777.service",
        "apache@8888.service",
    }
    assert inside(kit, 7777)["B"] == inside(kit, 8888)["B"] == "changed-walnut"
    kit("verify")
    machine = kit.machine_of("apache@7777.service")
    assert kit.machine(machine, f"cat {FOLDER}/*.env | grep -c {MARK}", code=None) == "2\n"  # A and C
    assert kit.machine(machine, f"ls {FOLDER}/*.env | wc -l") == "1\n"
    assert "nothing to do" in kit("deploy").out


def test_a_service_that_leaves_a_machine_takes_its_secrets_along(secret: Kit) -> None:
    kit = secret
    kit("deploy", "--yes")
    machine = kit.machine_of("apache@8888.service")

    kit.edit("coreos-kit.toml", INSTANCES, "instances = [7777]")
    kit("deploy", "--yes")

    assert set(kit.machine(machine, f"ls -A {FOLDER}").split()) == {"digest.key", "releases"}
    assert inside(kit, 7777) == VALUES


def test_a_missing_secret_is_named_before_anything_is_touched(
    secret: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = secret
    monkeypatch.delenv("LAB_SECRET")
    (kit.workspace / "secrets/command").write_text(f"two {MARK}\nlines\n")
    before = kit("status", "--json").json["units"]

    refused = kit("deploy", "--yes", code=3)

    assert refused.err.startswith(
        "error: the secret from_env is missing: the environment variable LAB_SECRET is not set\n"
    )
    monkeypatch.setenv("LAB_SECRET", VALUES["A"])
    refused = kit("deploy", "--yes", code=3)
    assert "it has several lines, and an environment file can't hold a newline" in refused.err
    assert MARK not in refused.err
    assert kit("status", "--json").json["units"] == before
    (kit.workspace / "secrets/command").write_text(f"{VALUES['C']}\n")


def test_a_file_that_was_spoilt_by_hand_is_put_right_without_a_restart(secret: Kit) -> None:
    kit = secret
    kit("deploy", "--yes")
    machine = kit.machine_of("apache@7777.service")
    kit.machine(machine, f"chmod 0644 {FOLDER}/*.env")
    before = kit("status", "--json").json["units"]

    planned = kit("plan", "--json").json
    kit("deploy", "--yes")

    assert [(entry["machine"], len(entry["write"])) for entry in planned["files"]] == [(machine, 1)]
    assert kit.machine(machine, f"stat -c %a {FOLDER}/*.env") == "600\n"
    assert kit("status", "--json").json["units"] == before


# An etcd that wants TLS, a client's certificate and a login


PORT = 23790
LOGIN = """
set -e
cd /root/secure-etcd
etcdctl() { /usr/bin/etcdctl --endpoints="$1" --cacert ca.crt --cert client.crt --key client.key "${@:2}"; }
export ETCDCTL_API=3
for _ in {1..50}; do etcdctl "$1" endpoint health >/dev/null 2>&1 && break; sleep 0.2; done
etcdctl "$1" user add root:root
etcdctl "$1" user grant-role root root
etcdctl "$1" role add kit
etcdctl "$1" role grant-permission kit --prefix=true readwrite /services/
etcdctl "$1" role grant-permission kit --prefix=true readwrite /coreos-kit/
etcdctl "$1" user add kit:first-sesame
etcdctl "$1" user grant-role kit kit
etcdctl "$1" auth enable
"""


@pytest.fixture
def secure(kit: Kit, tmp_path: Path) -> Iterator[Kit]:
    """Run a second etcd on core-1 that demands all it can, and put it into the configuration."""
    before = (kit.workspace / "coreos-kit.toml").read_bytes()
    address = kit.address_of("core-1")
    url = f"https://{address}:{PORT}"
    made = kit.workspace / "etcd-files"
    made.mkdir()
    make_certificates(made, address)
    (made / "password").write_text("first-sesame\n")
    kit.machine("core-1", "mkdir -m 0700 /root/secure-etcd")
    for file in made.iterdir():
        kit.machine("core-1", f"cat > /root/secure-etcd/{file.name} <<'X'\n{file.read_text()}X")
    kit.machine(
        "core-1",
        "systemd-run -q --unit=secure-etcd --working-directory=/root/secure-etcd /usr/bin/etcd --name secure"
        f" --data-dir /root/secure-etcd/data --listen-client-urls {url} --advertise-client-urls {url}"
        " --listen-peer-urls http://127.0.0.1:23801 --initial-advertise-peer-urls http://127.0.0.1:23801"
        " --initial-cluster secure=http://127.0.0.1:23801"
        " --cert-file server.crt --key-file server.key --client-cert-auth --trusted-ca-file ca.crt",
    )
    kit.machine("core-1", LOGIN.replace('"$1"', url))
    with (kit.workspace / "coreos-kit.toml").open("a") as configuration:
        configuration.write(
            f'\n[clusters.lab.etcd]\nendpoints = ["{url}"]\nca = "etcd-files/ca.crt"\n'
            'cert = "etcd-files/client.crt"\nkey = "etcd-files/client.key"\n'
            'username = "kit"\npassword_file = "etcd-files/password"\n'
        )
    yield kit
    (kit.workspace / "coreos-kit.toml").write_bytes(before)
    shutil.rmtree(made)
    kit("deploy", "--yes")
    kit.machine("core-1", "systemctl stop secure-etcd; rm -rf /root/secure-etcd")


def test_behind_tls_a_certificate_and_a_login_the_whole_chain_holds(secure: Kit) -> None:
    kit = secure

    deployed = kit("deploy", "--yes", "-v")
    verified = kit("verify", "--wait", "20", "--json")

    assert verified.json["ok"] is True
    assert "sesame" not in deployed.out + deployed.err + verified.out
    assert len(kit("registrations", "--json").json["registrations"]) == 2
    fetch(kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip"))
    balancer = kit.machine_of("nginx_lb.service")
    assert "sesame" not in kit.machine(
        balancer, "docker inspect nginx_lb; systemctl cat nginx_lb; ps -eo args"
    )
    listed = kit.machine(balancer, f"cd {FOLDER}/etcd && stat -c '%a %U %n' *").splitlines()
    assert listed == ["600 root ca.pem", "600 root cert.pem", "600 root key.pem", "600 root login"]


def test_a_new_password_of_etcds_is_put_onto_the_machines_and_nothing_restarts(secure: Kit) -> None:
    kit = secure
    kit("deploy", "--yes")
    before = kit("status", "--json").json["units"]
    url = f"https://{kit.address_of('core-1')}:{PORT}"
    kit.machine(
        "core-1",
        "cd /root/secure-etcd; ETCDCTL_USER=root:root ETCDCTL_API=3 etcdctl"
        f" --endpoints={url} --cacert ca.crt --cert client.crt --key client.key"
        " user passwd kit --interactive=false <<< second-sesame",
    )
    (kit.workspace / "etcd-files/password").write_text("second-sesame\n")

    deployed = kit("deploy", "--yes", "--json").json

    assert deployed["changes"] == []
    assert {name for entry in deployed["files"] for name in entry["write"]} == {"etcd/login"}
    kit("verify", "--wait", "40")
    after = kit("status", "--json").json["units"]
    assert [(unit["unit"], unit["since"]) for unit in after] == [
        (unit["unit"], unit["since"]) for unit in before
    ]


def test_a_wrong_password_is_named_before_anything_is_touched(secure: Kit) -> None:
    kit = secure
    before = kit("status", "--json", code=None).json["units"]
    (kit.workspace / "etcd-files/password").write_text("wrong-sesame\n")

    refused = kit("deploy", "--yes", "--json", code=4)

    error = json.loads(refused.out)
    assert "etcd.password_file" in error["hint"]
    assert "sesame" not in refused.out + refused.err
    assert kit("status", "--json", code=None).json["units"] == before


# A registry that wants a login


PRIVATE = "127.0.0.1:5001"  # docker speaks HTTP to loopback without being told
REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: /root/private/images}}
http: {addr: ":5001"}
auth: {htpasswd: {realm: private, path: /root/private/users}}
"""


@pytest.fixture
def private(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    """Run a registry with a login on core-1, seen as loopback on every machine, with the example's images."""
    before = (kit.workspace / "coreos-kit.toml").read_bytes()
    others = [name for name in machines(kit) if name != "core-1"]
    address = kit.address_of("core-1")
    user = f"ci:{bcrypt.hashpw(b'open-sesame', bcrypt.gensalt(4, b'2a')).decode()}"
    login = b64encode(b"ci:open-sesame").decode()
    docker = json.dumps({"auths": {PRIVATE: {"auth": login}}})
    kit.machine(
        "core-1",
        "mkdir -m 0700 /root/private /root/private/docker && cd /root/private"
        f" && printf %s '{REGISTRY}' > registry.yml && echo '{user}' > users"
        f" && echo '{docker}' > docker/config.json"
        " && systemd-run -q --unit=private-registry /usr/bin/docker-registry serve /root/private/registry.yml"
        f" && timeout 60 bash -c 'until curl -s -o /dev/null http://{PRIVATE}/v2/; do sleep 0.1; done'"
        " && for image in apache nginx_lb; do docker pull -q user_name/$image"
        f" && docker tag user_name/$image {PRIVATE}/team/$image"
        f" && DOCKER_CONFIG=/root/private/docker docker push -q {PRIVATE}/team/$image"
        f" && docker rmi {PRIVATE}/team/$image || exit 1; done",
    )
    for machine in others:
        kit.machine(
            machine,
            f"systemd-run -q --unit=private-registry --socket-property=ListenStream={PRIVATE}"
            f" /lib/systemd/systemd-socket-proxyd {address}:5001",
        )
    monkeypatch.setenv("LAB_SECRET", "open-sesame")
    kit.edit("coreos-kit.toml", 'image_prefix = "user_name"', f'image_prefix = "{PRIVATE}/team"')
    yield kit
    (kit.workspace / "coreos-kit.toml").write_bytes(before)
    kit("deploy", "--yes")
    for machine in machines(kit):
        kit.machine(machine, "systemctl stop private-registry.s*; rm -rf /root/private")


def test_private_images_are_pulled_with_the_clusters_login(private: Kit) -> None:
    kit = private
    without = kit("plan", code=3)

    with (kit.workspace / "coreos-kit.toml").open("a") as configuration:
        configuration.write(
            '\n[secrets.hub]\nenv = "LAB_SECRET"\n'
            '[clusters.lab.registry]\nusername = "ci"\npassword_secret = "hub"\n'
        )
    deployed = kit("deploy", "--yes", "-v")
    verified = kit("verify", "--wait", "20", "--json")

    assert "the registry wants a login, or this login may not do it" in without.err
    assert verified.json["ok"] is True
    login = b64encode(b"ci:open-sesame").decode()
    told = deployed.out + deployed.err + verified.out
    assert "sesame" not in told
    assert login not in told
    machine = kit.machine_of("apache@7777.service")
    assert kit.machine(machine, f"stat -c '%a %U' {FOLDER}/registry/config.json") == "600 root\n"
    assert kit.machine(machine, "ls -d /run/coreos-kit.*", code=None) == ""
    # Units pull for themselves, too: a machine may have been without the image.
    kit.machine(machine, "systemctl restart apache@7777.service")
    said = kit.machine(machine, "journalctl --sync; journalctl -o cat -u apache@7777.service -n 40")
    assert "Image is up to date" in said
    assert "no basic auth credentials" not in said
    assert login not in said
    kit("verify", "--wait", "20")
