# ruff: noqa: ISC004 - a message is one string, however long
from pathlib import Path

import pytest

from coreos_kit.config import load_project, parse_project
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import DriverKind, EtcdApi, EtcdSettings, MachineEntry
from coreos_kit.model.secret import RegistryLogin, SecretSource
from coreos_kit.model.services import (
    Bind,
    Health,
    HealthKind,
    KeyForm,
    LoadBalancer,
    Registration,
    Requirements,
    Rollout,
    Service,
    Watcher,
)

CHECKOUT = Path(__file__).parents[2]

EVERYTHING = """
[project]
name = "shop"
image_prefix = "registry.example:5000/team"
default_cluster = "production"
base_image = "registry.example:5000/debian:bookworm-slim"
base_images = { proxy = "debian:trixie-slim" }

[services.api]
image = "api:2"
command = "/bin/api --rate 50%"
container_port = 8080
instances = [9001, 9002]
conflicts = ["api@*.service"]
machine_metadata = ["disk=ssd", "region=fra"]
env = { LOG = "info", PRICE = "5 $" }
secrets = { TOKEN = "token", DB_PASSWORD = "db" }
volumes = ["/srv/api:/data:ro"]
run_args = ["--memory", "1g", "--memory", "2g"]
stop_timeout_s = 20
stop_signal = "SIGQUIT"
health = { kind = "tcp", timeout_s = 1, fall = 2 }

[services.api.registration]
prefix = "/shop/api"
key = "ip-port"
ttl_s = 20
renew_s = 5
drain_s = 3

[services.api.rollout]
max_unavailable = 2
pause_s = 15

[services.worker]
image = "worker"
instances = ["mail", 1]
machine_id = "0123456789abcdef0123456789abcdef"

[services.agent]
image = "agent"
instances = ["one"]
global = true

[load_balancers.proxy]
image = "proxy"
upstream = "api"
port = 8000
bind = "private"
watcher = "confd"
confd = { path = "/opt/confd" }
confd_interval_s = 3

[secrets.token]
env = "API_TOKEN"
[secrets.db]
file = "~/db"
[secrets.hub]
command = ["pass", "show", "hub"]

[clusters.production]
profile = "coreos"
driver = "fleet"
machines = ["core@198.51.100.11", "web2", "root@[2001:db8::1]:2222"]
network = { private = "192.0.2.0/24" }
push_to = "127.0.0.1:5000"
host_keys = "accept-new"

[clusters.production.etcd]
api = "v3"
endpoints = ["https://etcd1.example:2379", "https://198.51.100.5:2379"]
ca = "secrets/ca.pem"
cert = "secrets/cert.pem"
key = "secrets/key.pem"
username = "kit"
password_file = "~/password"

[clusters.production.registry]
username = "ci"
password_secret = "hub"

[clusters.production.services.api]
instances = [9001]
env = { LOG = "debug" }
secrets = { TOKEN = "db" }
health = { fall = 5 }
registration = { ttl_s = 60 }
rollout = { allow_downtime = true }

[clusters.production.load_balancers.proxy]
bind = "any"
watcher = "kit"

[clusters.lab]
lab = "two"

[clusters.tables]
profile = "debian"
network = { private = "203.0.113.0/24" }
[clusters.tables.machines.web1]
ssh = "core@198.51.100.11"
metadata = { region = "fra" }
private_ip = "203.0.113.11"
public_ip = "198.51.100.11"
[clusters.tables.machines.web2]
"""


def refusals(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfig) as caught:
        parse_project(text, CHECKOUT)
    return caught.value.details


def test_the_example_says_what_the_design_says() -> None:
    project = load_project(CHECKOUT)

    lab, production = project.clusters.values()
    assert (project.name, project.image_prefix, project.default_cluster) == ("web", "user_name", "lab")
    assert (lab.lab, lab.machines, lab.private_network) == ("default", (), "")
    assert lab.profile == PROFILES["debian"]
    assert lab.services == (
        Service(
            name="apache",
            image="apache",
            command="/usr/sbin/apache2ctl -D FOREGROUND",
            container_port=80,
            instances=("7777", "8888"),
            requirements=Requirements(conflicts=("apache@*.service",)),
            registration=Registration("/services/apache"),
        ),
    )
    assert lab.load_balancers == (
        LoadBalancer(
            name="nginx_lb",
            image="nginx_lb",
            upstream="apache",
            requirements=Requirements(conflicts=("nginx.service", "apache@*.service")),
        ),
    )
    assert production.services[0].instances == ("7777", "8888", "9999")
    assert production.private_network == "192.0.2.0/24"
    assert not production.accept_new_host_keys


