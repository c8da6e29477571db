"""Waiting until a machine is what it should be: looked at from outside, as its users would."""

import http.client
import json
import socket
import time
from collections.abc import Callable

from coreos_kit.adapters.nspawn.dress import etcd_unit
from coreos_kit.adapters.nspawn.host import wait_until
from coreos_kit.adapters.nspawn.machine import Machine
from coreos_kit.adapters.nspawn.registry import Registry
from coreos_kit.errors import KitError, TimedOut

_BOOT_TIMEOUT_S = 90.0
_START_S = 3.0  # until its first process is there for certain


def wait_until_ready(machine: Machine, profile: str) -> None:
    """Wait for everything that a machine offers; raise `TimedOut` with the console's last lines."""
    checks: dict[str, Callable[[], bool]] = {"sshd": lambda: ssh_answers(machine.member.private_ip)}
    if machine.member == machine.lab.registry_machine:
        checks["the registry"] = Registry(machine.lab.registry).answers
    else:
        checks["docker"] = lambda: unit_is_active(machine, "docker.service")
        checks[etcd_unit(profile)] = lambda: etcd_is_healthy(machine.member.private_ip)
    started = time.monotonic()

    def gave_up() -> bool:
        return time.monotonic() - started > _START_S and not machine.processes()

    for what, check in checks.items():
        left_s = started + _BOOT_TIMEOUT_S - time.monotonic()
        seen = wait_until(_either(check, gave_up), timeout_s=left_s)
        hint = f"Its console's log is {machine.folder / 'console.log'}."
        if gave_up():
            raise _with_console(machine, f"{machine.member.name} stopped while it booted", hint)
        if not seen:
            raise _with_console(
                machine, f"{machine.member.name} runs no {what} after {_BOOT_TIMEOUT_S:.0f} s", hint
            )


def _either(first: Callable[[], bool], second: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: first() or second()


def ssh_answers(ip: str) -> bool:
    """Whether an SSH server says its name there."""
    try:
        with socket.create_connection((ip, 22), timeout=1) as connection:
            connection.sendall(b"SSH-2.0-coreos-kit-lab\r\n")  # or sshd logs an error at every look
            return connection.recv(256).startswith(b"SSH-")
    except OSError:
        return False


def etcd_is_healthy(ip: str) -> bool:
    """Whether etcd there has a leader and takes writes; through a gateway it is a member's answer."""
    connection = http.client.HTTPConnection(ip, 2379, timeout=2)
    try:
        connection.request("GET", "/health")
        return str(json.loads(connection.getresponse().read()).get("health")) == "true"
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def unit_is_active(machine: Machine, unit: str) -> bool:
    """Whether systemd in there says that the unit is active; False while it can't be asked."""
    try:
        return machine.run(["systemctl", "is-active", "--quiet", unit], check=False).code == 0
    except KitError:
        return False


def _with_console(machine: Machine, message: str, hint: str) -> TimedOut:
    error = TimedOut(message, hint=hint)
    error.details = tuple(machine.console().splitlines())
    return error
