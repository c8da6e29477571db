"""How units name the secret files of their machine: by path, never by content."""

from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Service
from coreos_kit.units.secret_files import ETCD, LOGINS, REGISTRY, env_file, folder

_ETCD_FILES = "/etc/coreos-kit/etcd"  # inside the balancer's container


def secret_arguments(project: Project, service: Service) -> list[str]:
    """Return what gives a service's container its secrets; deploy puts the file's digest into its name."""
    return [f"--env-file {env_file(project.name, service.name)}"] if service.secrets else []


def etcd_arguments(project: Project, cluster: Cluster) -> list[str]:
    """Return what a watcher needs beyond an address: the folder, so that a renewed file is seen."""
    words = ["-e ETCD_SCHEME=https"] if cluster.etcd.is_secure else []
    if cluster.etcd.needs_files:
        here = f"{folder(project.name)}/{ETCD}"
        # z: with SELinux, as podman's systems have it, a container reads only what is labelled for it.
        options = "ro,z" if cluster.profile.engine == "podman" else "ro"
        words += [f"-e ETCD_FILES={_ETCD_FILES}", f"-v {here}:{_ETCD_FILES}:{options}"]
    return words


def login_variable(project: Project, cluster: Cluster) -> str:
    """Return the variable that tells docker or podman where the registry's login lies; "" without one."""
    if cluster.registry is None:
        return ""
    if cluster.profile.engine == "podman":
        return f"REGISTRY_AUTH_FILE={folder(project.name)}/{LOGINS}"
    return f"DOCKER_CONFIG={folder(project.name)}/{REGISTRY}"
