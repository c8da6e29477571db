"""What the lab takes over from the workstation's apt and DNS settings."""

import pytest

from coreos_kit.adapters.nspawn.sources import (
    AptSource,
    apt_settings,
    choose_resolv_conf,
    debian_sources,
    parse_sources,
)
from coreos_kit.errors import Refused

DEB822 = """\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

LIST = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian bookworm main contrib # trailing
deb-src https://mirror.example/debian bookworm main
deb https://cloud.example/apt cloud-sdk main
"""


def test_both_formats_are_read_and_what_is_disabled_is_not() -> None:
    found = parse_sources({"debian.sources": DEB822, "sources.list": LIST})

    assert found == (
        AptSource("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        AptSource("http://mirror.example/debian", "bookworm-updates", ("main", "contrib")),
        AptSource("http://mirror.example/debian-security", "bookworm-security", ("main",)),
        AptSource("https://mirror.example/debian", "bookworm", ("main", "contrib")),
        AptSource("https://cloud.example/apt", "cloud-sdk", ("main",)),
    )


def test_only_debian_s_archives_are_taken_the_release_first() -> None:
    found = debian_sources(reversed(parse_sources({"debian.sources": DEB822, "other.list": LIST})))

    assert [(source.uri, source.suite) for source in found] == [
        ("https://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://mirror.example/debian-security", "bookworm-security"),
    ]
    assert {source.components for source in found} == {("main",)}


def test_a_newer_debian_s_mirror_serves_the_lab_s_suite() -> None:
    trixie = [
        AptSource("http://mirror.example/debian", f"trixie{part}", ("main",)) for part in ("", "-updates")
    ]

    assert [source.suite for source in debian_sources(trixie)] == ["bookworm", "bookworm-updates"]


def test_a_workstation_without_a_debian_mirror_is_refused() -> None:
    with pytest.raises(Refused, match="name no Debian mirror"):
        debian_sources([AptSource("http://mirror.example/ubuntu", "noble", ("main", "universe"))])


def test_proxies_come_along_and_the_rest_of_apt_s_settings_does_not() -> None:
    proxy = 'Acquire::http::Proxy "http://p.example:3128";\n'
    dump = f'APT::Architecture "amd64";\n{proxy}Acquire::https::Proxy "";\n'

    assert apt_settings(dump) == proxy


def test_a_name_server_on_loopback_is_of_no_use_to_a_machine() -> None:
    stub = "nameserver 127.0.0.53\nsearch example\n"
    real = "# by systemd-resolved\nnameserver 192.0.2.53\nsearch example\n"

    assert choose_resolv_conf([stub, real]) == "nameserver 192.0.2.53\nsearch example\n"
    with pytest.raises(Refused, match="loopback only"):
        choose_resolv_conf([stub])
