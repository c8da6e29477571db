"""Says what a failure of fabric, invoke, paramiko or the network means to somebody who runs a cluster."""

import errno
import socket
from collections.abc import Callable, Mapping, Sequence

import fabric.exceptions
import invoke.exceptions
import paramiko
from paramiko import ssh_exception
from paramiko.auth_strategy import AuthFailure, AuthResult
from paramiko.hostkeys import InvalidHostKey
from paramiko.pkey import UnknownKeyType
from paramiko.sftp import SFTPError

from coreos_kit.adapters.ssh_config import SshSettings
from coreos_kit.errors import KitError, Unreachable

TRANSLATED = (paramiko.SSHException, OSError, EOFError, UnknownKeyType, ValueError)
"""What may come out of opening a connection or using a channel. ValueError: damaged keys and packets."""

_Reason = Callable[[Exception, SshSettings], tuple[str, str]]


def translate(
    error: Exception, machine: str, settings: SshSettings, *, details: Sequence[str] = ()
) -> KitError:
    """Return the `KitError` for what went wrong between the workstation and a machine."""
    if isinstance(error, KitError):
        return error
    reason, hint = _reason_for(error)(error, settings)
    return Unreachable(
        f"{machine} ({settings.where}) can't be reached: {reason}",
        machine=machine,
        hint=hint,
        details=details,
    )


def _reason_for(error: Exception) -> _Reason:
    return next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), _unforeseen)


def _plain(reason: str, hint: str = "") -> _Reason:
    return lambda _, settings: (reason, _filled(hint, settings))


def _with_words(reason: str, hint: str = "") -> _Reason:
    return lambda error, _: (f"{reason}: {_words(error)}", hint)


def _unforeseen(error: Exception, settings: SshSettings) -> tuple[str, str]:
    return (
        f"{type(error).__name__}: {_words(error)}",
        f"Try it by hand: ssh {settings.user}@{settings.host}",
    )


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text[:1].lower() + text[1:]).rstrip(".") or type(error).__name__


_AUTH_HINT = (
    "Try it by hand: ssh -v -p {port} {user}@{host}; "
    "then set IdentityFile in ~/.ssh/config, or load the key with ssh-add."
)


def _filled(hint: str, settings: SshSettings) -> str:
    return hint.format(user=settings.user, host=settings.host, port=settings.port)


def _auth_failure(error: Exception, settings: SshSettings) -> tuple[str, str]:
    result = getattr(error, "result", None)
    attempts = list(result) if isinstance(result, AuthResult) else []
    if any("timeout" in str(attempt.result).lower() for attempt in attempts):
        return (
            "it gave no answer to the login in time",
            "Look at sshd on the machine: does it wait for a name server?",
        )
    tried = ", ".join(str(attempt.source) for attempt in attempts)
    reason = f"login as {settings.user} refused ({f'tried {tried}' if tried else 'there is no key to try'})"
    return (reason, _filled(_AUTH_HINT, settings))


def _ssh_trouble(error: Exception, settings: SshSettings) -> tuple[str, str]:
    text = str(error)
    if "banner" in text or "No existing session" in text or "Negotiation failed" in text:
        return (
            "something answers there, but not as an SSH server in time",
            f"Look at sshd on the machine, and at what listens on port {settings.port}.",
        )
    if "Authentication" in text:
        return _auth_failure(error, settings)
    if "not active" in text or "closed" in text or "Server connection dropped" in text:
        return ("the connection was lost", "")
    if "Timeout opening channel" in text or "timed out" in text.lower():
        return ("it no longer answers", "")
    return (_words(error), f"Try it by hand: ssh -v {settings.user}@{settings.host}")


def _channel_refused(error: Exception, _: SshSettings) -> tuple[str, str]:
    code, text = getattr(error, "code", 0), getattr(error, "text", str(error))
    if code == 1:
        return (
            f"its sshd refuses another channel ({text})",
            "Look at MaxSessions and AllowTcpForwarding in its sshd_config.",
        )
    return (f"a channel could not be opened ({text})", "")


def _no_connection(error: Exception, settings: SshSettings) -> tuple[str, str]:
    errors = getattr(error, "errors", {})
    codes = {inner.errno for inner in errors.values()} if isinstance(errors, dict) else set()
    if codes == {errno.ECONNREFUSED}:
        return ("connection refused", f"Is sshd running there, and is {settings.port} its port?")
    return ("no route to it", "Is it up, and is this workstation on its network?")


def _os_trouble(error: Exception, settings: SshSettings) -> tuple[str, str]:
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return ("connection refused", f"Is sshd running there, and is {settings.port} its port?")
    if number in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return ("no route to it", "Is it up, and is this workstation on its network?")
    if number in {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}:
        return ("the connection was lost", "")
    return (_words(error), "")


REASONS: Mapping[type[BaseException], _Reason] = {
    # the network
    TimeoutError: _plain("timed out", "Is it up, and does a firewall let this workstation in?"),
    socket.gaierror: _plain(
        "its name is not known", "Check the name in coreos-kit.toml and ~/.ssh/config: ssh -G {host}"
    ),
    ConnectionError: _os_trouble,
    OSError: _os_trouble,
    EOFError: _plain(
        "the connection was closed by the other side", "Look at the log of sshd on the machine."
    ),
    ssh_exception.NoValidConnectionsError: _no_connection,
    # who is who
    ssh_exception.BadHostKeyException: _with_words("its host key has changed"),
    ssh_exception.AuthenticationException: _auth_failure,
    ssh_exception.BadAuthenticationType: _auth_failure,
    ssh_exception.PartialAuthentication: _with_words(
        "it asks for a second factor", "The kit logs in with keys alone."
    ),
    ssh_exception.UnableToAuthenticate: _auth_failure,
    ssh_exception.PasswordRequiredException: _plain(
        "the key needs a passphrase", "Load it into the agent: ssh-add"
    ),
    AuthFailure: _auth_failure,
    InvalidHostKey: _with_words("known_hosts has a damaged line"),
    UnknownKeyType: _with_words("a key is of a type that is not understood"),
    # the protocol
    ssh_exception.SSHException: _ssh_trouble,
    ssh_exception.ChannelException: _channel_refused,
    ssh_exception.IncompatiblePeer: _with_words(
        "no algorithm in common", "Its sshd is very old, or very strict."
    ),
    ssh_exception.MessageOrderError: _with_words("it breaks the SSH protocol"),
    ssh_exception.ProxyCommandFailure: _with_words("the ProxyCommand failed"),
    ssh_exception.CouldNotCanonicalize: _with_words("its name can't be made canonical"),
    ssh_exception.ConfigParseError: _with_words("ssh_config can't be read"),
    ValueError: _with_words("it sent something that is not understood"),
}

_INVOKE = "invoke.exceptions"
NOT_USED: frozenset[type[BaseException]] = frozenset({
    # Parts of the libraries that the kit never calls: fabric's groups, invoke's tasks and runners, SFTP.
    # A class that is in neither table fails a test.
    fabric.exceptions.NothingToDo,
    fabric.exceptions.GroupException,
    fabric.exceptions.InvalidV1Env,
    SFTPError,
    *(kind for kind in vars(invoke.exceptions).values() if getattr(kind, "__module__", "") == _INVOKE),
})  # fmt: skip
