"""What is refused about secrets, and that a refusal never shows what may be one."""
# ruff: noqa: E501 - a message is one string, however long

import pickle
from pathlib import Path

import pytest

from coreos_kit.config import parse_project
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.secret import Secret

WEB = """
[project]
name = "web"
[services.web]
image = "web"
container_port = 80
instances = [7001]
[services.web.registration]
[load_balancers.lb]
image = "lb"
upstream = "web"
[clusters.own]
profile = "debian"
machines = ["core@198.51.100.11"]
network = { private = "192.0.2.0/24" }
"""
DB = '[secrets.db]\nenv = "DB_PASSWORD"\n'
ONE_OF = 'one of env = "VARIABLE", file = "path" and command = ["program", "argument"]'


def refusals(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        parse_project(text, Path("/"))
    return [detail.split(": ", 1)[1] for detail in caught.value.details]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("[secrets.db]", f"secrets.db: missing; allowed: {ONE_OF}"),
        ('[secrets.db]\nenv = "A"\nfile = "b"', f"secrets.db: found env and file; allowed: {ONE_OF}"),
        (
            '[secrets.db]\nfil = "b"',
            "secrets.db.fil: found an unknown key; allowed: command, env, file; did you mean file?",
        ),
        (
            "[secrets.db]\ncommand = []",
            "secrets.db.command: found no words; allowed: a program and its arguments",
        ),
        ('[secrets.db]\ncommand = "pass show db"', 'secrets.db.command: found "pass show db"; allowed: an array of strings'),
        (
            '[secrets.db]\nenv = "$DB"',
            'secrets.db.env: found "$DB"; allowed: letters, digits and _, not beginning with a digit',
        ),
    ],
)  # fmt: skip
def test_a_secret_has_exactly_one_source(text: str, refusal: str) -> None:
    assert refusals(WEB + text) == [refusal]


def test_a_service_can_have_declared_secrets_only_and_the_nearest_is_offered() -> None:
    text = WEB + DB + '[clusters.own.services.web]\nsecrets = { DB_PASSWORD = "db2" }'

    assert refusals(text) == [
        "clusters.own.services.web.secrets.DB_PASSWORD: found a name that no secret has; allowed: db; did you mean db?"
    ]


def test_a_secret_that_was_put_where_its_name_belongs_is_not_shown_back() -> None:
    found = refusals(WEB + DB + '[clusters.own.services.web]\nsecrets = { A = "Hunter 2!", B = "hunter2" }')

    assert len(found) == 2
    assert "unter" not in str(found)


def test_a_variable_is_given_once() -> None:
    text = WEB + DB + '[clusters.own.services.web]\nenv = { DB = "x" }\nsecrets = { DB = "db" }'

    assert refusals(text) == [
        "clusters.own.services.web.secrets.DB: found DB, which env sets as well; allowed: each variable once"
    ]


def test_a_registry_needs_a_user_and_a_declared_secret() -> None:
    assert refusals(WEB + "[clusters.own.registry]") == [
        "clusters.own.registry.username: missing; allowed: a user of the registry",
        "clusters.own.registry.password_secret: missing; allowed: the name of a secret",
    ]
    assert refusals(WEB + DB + '[clusters.own.registry]\nusername = "ci"\npassword_secret = "hub"') == [
        "clusters.own.registry.password_secret: found a name that no secret has; allowed: db"
    ]


@pytest.mark.parametrize(
    ("etcd", "found"),
    [
        ('endpoints = ["https://etcd.example:2379"]', "confd beside https endpoints"),
        ('username = "kit"\npassword_file = "p"', "confd beside etcd.username"),
    ],
)
def test_confd_is_refused_where_etcd_wants_tls_or_a_login(etcd: str, found: str) -> None:
    text = f"""{WEB}
[clusters.own.etcd]
{etcd}
[clusters.own.load_balancers.lb]
watcher = "confd"
confd = {{ path = "/opt/confd" }}
[clusters.own.services.web.registration]
drain_s = 10
"""

    assert refusals(text) == [
        f'clusters.own.load_balancers.lb.watcher: found {found}; allowed: watcher = "kit", which speaks TLS and logs in'
    ]


def test_a_secret_prints_as_redacted_however_it_is_printed() -> None:
    secret = Secret(b"hunter2")

    assert {str(secret), repr(secret), f"{secret}", f"{[secret]}"[1:-1]} == {"[redacted]"}
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret == Secret(b"hunter2") != Secret(b"hunter3")