def test_every_key_reaches_the_model() -> None:
    project = parse_project(EVERYTHING, CHECKOUT)

    cluster = project.clusters["production"]
    assert project.root == CHECKOUT
    assert project.base_image_of("api:2") == "registry.example:5000/debian:bookworm-slim"
    assert project.base_image_of("proxy") == "debian:trixie-slim"
    assert project.image_reference("api:2") == "registry.example:5000/team/api:2"
    assert (cluster.driver, cluster.profile.name) == (DriverKind.FLEET, "coreos")
    assert (cluster.push_to, cluster.accept_new_host_keys) == ("127.0.0.1:5000", True)
    assert cluster.etcd_api is EtcdApi.V3
    assert cluster.etcd == EtcdSettings(
        api=EtcdApi.V3,
        endpoints=("https://etcd1.example:2379", "https://198.51.100.5:2379"),
        ca=f"{CHECKOUT}/secrets/ca.pem",
        cert=f"{CHECKOUT}/secrets/cert.pem",
        key=f"{CHECKOUT}/secrets/key.pem",
        username="kit",
        password_file=str(Path.home() / "password"),
    )
    assert cluster.registry == RegistryLogin("ci", "hub")
    assert project.secrets == {
        "token": SecretSource("token", env="API_TOKEN"),
        "db": SecretSource("db", file="~/db"),
        "hub": SecretSource("hub", command=("pass", "show", "hub")),
    }
    assert cluster.service("worker") == Service(
        name="worker",
        image="worker",
        command="",
        container_port=None,
        instances=("mail", "1"),
        requirements=Requirements(machine_id="0123456789abcdef0123456789abcdef"),
        health=Health(kind=HealthKind.NONE),
    )
    agent = cluster.service("agent")
    assert agent is not None
    assert agent.requirements.is_global


def test_a_clusters_overrides_replace_values_and_merge_into_tables() -> None:
    project = parse_project(EVERYTHING, CHECKOUT)

    overridden = project.clusters["production"].service("api")
    assert overridden == Service(
        name="api",
        image="api:2",
        command="/bin/api --rate 50%",
        container_port=8080,
        instances=("9001",),
        requirements=Requirements(conflicts=("api@*.service",), machine_metadata=("disk=ssd", "region=fra")),
        env={"LOG": "debug", "PRICE": "5 $"},
        secrets={"TOKEN": "db", "DB_PASSWORD": "db"},
        volumes=("/srv/api:/data:ro",),
        run_args=("--memory", "1g", "--memory", "2g"),
        stop_timeout_s=20,
        stop_signal="SIGQUIT",
        health=Health(kind=HealthKind.TCP, timeout_s=1, fall=5),
        registration=Registration("/shop/api", KeyForm.IP_PORT, ttl_s=60, renew_s=5, drain_s=3),
        rollout=Rollout(max_unavailable=2, pause_s=15, allow_downtime=True),
    )
    balancer = project.clusters["production"].load_balancers[0]
    assert (balancer.bind, balancer.port, balancer.watcher) == (Bind.ANY, 8000, Watcher.KIT)
    assert (balancer.confd.path, balancer.confd.interval_s) == ("/opt/confd", 3)


def test_an_override_leaves_the_other_clusters_alone() -> None:
    lab = parse_project(EVERYTHING, CHECKOUT).clusters["lab"]

    api = lab.service("api")
    assert api is not None
    assert (api.instances, api.env["LOG"], api.health.fall) == (("9001", "9002"), "info", 2)
    assert lab.load_balancers[0].bind is Bind.PRIVATE


def test_listed_machines_are_called_by_their_host() -> None:
    machines = parse_project(EVERYTHING, CHECKOUT).clusters["production"].machines

    assert machines == (
        MachineEntry("198.51.100.11", "core@198.51.100.11"),
        MachineEntry("web2", "web2"),
        MachineEntry("2001:db8::1", "root@[2001:db8::1]:2222"),
    )


def test_a_table_of_machines_says_more_and_defaults_to_the_name_as_the_ssh_alias() -> None:
    machines = parse_project(EVERYTHING, CHECKOUT).clusters["tables"].machines

    assert machines == (
        MachineEntry("web1", "core@198.51.100.11", {"region": "fra"}, "203.0.113.11", "198.51.100.11"),
        MachineEntry("web2", "web2"),
    )


def test_a_lab_is_debian_unless_it_says_otherwise() -> None:
    lab = parse_project(EVERYTHING, CHECKOUT).clusters["lab"]

    assert (lab.lab, lab.profile.name, lab.etcd_api) == ("two", "debian", EtcdApi.V3)


def test_the_only_cluster_is_the_default() -> None:
    project = parse_project('[project]\nname = "a"\n[clusters.lab]\nlab = "default"', CHECKOUT)

    assert project.default_cluster == "lab"


def test_ten_thousand_instances_load() -> None:
    ports = ", ".join(str(port) for port in range(10_001, 20_001))
    example = (CHECKOUT / "coreos-kit.toml").read_text()

    project = parse_project(example.replace("[7777, 8888]", f"[{ports}]"), CHECKOUT)

    assert len(project.clusters["lab"].services[0].instances) == 10_000


