"""Programs and files of the workstation: running them, and saying what is missing."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from coreos_kit.errors import CommandFailed, Refused, TimedOut
from coreos_kit.ports import Completed

# What the lab needs on the workstation, and the Debian package that holds it.
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}

_ENVIRONMENT = ("http_proxy", "https_proxy", "no_proxy")


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 120,
    check: bool = True,
) -> Completed:
    """Run a program of the workstation to its end, in the C locale and with little in its environment."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            env=clean_environment() | dict(env or {}),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        hint = install_line([argv[0]]) if argv[0] in TOOLS else ""
        raise Refused(f"{argv[0]} is not installed", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{argv[0]} was not done after {timeout_s:.0f} s") from error
    if check and done.returncode:
        output = (done.stderr or done.stdout).decode("utf-8", "replace")
        raise CommandFailed(
            f"{argv[0]} ended with {done.returncode}", argv=argv, code=done.returncode, output=output
        )
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def clean_environment() -> dict[str, str]:
    """Return what programs get: a path, the C locale, and the workstation's proxies."""
    kept = {
        name: os.environ[name] for key in _ENVIRONMENT for name in (key, key.upper()) if name in os.environ
    }
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
    } | kept


def script(name: str) -> str:
    """Return the text of one of the constant shell scripts in `scripts/`."""
    return resources.files(__package__).joinpath("scripts", name).read_text("utf-8")


def refuse_unless_able() -> None:
    """Raise `Refused`, saying exactly what is missing, where the lab can't work on this workstation."""
    if sys.platform != "linux":
        raise Refused(
            f"the lab needs Linux, this is {sys.platform}", hint="Run it in a virtual machine with Debian 12."
        )
    if shutil.which("apt-get", path=clean_environment()["PATH"]) is None:
        hint = "Run it in a virtual machine with Debian 12."
        raise Refused("the lab needs Debian: its machines are made with what apt is set to", hint=hint)
    if os.geteuid() != 0:
        raise Refused(
            "the lab needs root: it mounts, makes network devices and boots machines",
            hint="Run it with sudo.",
        )
    missing = missing_tools()
    if missing:
        raise Refused(f"the lab needs {', '.join(missing)}", hint=install_line(missing))


def missing_tools() -> list[str]:
    """Return the names of the programs that the lab needs and this workstation does not have."""
    path = clean_environment()["PATH"]
    return [tool for tool in TOOLS if shutil.which(tool, path=path) is None]


def install_line(tools: Sequence[str]) -> str:
    """Return the command that installs these programs."""
    return "apt-get install -y " + " ".join(sorted({TOOLS[tool] for tool in tools}))


def has_systemd() -> bool:
    """Whether the workstation's own PID 1 is systemd (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def wait_until(condition: Callable[[], bool], *, timeout_s: float, step_s: float = 0.2) -> bool:
    """Ask again and again until the condition holds or the time is over; return whether it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step_s)
    return True
