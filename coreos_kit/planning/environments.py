"""The environment files that units read their machine's addresses from."""

from collections.abc import Mapping, Sequence

from coreos_kit.errors import Refused
from coreos_kit.model.cluster import ObservedMachine
from coreos_kit.model.project import Cluster
from coreos_kit.planning.refusals import listed


def environment_text(machine: ObservedMachine) -> str:
    """Write the environment file of a machine: the two names that units know it by."""
    return f"COREOS_PRIVATE_IPV4={machine.private_ip}\nCOREOS_PUBLIC_IPV4={machine.public_ip}\n"


def environments_of(cluster: Cluster, machines: Sequence[ObservedMachine]) -> Mapping[str, str]:
    """Return the environment files to write; refuse a machine whose private address is not known.

    Without it `docker run -p :7777:80` would publish a backend on every address of the machine.
    """
    if cluster.profile.writes_environment_file:
        nameless = [machine.name for machine in machines if not machine.private_ip]
        hint = f"Set clusters.{cluster.name}.network.private to the network that its machines share."
    else:
        nameless = [
            machine.name for machine in machines if not _names_private_address(machine.environment or "")
        ]
        hint = f"Write COREOS_PRIVATE_IPV4=… into {cluster.profile.environment_file} on it."
    if nameless:
        raise Refused(
            f"the private address of {listed(nameless)} is not known, so nothing was touched", hint=hint
        )
    if not cluster.profile.writes_environment_file:
        return {}
    return {
        machine.name: text
        for machine in machines
        if (text := environment_text(machine)) != machine.environment
    }


def _names_private_address(environment: str) -> bool:
    return any(
        line.startswith("COREOS_PRIVATE_IPV4=") and line.split("=", 1)[1].strip("\"' ")
        for line in environment.splitlines()
    )
