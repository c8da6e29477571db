"""How a machine is reached: SSH settings as ``ssh -G`` resolves them; Include, Match and defaults count.

Fabric's own reading of ssh_config ignores Include and IdentitiesOnly, and takes no heed of host keys.
"""

import getpass
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coreos_kit.errors import InvalidConfig, Unreachable
from coreos_kit.model.project import MachineEntry

DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class Destination:
    """What the configuration names: ``[user@]host[:port]``, an alias of ssh_config, or an ssh:// address."""

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Destination":
        """Split a destination; an IPv6 address with a port stands in brackets."""
        rest = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
        user, at, host = rest.rpartition("@")
        port: int | None = None
        if bracketed := re.fullmatch(r"\[([^\[\]]+)\](?::(\d+))?", host):
            host, port = bracketed[1], int(bracketed[2]) if bracketed[2] else None
        elif host.count(":") == 1:
            host, _, digits = host.partition(":")
            port = int(digits) if digits.isascii() and digits.isdigit() else 0
        wrong = not host or host.startswith("-") or user.startswith("-") or (at and not user)
        if (
            wrong
            or re.search(r"[\s\x00-\x1f'\"`$;&<>|(){}\\]", user + host)
            or (port is not None and not 0 < port < 65536)
        ):
            raise InvalidConfig(
                f"ssh destination {text!r} is not one",
                hint="Write host, user@host:port, user@[2001:db8::1]:port, or a Host of ~/.ssh/config.",
            )
        return cls(host=host, user=user, port=port)


@dataclass(frozen=True, slots=True)
class SshSettings:
    """Everything that opening one connection depends on; two equal ones can share it."""

    host: str
    user: str
    port: int = DEFAULT_PORT
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False
    certificate_files: tuple[str, ...] = ()
    identity_agent: str = ""  # "": SSH_AUTH_SOCK; "none": no agent
    known_hosts_files: tuple[str, ...] = ()
    host_key_alias: str = ""
    accept_new: bool = False
    proxy_jump: tuple[str, ...] = ()  # destinations, nearest to the workstation first
    proxy_command: str = ""  # tokens expanded
    connect_timeout_s: float | None = None

    @property
    def where(self) -> str:
        """Return ``host:port`` for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def ssh_g_argv(destination: Destination, config_file: Path | None = None) -> list[str]:
    """Return the command that prints OpenSSH's own reading of its configuration."""
    argv = ["ssh", "-G"]
    if config_file:
        argv += ["-F", str(config_file)]
    if destination.port is not None:
        argv += ["-p", str(destination.port)]
    if destination.user:
        argv += ["-l", destination.user]
    return [*argv, "--", destination.host]


def settings_for(
    entry: MachineEntry, *, config_file: Path | None = None, accept_new: bool = False
) -> SshSettings:
    """Return how a machine is reached.

    An entry with an identity and host keys of its own (the lab's) is complete: ssh_config is not asked, so
    that a ``Host *`` of the user can't lead it astray.
    """
    destination = Destination.parse(entry.destination)
    if entry.identity_file and entry.known_hosts_file:
        settings = SshSettings(
            host=destination.host,
            user=destination.user or getpass.getuser(),
            port=destination.port or DEFAULT_PORT,
        )
    else:
        settings = ask_ssh(destination, config_file=config_file)
    if entry.identity_file:
        settings = replace(
            settings,
            identity_files=(entry.identity_file,),
            identities_only=True,
            identity_agent="none",
            certificate_files=(),
        )
    if entry.known_hosts_file:
        settings = replace(settings, known_hosts_files=(entry.known_hosts_file,), host_key_alias="")
    return replace(settings, accept_new=True) if accept_new else settings


def ask_ssh(destination: Destination, *, config_file: Path | None = None) -> SshSettings:
    """Ask OpenSSH for the settings of a destination."""
    argv = ssh_g_argv(destination, config_file)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except FileNotFoundError as error:
        hint = "Install OpenSSH's client: apt-get install openssh-client"
        raise Unreachable("ssh is not installed on this workstation", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        hint = "A Match exec in ssh_config that hangs does this."
        raise Unreachable(f"ssh -G {destination.host} gave no answer within 20 s", hint=hint) from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"code {done.returncode}"]
        raise InvalidConfig(
            f"ssh_config can't be read for {destination.host}: {said[-1]}",
            hint=f"Try it: ssh -G {destination.host}",
        )
    return parse_ssh_g(done.stdout.decode("utf-8", "replace"))


def parse_ssh_g(text: str, *, environ: Mapping[str, str] | None = None) -> SshSettings:
    """Read what ``ssh -G`` printed. Keys may repeat; `none` means not set (ssh_config(5))."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())

    def first(key: str) -> str:
        value = values.get(key, [""])[0]
        return "" if value == "none" else value

    host, user, port = first("hostname"), first("user"), int(first("port") or DEFAULT_PORT)
    jump = first("proxyjump")
    tokens = _tokens(
        host, user, port, alias=first("host") or host, host_key_alias=first("hostkeyalias"), jump=jump
    )
    agent = values.get("identityagent", [""])[0]
    known_hosts = [*first("userknownhostsfile").split(), *first("globalknownhostsfile").split()]
    return SshSettings(
        host=host,
        user=user,
        port=port,
        identity_files=_paths(values.get("identityfile", ()), tokens),
        identities_only=first("identitiesonly") == "yes",
        certificate_files=_paths(values.get("certificatefile", ()), tokens),
        identity_agent=_agent(agent, tokens, os.environ if environ is None else environ),
        known_hosts_files=_paths(known_hosts, tokens),
        host_key_alias=first("hostkeyalias"),
        accept_new=first("stricthostkeychecking") == "accept-new",
        proxy_jump=tuple(hop.strip() for hop in jump.split(",")) if jump else (),
        proxy_command=_expand(first("proxycommand"), tokens),
        connect_timeout_s=float(first("connecttimeout") or 0) or None,
    )


def _tokens(host: str, user: str, port: int, *, alias: str, host_key_alias: str, jump: str) -> dict[str, str]:
    """Return the tokens of ssh_config(5) that paths and commands may hold."""
    home = str(Path.home())
    local_user = getpass.getuser()
    own_name = os.uname().nodename
    return {
        "%": "%", "h": host, "n": alias, "p": str(port), "r": user, "u": local_user, "d": home, "l": own_name,
        "L": own_name.partition(".")[0], "i": str(os.getuid()), "j": jump, "k": host_key_alias or host,
    }  # fmt: skip


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _paths(values: Sequence[str], tokens: Mapping[str, str]) -> tuple[str, ...]:
    """Return paths with `~`, tokens and ``${VARIABLES}`` expanded, in order, `none` left out."""
    expanded = (os.path.expandvars(_expand(value, tokens)) for value in values if value and value != "none")
    return tuple(dict.fromkeys(str(Path(path).expanduser()) for path in expanded))


def _agent(value: str, tokens: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if value in {"", "SSH_AUTH_SOCK"}:
        return ""
    if value.startswith("$"):
        return environ.get(value[1:].strip("{}"), "none")
    return value if value == "none" else _paths([value], tokens)[0]
