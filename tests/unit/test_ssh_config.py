"""Destinations, and what `ssh -G` prints, read."""

import getpass
from pathlib import Path

import pytest

from coreos_kit.adapters.command_line import interactive_ssh_argv
from coreos_kit.adapters.ssh_config import Destination, parse_ssh_g, settings_for, ssh_g_argv
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.project import MachineEntry

HOME = str(Path.home())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web1", Destination("web1")),
        ("core@web1", Destination("web1", "core")),
        ("core@198.51.100.11:2222", Destination("198.51.100.11", "core", 2222)),
        ("web1:2222", Destination("web1", "", 2222)),
        ("ssh://core@web1:2222", Destination("web1", "core", 2222)),
        ("ssh://web1/", Destination("web1")),
        ("core@2001:db8::1", Destination("2001:db8::1", "core")),
        ("core@[2001:db8::1]:2222", Destination("2001:db8::1", "core", 2222)),
        ("[2001:db8::1]", Destination("2001:db8::1")),
        ("first.last@example@web1", Destination("web1", "first.last@example")),
    ],
)
def test_a_destination_is_host_user_and_port(text: str, expected: Destination) -> None:
    assert Destination.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "core@", "@web1", "-oProxyCommand=x", "core@-x", "-l@web1", "web1:0", "web1:65536", "web1:http",
     "a b",
     "web1\nweb2", "web1;id", "$(id)", "web1:22x"],
)  # fmt: skip
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"ssh destination .* is not one"):
        Destination.parse(text)


def test_openssh_is_asked_with_what_the_destination_says() -> None:
    assert ssh_g_argv(Destination("web1")) == ["ssh", "-G", "--", "web1"]
    assert ssh_g_argv(Destination("web1", "core", 2222), Path("c")) == [
        "ssh", "-G", "-F", "c", "-p", "2222", "-l", "core", "--", "web1",
    ]  # fmt: skip


def test_the_answer_of_openssh_is_read() -> None:
    settings = parse_ssh_g(
        "host web\nuser core\nhostname web1.example\nport 2222\nidentitiesonly yes\n"
        "stricthostkeychecking accept-new\nidentityfile ~/.ssh/%h-%r\nidentityfile /keys/two\n"
        "certificatefile /keys/two-cert.pub\nuserknownhostsfile ~/.ssh/known_hosts /k/%k\n"
        "globalknownhostsfile /etc/ssh/ssh_known_hosts\nproxyjump a,core@b:2200\nproxycommand none\n"
        "connecttimeout 7\nhostkeyalias the-web\nidentityagent none\n"
    )

    assert settings.where == "web1.example:2222"
    assert settings.user == "core"
    assert settings.identities_only
    assert settings.identity_files == (f"{HOME}/.ssh/web1.example-core", "/keys/two")
    assert settings.certificate_files == ("/keys/two-cert.pub",)
    assert settings.known_hosts_files == (
        f"{HOME}/.ssh/known_hosts",
        "/k/the-web",
        "/etc/ssh/ssh_known_hosts",
    )
    assert settings.proxy_jump == ("a", "core@b:2200")
    assert settings.proxy_command == ""
    assert settings.connect_timeout_s == 7
    assert settings.host_key_alias == "the-web"
    assert settings.identity_agent == "none"
    assert settings.accept_new


def test_a_proxy_commands_tokens_are_filled_in() -> None:
    settings = parse_ssh_g("host web\nuser core\nhostname web1\nport 22\nproxycommand nc %h %p # %r 100%%\n")

    assert settings.proxy_command == "nc web1 22 # core 100%"


def test_none_and_silence_mean_not_set() -> None:
    settings = parse_ssh_g(
        "user core\nhostname web1\nport 22\nconnecttimeout none\nuserknownhostsfile none\nidentityfile none\n"
    )

    assert settings.connect_timeout_s is None
    assert settings.known_hosts_files == ()
    assert settings.identity_files == ()
    assert settings.identity_agent == ""
    assert not settings.accept_new


def test_an_agent_may_be_named_by_a_variable() -> None:
    text = "user core\nhostname web1\nport 22\nidentityagent $MY_AGENT\n"

    assert parse_ssh_g(text, environ={"MY_AGENT": "/run/agent"}).identity_agent == "/run/agent"
    assert parse_ssh_g(text, environ={}).identity_agent == "none"


def test_an_entry_with_key_and_host_keys_of_its_own_needs_no_ssh_config() -> None:
    entry = MachineEntry(
        "core-1", "10.132.1.11", identity_file="/lab/id", known_hosts_file="/lab/known_hosts"
    )

    settings = settings_for(entry, config_file=Path("/does/not/exist"))

    assert (settings.host, settings.port, settings.user) == ("10.132.1.11", 22, getpass.getuser())
    assert (settings.identity_files, settings.identities_only) == (("/lab/id",), True)
    assert settings.identity_agent == "none"
    assert settings.known_hosts_files == ("/lab/known_hosts",)
    assert settings.proxy_jump == ()


def test_an_ipv6_address_stands_in_brackets_in_messages() -> None:
    assert parse_ssh_g("user core\nhostname 2001:db8::1\nport 22\n").where == "[2001:db8::1]:22"


def test_the_terminals_ssh_is_as_strict_as_the_kits() -> None:
    argv = interactive_ssh_argv(
        destination="10.132.1.11", user="core", identity_file="/lab/id", known_hosts_file="/lab/kh",
        config_file="none", terminal=True, argv=["journalctl", "-u", "a b"],
    )  # fmt: skip

    assert argv == [
        "ssh", "-o", "ForwardAgent=no", "-o", "StrictHostKeyChecking=yes",
        "-o", "ConnectTimeout=10", "-F", "none",
        "-i", "/lab/id", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
        "-o", "UserKnownHostsFile=/lab/kh", "-o", "GlobalKnownHostsFile=/dev/null",
        "-l", "core", "-t", "--", "10.132.1.11", "journalctl -u 'a b'",
    ]  # fmt: skip


def test_the_terminals_ssh_takes_everything_else_from_ssh_config() -> None:
    assert interactive_ssh_argv(destination="web1", accept_new=True, connect_timeout_s=0.3) == [
        "ssh", "-o", "ForwardAgent=no", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=1",
        "--", "web1",
    ]  # fmt: skip
