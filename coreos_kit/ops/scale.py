"""Scale a service: change its `instances` in coreos-kit.toml, and what is rendered and linked from it."""

import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from coreos_kit.config import FILE_NAME, parse_project
from coreos_kit.config.addresses import HIGHEST_PORT
from coreos_kit.config.editing import KeyPath, NotEditable, resized
from coreos_kit.config.lines import shown
from coreos_kit.errors import Refused, UsageError
from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Service, is_port
from coreos_kit.ops.files import way_out, write_atomically
from coreos_kit.ops.link import LinkChanges, apply_links, plan_links
from coreos_kit.ops.render import RenderChanges, apply_render, plan_render
from coreos_kit.spelling import nearest


@dataclass(frozen=True, slots=True)
class Scaling:
    """What `scale` has to do; where nothing changes, `before` and `after` are the same."""

    service: str
    key: str  # of the list in coreos-kit.toml, e.g. clusters.production.services.apache.instances
    clusters: tuple[str, ...]  # that take their instances from there
    before: tuple[str, ...]
    after: tuple[str, ...]
    file: Path
    text: str  # of the file afterwards
    rendered: RenderChanges
    linked: LinkChanges

    @property
    def added(self) -> tuple[str, ...]:
        """The new instances."""
        return self.after[len(self.before) :]

    @property
    def removed(self) -> tuple[str, ...]:
        """The instances that go, the last in the list first."""
        return self.before[len(self.after) :][::-1]


def plan_scale(project: Project, cluster: Cluster, name: str, count: int) -> Scaling:
    """Work out the new list and all files that follow from it; change nothing.

    Raises `UsageError` for a service or a count that can't be meant, `Refused` where nobody can tell what a
    new instance is to be called, and whatever would be wrong with the workspace after the change.
    """
    service = _service(cluster, name)
    text = _text(project)
    tables = tomllib.loads(text)
    path = _path_of_instances(tables, cluster.name, name)
    if count < 1:
        raise _none_left(name)
    ports = _next_ports(project, service, shown(path), count - len(service.instances))
    if count != len(service.instances):
        text = _edited(text, path, [*_value(tables, path)[:count], *ports], project.file)
    changed = parse_project(text, project.root, file=project.file.name)
    default = changed.clusters[changed.default_cluster]
    after = changed.clusters[cluster.name].service(name)
    return Scaling(
        service=name,
        key=shown(path),
        clusters=tuple(_sharing(tables, project, cluster.name, path)),
        before=service.instances,
        after=after.instances if after else (),
        file=project.file,
        text=text,
        rendered=plan_render(changed, default),
        linked=plan_links(changed, default),
    )


def apply_scale(scaling: Scaling) -> None:
    """Write the configuration, then what is rendered and linked. Safe to repeat."""
    if scaling.before != scaling.after:
        file = Path(os.path.realpath(scaling.file))  # a symlink inside the workspace stays one
        mode = file.stat().st_mode & 0o777
        write_atomically(file, scaling.text, root=file.parent, mode=mode)
    apply_render(scaling.rendered)
    apply_links(scaling.file.parent, scaling.linked)


def _service(cluster: Cluster, name: str) -> Service:
    service = cluster.service(name)
    if service:
        return service
    names = [service.name for service in cluster.services]
    if any(balancer.name == name for balancer in cluster.load_balancers):
        hint = f'Several balancers have names: [load_balancers.{name}] instances = ["east", "west"]'
        raise UsageError(f"{name} is a load balancer, not a service", hint=hint)
    near = nearest(name, names, key=str.lower)
    raise UsageError(
        f"there is no service {name}", hint=f"Did you mean {near}?" if near else _services(names)
    )


def _services(names: Sequence[str]) -> str:
    return f"The services are {', '.join(names)}." if names else "The configuration has no service yet."


def _none_left(name: str) -> UsageError:
    return UsageError(
        f"{name} can't be scaled to none: the list would not say where to begin again",
        hint=f"Stop it with: coreos-kit stop --hold '{name}@*'. To take it away, delete its lines from"
        f" {FILE_NAME}; then: coreos-kit deploy --allow-remove {name}",
    )


def _text(project: Project) -> str:
    """Return the file as it is, ends of lines included."""
    if out := way_out(project.root, project.file):
        raise Refused(f"{out} leads out of {project.root}", hint="Replace it by the file that it points to.")
    return project.file.read_bytes().decode()


def _path_of_instances(tables: dict[str, Any], cluster: str, service: str) -> KeyPath:
    """Return the list that counts for the cluster: its own, where it has one."""
    override = ("clusters", cluster, "services", service, "instances")
    return override if _value(tables, override) is not None else ("services", service, "instances")


def _sharing(tables: dict[str, Any], project: Project, cluster: str, path: KeyPath) -> Iterator[str]:
    service = path[-2]
    for name in project.clusters:
        if name == cluster or _path_of_instances(tables, name, service) == path:
            yield name


def _value(tables: dict[str, Any], path: KeyPath) -> Any:
    inside: Any = tables
    for key in path:
        inside = inside.get(key) if isinstance(inside, dict) else None
    return inside


def _next_ports(project: Project, service: Service, key: str, count: int) -> tuple[int, ...]:
    """Return the next ports above the service's largest that nothing in the workspace has."""
    if count <= 0:
        return ()
    if not service.instances:
        raise Refused(
            f"{key} is empty: there is no port to count on from",
            hint=f"Write the first one into {FILE_NAME}: instances = [7777]",
        )
    words = [instance for instance in service.instances if not is_port(instance)]
    if words:
        raise Refused(
            f"{key} has names, {words[-1]} for one, and what the next is called is yours to say",
            hint=f"Add it to {key} in {FILE_NAME}, then: coreos-kit render && coreos-kit link",
        )
    taken = _taken_ports(project)
    largest = max(map(int, service.instances))
    free = (port for port in range(largest + 1, HIGHEST_PORT + 1) if port not in taken)
    ports = tuple(islice(free, count))
    if len(ports) < count:
        left = f"only {len(ports)}" if ports else "none"
        raise Refused(
            f"{key} needs {count} more ports above {largest}, and {left} up to {HIGHEST_PORT} are free",
            hint=f"Write the list by hand, with lower ports, into {FILE_NAME}.",
        )
    return ports


def _taken_ports(project: Project) -> frozenset[int]:
    """Return what services, balancers and etcd listen on, in whichever cluster."""
    taken: set[int] = set()
    for cluster in project.clusters.values():
        taken.add(cluster.profile.etcd_port)
        taken.update(balancer.port for balancer in cluster.load_balancers)
        for service in cluster.services:
            taken.update(int(instance) for instance in service.instances if is_port(instance))
    return frozenset(taken)


def _edited(text: str, path: KeyPath, wanted: Sequence[int | str], file: Path) -> str:
    try:
        return resized(text, path, wanted)
    except NotEditable as error:
        written = ", ".join(json.dumps(element) for element in wanted)
        raise Refused(
            f"{shown(path)} in {file.name} can't be changed without touching the rest of the file",
            hint=f"Write it by hand: instances = [{written}]",
        ) from error
