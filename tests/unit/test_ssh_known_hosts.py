"""known_hosts as text."""

import base64
from pathlib import Path

import pytest

from coreos_kit.adapters.ssh_known_hosts import (
    KnownHosts,
    algorithms,
    fingerprint,
    host_key_names,
    parse_known_hosts,
    remember,
)

ED25519 = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(32)).decode()
OFFERED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


def lines(text: str) -> KnownHosts:
    return KnownHosts(tuple(parse_known_hosts(text, "kh")))


def test_a_line_knows_where_it_stands() -> None:
    (key,) = parse_known_hosts(f"# comment\n\nweb1,198.51.100.1\tssh-ed25519  {ED25519}  comment\n", "kh")

    assert (key.where, key.patterns, key.type) == ("kh:3", ("web1", "198.51.100.1"), "ssh-ed25519")


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("web1", "web1", True),
        ("WEB1", "web1", True),
        ("web1", "web10", False),
        ("web?", "web1", True),
        ("*.example", "web1.example", True),
        ("[web1]:2222", "[web1]:2222", True),
        ("[web1]:2222", "w", False),
        ("[a-z]", "b", False),
        ("!web1,*", "web1", False),
        ("!web1,*", "web2", True),
        ("!web1", "web2", False),
    ],
)
def test_patterns_match_as_in_openssh(pattern: str, name: str, matches: bool) -> None:
    (key,) = parse_known_hosts(f"{pattern} ssh-ed25519 {ED25519}", "kh")

    assert key.matches(name) is matches


def test_a_port_of_its_own_stands_in_the_name() -> None:
    assert host_key_names("Web1", 22) == ("web1",)
    assert host_key_names("web1", 2222) == ("[web1]:2222", "web1")
    assert host_key_names("web1", 2222, "Alias") == ("alias",)


def test_the_known_type_is_asked_for_first() -> None:
    known = lines(f"web1 ecdsa-sha2-nistp256 {ED25519}").keys

    assert algorithms(known, OFFERED) == [
        "ecdsa-sha2-nistp256",
        "ssh-ed25519",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ]


def test_an_rsa_key_is_asked_for_with_the_signatures_of_today() -> None:
    known = lines(f"web1 ssh-rsa {ED25519}").keys

    assert algorithms(known, OFFERED)[:2] == ["rsa-sha2-512", "rsa-sha2-256"]


def test_certificates_come_first_where_an_authority_is_listed() -> None:
    known = lines(f"@cert-authority * ssh-ed25519 {ED25519}\nweb1 ssh-rsa {ED25519}").keys

    assert algorithms(known, OFFERED) == [
        "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com",
        "rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256",
    ]  # fmt: skip


def test_a_type_that_is_not_spoken_is_not_asked_for() -> None:
    known = lines(f"web1 sk-ssh-ed25519@openssh.com {ED25519}").keys

    assert algorithms(known, OFFERED) == list(OFFERED)


def test_remembering_starts_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "kh"
    path.write_text("web1 ssh-ed25519 AAAA")

    remember(str(path), "web2", base64.b64decode(ED25519))

    assert path.read_text() == f"web1 ssh-ed25519 AAAA\nweb2 ssh-ed25519 {ED25519}\n"


def test_a_fingerprint_is_openssh_s() -> None:
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