def test_a_missing_file_is_answered_with_init(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_project(tmp_path)

    assert str(caught.value) == f"no coreos-kit.toml in {tmp_path}"
    assert caught.value.hint == f"Write one with: coreos-kit init {tmp_path}"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").mkdir()

    with pytest.raises(InvalidConfig) as caught:
        load_project(tmp_path)

    assert str(caught.value) == f"{tmp_path}/coreos-kit.toml can't be read: Is a directory"
    assert caught.value.hint == "Look at its type and its permissions."


def test_the_file_in_the_current_folder_is_called_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coreos-kit.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidConfig, match=r"^coreos-kit\.toml has 2 errors$"):
        load_project(Path())


def test_bytes_that_are_not_utf_8_are_shown_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").write_bytes(b'[project]\nname = "\xff"\n')

    with pytest.raises(InvalidConfig) as caught:
        load_project(tmp_path)

    assert str(caught.value) == f"{tmp_path}/coreos-kit.toml is not UTF-8"
    assert caught.value.details == (f"{tmp_path}/coreos-kit.toml:2: found the byte 0xff; allowed: UTF-8",)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("[project]\nname = web\n", "coreos-kit.toml:2:8: invalid value"),
        ("[project\nname = 1", "coreos-kit.toml:1:9: expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", "coreos-kit.toml:2:6: cannot overwrite a value"),
        ("a = [1,\n", "coreos-kit.toml:2: invalid value"),
        ("a = " + "[" * 5000, "coreos-kit.toml: nested too deeply"),
    ],
)
def test_a_syntax_error_has_its_line_and_column(text: str, detail: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_project(text, CHECKOUT)

    assert str(caught.value) == "coreos-kit.toml is not valid TOML"
    assert caught.value.details == (detail,)
    assert caught.value.hint


def test_a_number_that_python_will_not_read_is_a_syntax_error() -> None:
    with pytest.raises(InvalidConfig, match="not valid TOML"):
        parse_project("a = " + "9" * 5000, CHECKOUT)


def test_all_errors_come_at_once_in_the_order_of_the_lines() -> None:
    text = """
[project]
nam = "web"

[services.web]
image = "web"
container_port = "80"
instances = [
  7001,
  7001,
]

[services.web.registration]
renew_s = 15

[clusters.lab]
lab = "default"
profile = "debain"
"""

    with pytest.raises(InvalidConfig) as caught:
        parse_project(text, CHECKOUT)

    assert str(caught.value) == "coreos-kit.toml has 6 errors"
    assert caught.value.hint == (
        "Each line says where it is, what was found and what is allowed; nothing was touched."
    )
    assert caught.value.details == (
        "coreos-kit.toml:2: project.name: missing; allowed: lower-case letters, digits, _ and -,"
        " beginning with a letter or digit, at most 63",
        "coreos-kit.toml:3: project.nam: found an unknown key; allowed: base_image, base_images,"
        " default_cluster, image_prefix, name; did you mean name?",
        'coreos-kit.toml:7: services.web.container_port: found "80"; allowed: an integer from 1 to 65535',
        "coreos-kit.toml:8: services.web.instances[1]: found 7001 a second time; allowed: each instance once",
        "coreos-kit.toml:14: services.web.registration.renew_s: found 15; allowed: less than half of ttl_s,"
        " which is 30",
        'coreos-kit.toml:18: clusters.lab.profile: found "debain"; allowed: coreos, flatcar, fedora-coreos,'
        " debian; did you mean debian?",
    )


def test_one_error_is_not_several() -> None:
    with pytest.raises(InvalidConfig, match=r"^coreos-kit\.toml has 1 error$"):
        parse_project('[project]\nname = "web"', CHECKOUT)


def test_an_error_in_a_service_is_told_once_however_many_clusters_share_it() -> None:
    text = EVERYTHING.replace("renew_s = 5", "renew_s = 40").replace("registration = { ttl_s = 60 }", "")

    assert refusals(text) == (
        "coreos-kit.toml:28: services.api.registration.renew_s: found 40; allowed: less than half of ttl_s,"
        " which is 20",
    )


def test_an_error_that_an_override_makes_is_told_at_the_override() -> None:
    text = EVERYTHING.replace("registration = { ttl_s = 60 }", "registration = { renew_s = 10 }")

    assert refusals(text) == (
        "coreos-kit.toml:87: clusters.production.services.api.registration.renew_s: found 10; allowed:"
        " less than half of ttl_s, which is 20",
    )


def test_services_are_checked_even_where_there_is_no_cluster_yet() -> None:
    text = '[project]\nname = "web"\n[services.web]\nimage = "web"\nregistration = {}'

    assert refusals(text) == (
        "coreos-kit.toml: clusters: missing; allowed: a table for each cluster, such as [clusters.lab]",
        "coreos-kit.toml:3: services.web.container_port: missing; allowed: an integer from 1 to 65535,"
        " since it has a registration",
    )
