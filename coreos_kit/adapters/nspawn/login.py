"""The command line that logs into a machine of a lab. Built, never run."""

import shlex
from collections.abc import Sequence

from coreos_kit.errors import KitError
from coreos_kit.model.lab import Lab, LabMachine


def ssh_argv(lab: Lab, machine: LabMachine, command: Sequence[str] = ()) -> list[str]:
    """Return the `ssh` that runs a command on a machine, or gives a login shell; nobody's ~/.ssh is read."""
    options = {
        "IdentityFile": str(lab.identity_file),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(lab.known_hosts_file),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": "10",
        "LogLevel": "ERROR",
    }
    argv = [
        "ssh",
        "-F",
        "none",
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
    ]
    argv.append(f"{lab.user}@{machine.private_ip}")
    return [*argv, shlex.join(command)] if command else argv


def machine_named(lab: Lab, name: str) -> LabMachine:
    """Return the machine of that name, the registry's included; raise where there is none."""
    machine = lab.try_machine(name)
    if machine is None:
        names = ", ".join(machine.name for machine in lab.all_machines)
        raise KitError(f"lab {lab.name} has no machine {name}", hint=f"Its machines are {names}.")
    return machine
