"""Endpoints, credentials, and the exceptions of the libraries below etcd's stores."""

import inspect
from pathlib import Path

import etcd3.exceptions
import grpc
import pytest

from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials, parse_endpoint
from coreos_kit.adapters.etcd_v3 import REASONS
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.project import EtcdSettings


@pytest.mark.parametrize(
    ("text", "host", "port", "is_secure"),
    [
        ("https://etcd1.example:2379", "etcd1.example", 2379, True),
        ("http://198.51.100.11:4001/", "198.51.100.11", 4001, False),
        ("198.51.100.11:2379", "198.51.100.11", 2379, False),
        ("https://etcd1.example", "etcd1.example", 2379, True),
        ("http://[2001:db8::1]:2379", "2001:db8::1", 2379, False),
    ],
)
def test_an_endpoint_is_host_port_and_tls(text: str, host: str, port: int, is_secure: bool) -> None:
    assert parse_endpoint(text) == EtcdAddress(text, host, port, is_secure)


@pytest.mark.parametrize(
    "text", ["", "ftp://etcd1", "https://", "http://etcd1:port", "http://etcd1:2379/v2/keys"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="is not one"):
        parse_endpoint(text)


def test_the_password_is_read_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")

    credentials = EtcdCredentials.load(EtcdSettings(username="kit", password_file=str(path)))

    assert credentials.password == "secret"
    assert "secret" not in repr(credentials)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EtcdSettings(ca="/no/ca"), "etcd.ca names /no/ca, which is no file"),
        (EtcdSettings(cert=__file__), "etcd.cert and etcd.key belong together, and one of them is missing"),
        (EtcdSettings(username="kit"), "etcd.username and etcd.password_file belong together, and one"),
        (EtcdSettings(username="kit", password_file="/no/pw"), "etcd.password_file /no/pw can't be read"),
    ],
)  # fmt: skip
def test_half_a_login_is_refused(settings: EtcdSettings, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        EtcdCredentials.load(settings)

    assert str(caught.value).startswith(message)


def test_every_exception_of_etcd3_and_grpc_has_a_meaning() -> None:
    kinds = {
        kind
        for module in (etcd3.exceptions, grpc)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__.startswith(("etcd3", "grpc"))
    }

    assert kinds - set(REASONS) == set()
