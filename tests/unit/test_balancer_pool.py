"""Which values of etcd may become servers."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.balancer.pool import (
    MAX_REFUSED,
    MAX_REGISTRATIONS,
    Pool,
    TooManyRegistrations,
    parse_networks,
    pool_of,
    shown,
    sort_servers,
    why_refused,
)

PREFIX = "/services/apache"
NETWORKS = parse_networks("10.132.0.0/16")

addresses = st.ip_addresses(v=4, network="10.132.0.0/16").map(str)
ports = st.integers(1, 65535)
servers = st.builds("{}:{}".format, addresses, ports)


def pool(registrations: dict[str, str]) -> Pool:
    return pool_of(
        {f"{PREFIX}/{key}": value for key, value in registrations.items()}, NETWORKS, prefix=PREFIX
    )


def test_servers_are_sorted_as_numbers_and_each_is_there_once() -> None:
    found = pool(
        {"a": "10.132.0.12:80", "b": "10.132.0.9:8888", "c": "10.132.0.9:777", "d": "10.132.0.12:80"}
    )

    assert found == Pool(("10.132.0.9:777", "10.132.0.9:8888", "10.132.0.12:80"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "not of the form a.b.c.d:port"),
        ("10.132.0.9", "not of the form a.b.c.d:port"),
        ("10.132.0.9:", "not of the form a.b.c.d:port"),
        ("10.132.0.9:80 ", "not of the form a.b.c.d:port"),
        ("10.132.0.9:80\n", "not of the form a.b.c.d:port"),
        ("10.132.0.9:80;", "not of the form a.b.c.d:port"),
        ("10.132.0.09:80", "not of the form a.b.c.d:port"),
        ("10.132.0.256:80", "not of the form a.b.c.d:port"),
        ("10.132.0.9:0", "not of the form a.b.c.d:port"),
        ("10.132.0.9:080", "not of the form a.b.c.d:port"),
        ("10.132.0.9:-1", "not of the form a.b.c.d:port"),
        ("١٠.132.0.9:80", "not of the form a.b.c.d:port"),
        ("10.132.9:80", "not of the form a.b.c.d:port"),
        ("[::1]:80", "not of the form a.b.c.d:port"),
        ("unix:/run/docker.sock", "not of the form a.b.c.d:port"),
        ("10.132.0.9:65536", "port 65536 is above 65535"),
        ("198.51.100.9:80", "outside 10.132.0.0/16"),
        ("169.254.169.254:80", "an address that no backend has"),
        ("1.2.3.4:80; } include /etc/passwd;", "too long for a.b.c.d:port"),
        ("9" * 1_000_000, "too long for a.b.c.d:port"),
    ],
)
def test_a_value_that_is_no_server_of_the_network_is_refused_with_its_reason(value: str, reason: str) -> None:
    found = pool({"x": value, "y": "10.132.0.9:80"})

    assert found.servers == ("10.132.0.9:80",)
    assert [(refusal.key, refusal.reason) for refusal in found.refused] == [(f"{PREFIX}/x", reason)]


def test_a_metadata_service_is_no_backend_however_wide_the_network() -> None:
    everything = parse_networks("0.0.0.0/0")

    assert why_refused("169.254.169.254:80", everything) == "an address that no backend has"
    assert why_refused("0.0.0.0:80", everything) == "an address that no backend has"
    assert why_refused("255.255.255.255:80", everything) == "an address that no backend has"
    assert why_refused("192.0.2.1:80", everything) == ""


@pytest.mark.parametrize(
    "key", ["/services/apache2/a", "/services/apache/a/b", "/services/apache", "/services/apache/"]
)
def test_only_keys_directly_under_the_prefix_count(key: str) -> None:
    found = pool_of({key: "10.132.0.9:80"}, NETWORKS, prefix=PREFIX)

    assert (found.servers, found.refused[0].reason) == ((), "not directly under /services/apache")


def test_any_of_several_networks_will_do() -> None:
    networks = parse_networks("10.132.0.0/16, 192.0.2.0/24")

    assert why_refused("192.0.2.7:80", networks) == why_refused("10.132.0.7:80", networks) == ""


@pytest.mark.parametrize("text", ["", " , ", "10.132.0.0/33", "10.132.0.1/16", "fd00::/8", "everything"])
def test_a_network_list_that_is_not_understood_lets_nothing_in(text: str) -> None:
    with pytest.raises(ValueError):
        parse_networks(text)


def test_more_registrations_than_a_pool_may_have_are_no_pool_at_all() -> None:
    with pytest.raises(TooManyRegistrations) as refused:
        pool({str(number): "10.132.0.9:80" for number in range(MAX_REGISTRATIONS + 1)})

    assert str(refused.value) == "4097 registrations under /services/apache, at most 4096 are allowed"


def test_a_flood_of_refusals_is_counted_not_listed() -> None:
    found = pool({str(number): "x" for number in range(1000)})

    assert len(found.refused) == MAX_REFUSED + 1
    assert found.refused[-1].reason == "and 900 more like these"


@given(st.dictionaries(st.text("0123456789ab.", min_size=1), servers))
def test_every_server_of_the_network_gets_in(registrations: dict[str, str]) -> None:
    found = pool(registrations)

    assert set(found.servers) == set(registrations.values())
    assert found.refused == ()
    assert found.servers == sort_servers(registrations.values())


@given(st.one_of(st.text(), st.from_regex(r"[0-9.]{7,15}:[0-9]{1,6}\s?"), st.text("0123456789.:;{} \n")))
def test_what_gets_in_is_an_address_of_the_network_and_a_port_and_nothing_else(value: str) -> None:
    found = pool({"x": value})

    if found.servers:
        address, port = re.fullmatch(r"([0-9.]+):([0-9]+)", value, re.ASCII).groups()  # type: ignore[union-attr]
        assert ipaddress.IPv4Address(address) in NETWORKS[0]
        assert 1 <= int(port) <= 65535
        assert found.servers == (f"{ipaddress.IPv4Address(address)}:{int(port)}",)
    else:
        assert len(found.refused) == 1


@given(st.text(), st.text())
def test_a_refusal_is_one_short_printable_line(key: str, value: str) -> None:
    for refusal in pool({key: value}).refused:
        line = str(refusal)

        assert line.isprintable()
        assert line.isascii()
        assert len(line) < 1500


def test_what_is_shown_of_a_value_is_escaped_and_cut() -> None:
    assert shown('a\x1b[2J\n"') == 'a\\x1b[2J\\n\\"'
    assert shown("x" * 1000) == "x" * 60 + "..."
