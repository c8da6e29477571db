"""A service or balancer as one cluster has it: what the file says, with the cluster's overrides on top."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coreos_kit.config.findings import Place
from coreos_kit.config.reading import Fields, merged
from coreos_kit.model.services import (
    Confd,
    Health,
    HealthKind,
    LoadBalancer,
    Registration,
    Requirements,
    Rollout,
    Service,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Checked fields, and where each was written."""

    name: str
    fields: Fields
    base: Place
    override: Place
    overridden: Mapping[str, Any]

    def place(self, *keys: str) -> Place:
        """Return where the value of a key was written: in the cluster's override or in the service."""
        inside: object = self.overridden
        for key in keys:
            if not isinstance(inside, Mapping) or key not in inside:
                return self.base.at(*keys)
            inside = inside[key]
        return self.override.at(*keys)

    def is_sound(self, *keys: str) -> bool:
        """Whether nothing about the value of a key was refused, so that it can be compared with others."""
        places = (self.base.at(*keys), self.override.at(*keys))
        return all(place.findings.is_sound(place.path) for place in places)


def entry(name: str, base: Fields, overridden: Fields, *, at: Place, override_at: Place) -> Entry:
    """Lay a cluster's override over a service or balancer."""
    return Entry(name, merged(base, overridden) if overridden else base, at, override_at, overridden)


def service_of(found: Entry) -> Service:
    """Return the service that the fields make, with the defaults for what is not there."""
    fields = found.fields
    registration = fields.get("registration")
    return Service(
        name=found.name,
        image=fields.get("image", ""),
        command=fields.get("command", ""),
        container_port=fields.get("container_port"),
        instances=fields.get("instances", ()),
        requirements=_requirements(fields),
        health=_health(fields.get("health", {}), has_port="container_port" in fields),
        registration=None if registration is None else _registration(found.name, registration),
        rollout=Rollout(**fields.get("rollout", {})),
        **_given(fields, "env", "secrets", "volumes", "run_args", "stop_timeout_s", "stop_signal"),
    )


def load_balancer_of(found: Entry) -> LoadBalancer:
    """Return the balancer that the fields make, with the defaults for what is not there."""
    fields = found.fields
    confd = dict(fields.get("confd", {}))
    if "confd_interval_s" in fields:
        confd["interval_s"] = fields["confd_interval_s"]
    return LoadBalancer(
        name=found.name,
        image=fields.get("image", ""),
        upstream=fields.get("upstream", ""),
        confd=Confd(**confd),
        requirements=_requirements(fields),
        **_given(
            fields, "port", "bind", "watcher", "instances", "env", "volumes", "run_args", "stop_timeout_s"
        ),
    )


def _given(fields: Fields, *keys: str) -> Fields:
    return {key: fields[key] for key in keys if key in fields}


def _requirements(fields: Fields) -> Requirements:
    return Requirements(
        conflicts=fields.get("conflicts", ()),
        machine_metadata=fields.get("machine_metadata", ()),
        machine_id=fields.get("machine_id", ""),
        is_global=fields.get("global", False),
    )


def _health(fields: Fields, *, has_port: bool) -> Health:
    default: Fields = {} if has_port else {"kind": HealthKind.NONE}  # without a port there is nothing to ask
    return Health(**(default | fields))


def _registration(name: str, fields: Fields) -> Registration:
    default: Fields = {"prefix": f"/services/{name}"}
    return Registration(**(default | fields))
