"""No exception of the libraries below comes out as it is."""

import inspect
import socket
from types import ModuleType

import fabric.exceptions
import invoke.exceptions
import paramiko.auth_strategy
import paramiko.hostkeys
import paramiko.pkey
import paramiko.sftp
import paramiko.ssh_exception
import pytest

from coreos_kit.adapters.ssh_config import SshSettings
from coreos_kit.adapters.ssh_errors import NOT_USED, REASONS, TRANSLATED, translate
from coreos_kit.errors import Unreachable

SETTINGS = SshSettings(host="198.51.100.11", user="core")
MODULES = (
    fabric.exceptions, invoke.exceptions, paramiko.auth_strategy, paramiko.hostkeys, paramiko.pkey,
    paramiko.sftp, paramiko.ssh_exception,
)  # fmt: skip


def exceptions_of(module: ModuleType) -> set[type[BaseException]]:
    return {
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__ == module.__name__
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_exception_of_the_libraries_has_a_meaning_or_a_reason_not_to(module: ModuleType) -> None:
    unmapped = {kind for kind in exceptions_of(module) if kind not in REASONS and kind not in NOT_USED}

    assert unmapped == set()


def test_every_exception_with_a_meaning_is_caught() -> None:
    missed = {kind for kind in REASONS if not issubclass(kind, TRANSLATED)}

    assert missed - {paramiko.hostkeys.InvalidHostKey} == set()  # known_hosts is read by the kit itself


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            ConnectionRefusedError(111, "refused"),
            "connection refused",
            "Is sshd running there, and is 22 its port?",
        ),
        (TimeoutError("timed out"), "timed out", "Is it up, and does a firewall let this workstation in?"),
        (
            OSError(113, "No route to host"),
            "no route to it",
            "Is it up, and is this workstation on its network?",
        ),
        (socket.gaierror(-2, "x"), "its name is not known", "ssh -G 198.51.100.11"),
        (ConnectionResetError(104, "reset"), "the connection was lost", ""),
        (EOFError(), "the connection was closed by the other side", "sshd"),
        (paramiko.SSHException("No existing session"), "not as an SSH server in time", "port 22"),
        (paramiko.SSHException("SSH session not active"), "the connection was lost", ""),
        (paramiko.AuthenticationException("x"), "login as core refused", "ssh -v -p 22 core@198.51.100.11"),
        (paramiko.ChannelException(1, "prohibited"), "refuses another channel", "MaxSessions"),
        (paramiko.IncompatiblePeer("no kex"), "no algorithm in common: no kex", ""),
    ],
)
def test_an_error_says_what_it_means(error: Exception, message: str, hint: str) -> None:
    translated = translate(error, "web1", SETTINGS)

    assert isinstance(translated, Unreachable)
    assert str(translated).startswith("web1 (198.51.100.11:22) can't be reached: ")
    assert message in str(translated)
    assert hint in translated.hint
    assert translated.machine == "web1"
