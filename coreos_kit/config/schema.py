"""The keys of coreos-kit.toml: which there are, and what reads each."""

from coreos_kit.config import addresses, instances, words
from coreos_kit.config.reading import (
    Reader,
    array_of,
    boolean,
    integer,
    mapping,
    member_of,
    one_of,
    table,
    words_of,
)
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import DriverKind, EtcdApi
from coreos_kit.model.services import Bind, HealthKind, KeyForm, Watcher

AUTO = "auto"
STOP_SIGNALS = (
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGKILL",
    "SIGRTMIN+3",
)
HOST_KEYS = ("strict", "accept-new")

_port = integer(1, addresses.HIGHEST_PORT)

PROJECT = {
    "name": words.name,
    "image_prefix": words.image_prefix,
    "default_cluster": words.name,
    "base_image": words.base_image,
    "base_images": mapping(r"[^\s]{1,255}", "the name of a folder in images/", words.base_image),
}

HEALTH = {
    "kind": member_of(HealthKind),
    "path": words.health_path,
    "timeout_s": integer(1, 60),
    "fall": integer(1, 100),
}

REGISTRATION = {
    "prefix": words.registration_prefix,
    "key": member_of(KeyForm),
    "ttl_s": integer(3, 86400),
    "renew_s": integer(1, 3600),
    "drain_s": integer(0, 3600),
}

ROLLOUT = {
    "max_unavailable": integer(1, 100),
    "pause_s": integer(0, 3600),
    "allow_downtime": boolean,
}

CONFD = {"path": words.path, "url": addresses.url, "sha256": words.sha256}

# What every unit may ask of its machine, and every container of docker.
_UNIT: dict[str, Reader] = {
    "image": words.image,
    "conflicts": array_of(words.conflict),
    "machine_metadata": array_of(words.metadata_pair),
    "machine_id": words.machine_id,
    "env": mapping(words.ENV_NAME, words.ENV_NAME_ALLOWED, words.env_value),
    "volumes": array_of(words.volume),
    "run_args": words_of(words.run_arg),
    "stop_timeout_s": integer(1, 3600),
}

SERVICE = _UNIT | {
    "command": words.command,
    "container_port": _port,
    "instances": instances.of_service,
    "secrets": mapping(words.ENV_NAME, words.ENV_NAME_ALLOWED, words.secret_name),
    "global": boolean,
    "stop_signal": one_of(STOP_SIGNALS),
    "health": table(HEALTH),
    "registration": table(REGISTRATION),
    "rollout": table(ROLLOUT),
}

LOAD_BALANCER = _UNIT | {
    "upstream": words.name,
    "instances": instances.of_balancer,
    "global": boolean,
    "port": _port,
    "bind": member_of(Bind),
    "watcher": member_of(Watcher),
    "confd": table(CONFD),
    "confd_interval_s": integer(1, 3600),
}

SERVICE_REQUIRED = {"image": "the name of a folder in images/"}
LOAD_BALANCER_REQUIRED = SERVICE_REQUIRED | {"upstream": "the name of a service with a registration"}

# Exactly one of them.
SECRET = {
    "env": words.env_name,
    "file": words.path,
    "command": words_of(words.command_word),
}

ETCD = {
    "api": one_of((AUTO, *EtcdApi)),
    "endpoints": array_of(addresses.endpoint),
    "ca": words.path,
    "cert": words.path,
    "key": words.path,
    "username": words.username,
    "password_file": words.path,
}

REGISTRY = {"username": words.username, "password_secret": words.secret_name}
REGISTRY_REQUIRED = {"username": "a user of the registry", "password_secret": "the name of a secret"}

MACHINE = {
    "ssh": addresses.destination,
    "metadata": mapping(words.METADATA_WORD, words.METADATA_ALLOWED, words.metadata_value),
    "private_ip": addresses.ipv4,
    "public_ip": addresses.ipv4,
}

CLUSTER = {
    "lab": words.lab_name,
    "profile": one_of(PROFILES),
    "driver": member_of(DriverKind),
    "network": table({"private": addresses.network}),
    "push_to": words.image_prefix,
    "host_keys": one_of(HOST_KEYS),
    "etcd": table(ETCD),
    "registry": table(REGISTRY, required=REGISTRY_REQUIRED),
}

# Read apart: machines come in two forms, and overrides are checked against what they override.
CLUSTER_TABLES = ("machines", "services", "load_balancers")
ROOT_TABLES = ("project", "services", "load_balancers", "units", "secrets", "clusters")
