"""Each value that is refused on its own: what was found, what is allowed."""
# ruff: noqa: E501 - a case a line reads as a table

from pathlib import Path

import pytest

from coreos_kit.config import parse_project
from coreos_kit.errors import InvalidConfig

NAME = "lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63"
PORT = "an integer from 1 to 65535"
INSTANCE = (
    "an integer from 1 to 65535, or a word of lower-case letters, digits, _ and - that begins with a letter"
)
ONE_LINE = "text on one line, without control characters"
ENV_VALUE = "a string of at most 1024 characters on one line, without control characters"
PREFIX = "a path such as /services/apache, of letters, digits and _ . -, without // and / at the end"
HEALTH_PATH = "a path of a URL that begins with / and has only letters, digits and - . _ ~ / ? & = + , : @"
WORDS = 'an array of words, such as ["east", "west"]; without the key it is one plain unit'
WORD = "a word of lower-case letters, digits, _ and - that begins with a letter; the port of all is `port`"
GLOB = "a well-formed pattern: *, ?, [a-z], [^a-z], with every [ closed"
UNIT = "a unit's name or a pattern of one, such as apache@*.service"
PAIR = "key=value, of letters, digits and _ . / : @ + ~ -"
IMAGE = "the name of a folder in images/ as name or name:tag"
IMAGE_PREFIX = (
    "an account such as user_name, or a registry such as registry.example:5000/team, without / at the end"
)
DESTINATION = "a destination of ssh: [user@]host[:port], or an alias of ~/.ssh/config"
ENDPOINT = "http://host:port or https://host:port, without a path"
NETWORK = "an IPv4 network such as 192.0.2.0/24"
VOLUME = "/path/here:/path/there or volume:/path/there, with :ro or other options behind"
KITS_OWN = "arguments other than --name, --detach, -d, --restart, --cidfile: the kit sets those itself"

BASE = {
    "project": {"name": '"web"', "default_cluster": '"lab"'},
    "services.web": {"image": '"web"', "container_port": "80", "instances": "[7001]"},
    "services.web.registration": {"prefix": '"/services/web"'},
    "load_balancers.lb": {"image": '"lb"', "upstream": '"web"'},
    "clusters.lab": {"lab": '"default"'},
    "clusters.own": {
        "profile": '"debian"',
        "machines": '["core@198.51.100.11"]',
        "network": '{ private = "192.0.2.0/24" }',
    },
    "clusters.own.etcd": {"endpoints": '["https://etcd.example:2379"]'},
}


def refusals(section: str, key: str, value: str) -> list[str]:
    tables = BASE | {section: BASE.get(section, {}) | {key: value}}
    text = "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items())
        for name, keys in tables.items()
    )
    with pytest.raises(InvalidConfig) as caught:
        parse_project(text, Path("/"))
    return [detail.split(": ", 1)[1] for detail in caught.value.details]


