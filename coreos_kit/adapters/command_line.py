"""Command lines as a shell or a process takes them: pure functions, the one place where words are quoted."""

import shlex
from collections.abc import Sequence

SUDO = ("sudo", "-n", "--")
SUDO_REFUSALS = (
    "a password is required",
    "a terminal is required",
    "is not in the sudoers file",
    "is not allowed to run",
)


def as_root(argv: Sequence[str], *, root: bool, is_root: bool) -> list[str]:
    """Prefix a command with sudo, which never asks, where root is wanted and not there yet."""
    return [*SUDO, *argv] if root and not is_root else list(argv)


def script_argv(script: str, args: Sequence[str]) -> list[str]:
    """Return the command that runs a constant text with bash; values are its positional arguments."""
    return ["bash", "-c", script, "coreos-kit", *args]


def remote_line(argv: Sequence[str]) -> str:
    """Return the one string that an SSH server hands to the user's shell."""
    return shlex.join(argv)


def shown(argv: Sequence[str], limit: int = 200) -> str:
    """Return a command line for a message: copy-pasteable when short, without its script when it has one."""
    line = shlex.join(argv)
    if len(line) <= limit and "\n" not in line:
        return line
    words = [shlex.quote(word) for word in argv]
    if "bash" in argv and "-c" in argv[:-1]:
        words[list(argv).index("-c") + 1] = "…"
    line = " ".join(words).replace("\n", " ")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def fate(code: int) -> str:
    """Say how a command ended. A negative code is a signal; over SSH it is not known which."""
    if code >= 0:
        return f"ended with code {code}"
    return f"was killed by signal {-code}" if code < -1 else "was killed by a signal"


def said(stdout: bytes, stderr: bytes) -> str:
    """Return what a command said, what it complained about last, where a reader looks first."""
    return "\n".join(text for text in (_text(stdout), _text(stderr)) if text)


def refused_password(argv: Sequence[str], stderr: bytes) -> str:
    """Return sudo's complaint when it was sudo that refused, not the command; "" otherwise."""
    if not argv or argv[0] != "sudo":
        return ""
    lines = [line.strip() for line in _text(stderr).splitlines()]
    return next((line for line in lines if any(words in line for words in SUDO_REFUSALS)), "")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def interactive_ssh_argv(
    *,
    destination: str,
    user: str = "",
    port: int | None = None,
    identity_file: str = "",
    known_hosts_file: str = "",
    config_file: str = "",
    accept_new: bool = False,
    connect_timeout_s: float = 10,
    terminal: bool = False,
    proxy: Sequence[str] = (),
    argv: Sequence[str] = (),
) -> list[str]:
    """Return OpenSSH's own client for somebody who wants a terminal, as strict as the kit's connection.

    `proxy` is the line that leads to a machine on the way.
    """
    checking = "accept-new" if accept_new else "yes"
    line = ["ssh", "-o", "ForwardAgent=no", "-o", f"StrictHostKeyChecking={checking}"]
    line += ["-o", f"ConnectTimeout={max(1, round(connect_timeout_s))}"]
    if config_file:
        line += ["-F", config_file]
    if identity_file:
        line += ["-i", identity_file, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    if known_hosts_file:
        line += ["-o", f"UserKnownHostsFile={known_hosts_file}", "-o", "GlobalKnownHostsFile=/dev/null"]
    if proxy:
        line += ["-o", f"ProxyCommand={shlex.join([proxy[0], '-W', '%h:%p', *proxy[1:]])}"]
    if port is not None:
        line += ["-p", str(port)]
    if user:
        line += ["-l", user]
    if terminal:
        line += ["-t"]
    return [*line, "--", destination, *([remote_line(argv)] if argv else [])]