@pytest.mark.parametrize(
    ("section", "key", "value", "found", "allowed"),
    [
        # Types are TOML's own.
        ("services.web", "container_port", "true", "true", PORT),
        ("services.web", "container_port", "80.0", "80.0", PORT),
        ("services.web", "container_port", '"80"', '"80"', PORT),
        ("services.web", "container_port", "0", "0", PORT),
        ("services.web", "container_port", "65536", "65536", PORT),
        ("services.web", "container_port", "0x" + "f" * 4000, "a huge number", PORT),
        ("services.web", "container_port", "1979-05-27", "1979-05-27", PORT),
        ("services.web", "global", "1", "1", "true or false"),
        ("services.web", "command", "[]", "an array", "a string"),
        ("services.web", "conflicts", '"a"', '"a"', "an array of strings"),
        ("services.web", "env", "5", "5", "a table"),
        ("services.web", "health", '"http"', '"http"', "a table of kind, path, timeout_s, fall"),
        # Names
        ("project", "name", '"Web"', '"Web"', NAME),
        ("project", "name", '"-web"', '"-web"', NAME),
        ("project", "name", '"a.b"', '"a.b"', NAME),
        ("project", "name", '"a/../b"', '"a/../b"', NAME),
        ("project", "name", '"web\\n"', '"web\\n"', NAME),
        ("project", "name", f'"{"a" * 64}"', f'"{"a" * 59}…', NAME),
        ("clusters.lab", "lab", '"Two"', '"Two"', "lower-case letters, digits and -, at most 32"),
        # Images
        ("services.web", "image", '"we b"', '"we b"', IMAGE),
        ("services.web", "image", '"web;id"', '"web;id"', IMAGE),
        ("services.web", "image", '"$(id)"', '"$(id)"', IMAGE),
        ("services.web", "image", '"../web"', '"../web"', IMAGE),
        ("services.web", "image", '"Web"', '"Web"', IMAGE),
        ("services.web", "image", '"--privileged"', '"--privileged"', IMAGE),
        ("services.web", "image", '""', '""', IMAGE),
        ("project", "image_prefix", '"registry.example:70000"', '"registry.example:70000"', IMAGE_PREFIX),
        ("project", "image_prefix", '"team/"', '"team/"', IMAGE_PREFIX),
        ("project", "image_prefix", '"https://registry"', '"https://registry"', IMAGE_PREFIX),
        ("clusters.own", "push_to", '"a b"', '"a b"', IMAGE_PREFIX),
        (
            "project", "base_image", '"debian bookworm"', '"debian bookworm"',
            "an image as docker names it, such as debian:bookworm-slim",
        ),
        # Text that goes into a unit
        ("services.web", "command", '"a\\nb"', '"a\\nb"', ONE_LINE),
        ("services.web", "command", '"a\\u0000b"', '"a\\u0000b"', ONE_LINE),
        ("services.web", "command", '"a\\u202eb"', '"a\\u202eb"', ONE_LINE),
        (
            "services.web", "command", "'sh -c \"x'", '"sh -c \\"x"',
            "a command whose quotes are closed and that doesn't end in a backslash",
        ),
        (
            "services.web", "command", "'x \\\\'", '"x \\\\\\\\"', "a command that doesn't end in a backslash",
        ),
        ("services.web", "command", '"a ; b"', '"a ; b"', "one command: systemd takes a word ; for the end of it"),
        ("services.web", "command", f'"{"a" * 1025}"', f'"{"a" * 59}…', "at most 1024 characters"),
        ("services.web", "stop_timeout_s", "0", "0", "an integer from 1 to 3600"),
        # Machines
        ("services.web", "machine_id", '"core-1"', '"core-1"', "the 32 lower-case hex digits of /etc/machine-id, or the first 8 of them"),
        # Registration
        ("services.web.registration", "prefix", '"services/web"', '"services/web"', PREFIX),
        ("services.web.registration", "prefix", '"/services/web/"', '"/services/web/"', PREFIX),
        ("services.web.registration", "prefix", '"/services//web"', '"/services//web"', PREFIX),
        ("services.web.registration", "prefix", '"/services/../web"', '"/services/../web"', PREFIX),
        ("services.web.registration", "prefix", '"/services/_web"', '"/services/_web"', PREFIX),
        ("services.web.registration", "prefix", '"/"', '"/"', PREFIX),
        ("services.web.registration", "prefix", '"/a$b"', '"/a$b"', PREFIX),
        (
            "services.web.registration", "prefix", '"/coreos-kit/v1"', '"/coreos-kit/v1"',
            "a path outside /coreos-kit, where the kit keeps its lock and its releases",
        ),
        ("services.web.registration", "ttl_s", "2", "2", "an integer from 3 to 86400"),
        ("services.web.registration", "renew_s", "0", "0", "an integer from 1 to 3600"),
        ("services.web.registration", "drain_s", "-1", "-1", "an integer from 0 to 3600"),
        ("services.web.rollout", "max_unavailable", "0", "0", "an integer from 1 to 100"),
        ("services.web.rollout", "pause_s", "-1", "-1", "an integer from 0 to 3600"),
        ("services.web.rollout", "allow_downtime", "1", "1", "true or false"),
        # Balancers
        ("load_balancers.lb", "port", "true", "true", PORT),
        ("load_balancers.lb", "confd_interval_s", "0", "0", "an integer from 1 to 3600"),
        ("load_balancers.lb", "upstream", "1", "1", NAME),
        ("load_balancers.lb", "global", '"yes"', '"yes"', "true or false"),
        ("load_balancers.lb", "instances", "[]", "an empty array", WORDS),
        ("load_balancers.lb", "instances", "2", "2", WORDS),
        # Clusters
        ("clusters.own", "machines", '"web1"', '"web1"', 'an array of SSH destinations such as ["core@198.51.100.11"], or a table of machines'),
        ("clusters.own", "machines", "[]", "none", 'an array of SSH destinations such as ["core@198.51.100.11"], or a table of machines'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_shown_with_what_is_allowed(
    section: str, key: str, value: str, found: str, allowed: str
) -> None:
    assert refusals(section, key, value)[0] == f"{section}.{key}: found {found}; allowed: {allowed}"


@pytest.mark.parametrize(
    ("section", "key", "value", "line"),
    [
        ("services.web", "instances", '[7001, "7002"]', f'instances[1]: found "7002"; allowed: {INSTANCE}; did you mean 7002?'),
        ("services.web", "instances", "[true]", f"instances[0]: found true; allowed: {INSTANCE}"),
        ("services.web", "instances", "[0]", f"instances[0]: found 0; allowed: {INSTANCE}"),
        ("services.web", "instances", '["a@b"]', f'instances[0]: found "a@b"; allowed: {INSTANCE}'),
        ("services.web", "instances", '["../x"]', f'instances[0]: found "../x"; allowed: {INSTANCE}'),
        ("services.web", "instances", "[7001, 7001]", "instances[1]: found 7001 a second time; allowed: each instance once"),
        ("services.web", "instances", "7001", "instances: found 7001; allowed: an array of ports and words, such as [7777, 8888]"),
        ("services.web", "conflicts", '["a@["]', f'conflicts[0]: found "a@["; allowed: {GLOB}'),
        ("services.web", "conflicts", '["a\\\\\\\\"]', f'conflicts[0]: found "a\\\\\\\\"; allowed: {GLOB}'),
        ("services.web", "conflicts", '["a b"]', f'conflicts[0]: found "a b"; allowed: {UNIT}'),
        ("services.web", "conflicts", '["%p@*"]', f'conflicts[0]: found "%p@*"; allowed: {UNIT}'),
        ("services.web", "conflicts", '["a", "a"]', 'conflicts[1]: found "a" a second time; allowed: each value once'),
        ("services.web", "machine_metadata", '["region"]', f'machine_metadata[0]: found "region"; allowed: {PAIR}'),
        ("services.web", "machine_metadata", '["a=b=c"]', f'machine_metadata[0]: found "a=b=c"; allowed: {PAIR}'),
        ("services.web", "volumes", '["/a"]', f'volumes[0]: found "/a"; allowed: {VOLUME}'),
        ("services.web", "volumes", '["/a b:/c"]', f'volumes[0]: found "/a b:/c"; allowed: {VOLUME}'),
        ("services.web", "volumes", '["$HOME:/c"]', f'volumes[0]: found "$HOME:/c"; allowed: {VOLUME}'),
        ("services.web", "run_args", '[""]', 'run_args[0]: found ""; allowed: an argument for docker run, not empty'),
        ("services.web", "run_args", '["a\\nb"]', f'run_args[0]: found "a\\nb"; allowed: {ONE_LINE}'),
        ("services.web", "run_args", '["--memory 1g"]', 'run_args[0]: found "--memory 1g"; allowed: one argument an element: "--memory", "1g"'),
        ("services.web", "run_args", '["--name=x"]', f'run_args[0]: found "--name=x"; allowed: {KITS_OWN}'),
        ("services.web", "run_args", '["-d"]', f'run_args[0]: found "-d"; allowed: {KITS_OWN}'),
        ("services.web", "env", '{ "1A" = "x" }', 'env.1A: found the name "1A"; allowed: letters, digits and _, not beginning with a digit'),
        ("services.web", "env", '{ A = "hush\\n" }', f"env.A: found a string that is too long or not on one line; allowed: {ENV_VALUE}"),
        ("services.web", "env", "{ PIN = 1234 }", f"env.PIN: found an integer; allowed: {ENV_VALUE}"),
        ("services.web", "health", '{ path = "x" }', f'health.path: found "x"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/a b" }', f'health.path: found "/a b"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/%20" }', f'health.path: found "/%20"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/$x" }', f'health.path: found "/$x"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", "{ path = \"/'\" }", f'health.path: found "/\'"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/`id`" }', f'health.path: found "/`id`"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/\\n" }', f'health.path: found "/\\n"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", '{ path = "/é" }', f'health.path: found "/\\u00e9"; allowed: {HEALTH_PATH}'),
        ("services.web", "health", "{ timeout_s = 0 }", "health.timeout_s: found 0; allowed: an integer from 1 to 60"),
        ("services.web", "health", "{ fall = 0 }", "health.fall: found 0; allowed: an integer from 1 to 100"),
        ("load_balancers.lb", "instances", "[80]", f"instances[0]: found 80; allowed: {WORD}"),
        ("load_balancers.lb", "instances", '["a", "A b"]', f'instances[1]: found "A b"; allowed: {WORD}'),
        ("load_balancers.lb", "instances", '["a", "a"]', 'instances[1]: found "a" a second time; allowed: each instance once'),
        ("load_balancers.lb", "confd", '{ sha256 = "12" }', 'confd.sha256: found "12"; allowed: 64 lower-case hex digits'),
        ("load_balancers.lb", "confd", '{ url = "file:///x" }', 'confd.url: found "file:///x"; allowed: an http or https address of a file'),
        ("load_balancers.lb", "confd", '{ path = "" }', 'confd.path: found ""; allowed: a path to a file, not empty'),
        ("clusters.own", "network", '{ private = "192.0.2.5/24" }', f'network.private: found "192.0.2.5/24"; allowed: {NETWORK}; did you mean 192.0.2.0/24?'),
        ("clusters.own", "network", '{ private = "192.0.2.0" }', f'network.private: found "192.0.2.0"; allowed: {NETWORK}'),
        ("clusters.own", "network", '{ private = "fd00::/8" }', f'network.private: found "fd00::/8"; allowed: {NETWORK}'),
        ("clusters.own", "network", '{ private = "0.0.0.0/0" }', f'network.private: found "0.0.0.0/0"; allowed: {NETWORK}: /8 or narrower, neither link-local nor multicast'),
        ("clusters.own", "network", '{ private = "169.254.0.0/16" }', f'network.private: found "169.254.0.0/16"; allowed: {NETWORK}: /8 or narrower, neither link-local nor multicast'),
        ("clusters.own", "machines", '["-oProxyCommand=id"]', f'machines[0]: found "-oProxyCommand=id"; allowed: {DESTINATION}'),
        ("clusters.own", "machines", '["core@-x"]', f'machines[0]: found "core@-x"; allowed: {DESTINATION}'),
        ("clusters.own", "machines", '["a b"]', f'machines[0]: found "a b"; allowed: {DESTINATION}'),
        ("clusters.own", "machines", '["web1:99999"]', f'machines[0]: found "web1:99999"; allowed: {DESTINATION}'),
        ("clusters.own", "machines", "[5]", "machines[0]: found 5; allowed: a string"),
        ("clusters.own", "machines", '{ "a b" = {} }', 'machines."a b": found the name "a b"; allowed: letters, digits and _ . : -, beginning with a letter or digit, at most 63'),
        ("clusters.own", "machines", '{ a = { private_ip = "192.0.2.256" } }', 'machines.a.private_ip: found "192.0.2.256"; allowed: an IPv4 address'),
        ("clusters.own", "machines", '{ a = { metadata = { r = "a b" } } }', 'machines.a.metadata.r: found "a b"; allowed: letters, digits and _ . / : @ + ~ -'),
        ("clusters.own.etcd", "endpoints", '["etcd.example:2379"]', f'endpoints[0]: found "etcd.example:2379"; allowed: {ENDPOINT}'),
        ("clusters.own.etcd", "endpoints", '["https://etcd.example"]', f'endpoints[0]: found "https://etcd.example"; allowed: {ENDPOINT}'),
        ("clusters.own.etcd", "endpoints", '["https://u:p@etcd.example:2379"]', f'endpoints[0]: found "https://[redacted]@etcd.example:2379"; allowed: {ENDPOINT}'),
        ("clusters.own.etcd", "endpoints", '["https://etcd.example:70000"]', f'endpoints[0]: found "https://etcd.example:70000"; allowed: {ENDPOINT}'),
    ],
)  # fmt: skip
def test_a_wrong_value_inside_an_array_or_a_table_is_named_by_its_own_path(
    section: str, key: str, value: str, line: str
) -> None:
    assert refusals(section, key, value)[0] == f"{section}.{line}"


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed", "nearest"),
    [
        ("services.web", "health", '{ kind = "htpp" }', "http, tcp, none", "http"),
        ("services.web", "stop_signal", '"SIGTREM"', "SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGKILL, SIGRTMIN+3", "SIGTERM"),
        ("services.web.registration", "key", '"ip_port"', "ip, ip-port", "ip-port"),
        ("load_balancers.lb", "bind", '"Public"', "public, private, any", "public"),
        ("load_balancers.lb", "watcher", '"confg"', "kit, confd", "confd"),
        ("clusters.own", "profile", '"flatcat"', "coreos, flatcar, fedora-coreos, debian", "flatcar"),
        ("clusters.own", "driver", '"fleetd"', "auto, fleet, systemd", "fleet"),
        ("clusters.own", "host_keys", '"accept_new"', "strict, accept-new", "accept-new"),
        ("clusters.own.etcd", "api", '"v33"', "auto, v2, v3", "v3"),
        ("project", "default_cluster", '"labb"', "lab, own", "lab"),
    ],
)  # fmt: skip
def test_a_misspelt_word_is_answered_with_the_nearest(
    section: str, key: str, value: str, allowed: str, nearest: str
) -> None:
    (first, *_) = refusals(section, key, value)

    assert first.startswith(f"{section}.{key}")
    assert first.endswith(f"; allowed: {allowed}; did you mean {nearest}?")


@pytest.mark.parametrize(
    ("section", "key", "nearest"),
    [
        ("project", "base_imag", "base_image"),
        ("services.web", "instancs", "instances"),
        ("services.web", "container-port", "container_port"),
        ("services.web.registration", "ttl", "ttl_s"),
        ("load_balancers.lb", "up_stream", "upstream"),
        ("load_balancers.lb", "instance", "instances"),
        ("load_balancers.lb", "globl", "global"),
        ("clusters.lab", "profil", "profile"),
        ("clusters.own.etcd", "endpoint", "endpoints"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest(section: str, key: str, nearest: str) -> None:
    (only,) = refusals(section, key, "1")

    assert only.startswith(f"{section}.{key}: found an unknown key; allowed: ")
    assert only.endswith(f"; did you mean {nearest}?")


def test_a_key_that_is_like_no_other_gets_no_suggestion() -> None:
    (only,) = refusals("services.web.registration", "zzz", "1")

    assert only == (
        "services.web.registration.zzz: found an unknown key; allowed: drain_s, key, prefix, renew_s, ttl_s"
    )


def test_a_password_is_not_shown_where_somebody_wrote_it_into_the_file() -> None:
    (only,) = refusals("clusters.own.etcd", "password", '"hunter2"')

    assert "hunter2" not in only
    assert only.endswith("did you mean password_file?")


@pytest.mark.parametrize("name", ["a b", "Web", "-x", "x" * 64, "a.b", "a@b", ""])
def test_a_service_a_balancer_and_a_cluster_need_a_name_that_goes_everywhere(name: str) -> None:
    for section in ("services", "load_balancers", "clusters"):
        found = refusals(f'{section}."{name}"', "image", '"x"')

        shown = name if name and " " not in name and "." not in name and "@" not in name else f'"{name}"'
        assert f'{section}.{shown}: found the name "{name}"; allowed: {NAME}' in [
            line.replace(f"{'x' * 59}…", f'{"x" * 64}"') for line in found
        ]
