"""What the templates of units place: every value worked out and escaped. Templates hold no logic."""

from collections.abc import Mapping, Sequence
from signal import Signals

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.image_names import fully_qualified
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import Dependency, Profile
from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Bind, HealthKind, LoadBalancer, Service, container_name, is_port
from coreos_kit.units import escape, secret_files, sidekick
from coreos_kit.units.placing import sidekick_x_fleet_lines, x_fleet_lines
from coreos_kit.units.pool_environment import PRIVATE_ADDRESS, pool_environment
from coreos_kit.units.secret_arguments import etcd_arguments, login_variable, secret_arguments

Values = Mapping[str, object]

PROJECT_LABEL = "coreos-kit.project"
UNIT_LABEL = "coreos-kit.unit"
BALANCER_COMMAND = "/usr/local/bin/confd-watch"

_PUBLIC_ADDRESS = "${COREOS_PUBLIC_IPV4}"
_DOCKERS_STOP_TIMEOUT_S = 10
_SYSTEMDS_STOP_LIMIT_S = 90
# Between the engine's own SIGKILL and systemd's.
_STOP_MARGIN_S = 10
_SIGTERM, _SIGKILL = 15, 9


def image_of(project: Project, profile: Profile, image: str) -> str:
    """Return the reference that a unit pulls and runs."""
    reference = project.image_reference(image)
    # podman would ask which registry a short name means, and a unit has nobody to ask.
    return fully_qualified(reference) if profile.engine == "podman" else reference


def service_values(project: Project, cluster: Cluster, service: Service) -> Values:
    """Return what a service's template unit is made of."""
    profile = cluster.profile
    publish = _instances_are_ports(service) and service.container_port is not None
    strong = profile.dependency is Dependency.REQUIRES
    bases = [*_etcd_units(cluster), *_engine_units(profile)]
    sidekicks = [str(_instance_of(service.sidekick))] if service.sidekick else []
    what = "web server service" if service.health.kind is HealthKind.HTTP else "service"
    arguments = [
        *_labels(project),
        *_engine_arguments(profile),
        *([f"--stop-signal={escape.argument(service.stop_signal)}"] if service.stop_signal else []),
        *secret_arguments(project, service),
        *_container_arguments(service.env, service.volumes, service.run_args),
    ]
    return {
        **_common(project, cluster),
        **_stopping(profile, service.stop_timeout_s, service.stop_signal),
        "service": service,
        "description": escape.line(f"{_title(service.name)} {what}") + f" {_on(service)}",
        "requires": [*bases, *sidekicks] if strong else [],
        "wants": [] if strong else [*bases, *sidekicks],
        "after": bases,
        "before": sidekicks,
        "needed_variables": [PRIVATE_ADDRESS] if publish else [],
        "container": container_name(_instance_of(service.template)),
        "publish": f" -p {PRIVATE_ADDRESS}:%i:{service.container_port}" if publish else "",
        "arguments": arguments,
        "image": escape.argument(image_of(project, profile, service.image)),
        "command": _leading_blank(escape.command(service.command)),
        "x_fleet": x_fleet_lines(service.requirements),
    }


def sidekick_values(project: Project, cluster: Cluster, service: Service) -> Values:
    """Return what a service's sidekick is made of; the service has a registration."""
    registration = service.registration
    if registration is None:
        raise ValueError(f"{service.name} has no registration")
    profile = cluster.profile
    etcd = sidekick.Etcd(cluster.etcd_api, cluster.etcd, secret_files.folder(project.name))
    strong = profile.dependency is Dependency.REQUIRES
    main = str(_instance_of(service.template))
    etcd_units = _etcd_units(cluster)
    what = "web server" if service.health.kind is HealthKind.HTTP else "service"
    loop = sidekick.loop_script(profile, etcd, registration, service.health)
    leave = sidekick.leave_script(profile, etcd, registration)
    stop_limit_s = registration.drain_s + sidekick.LEAVE_MARGIN_S
    return {
        **_common(project, cluster),
        "service": service,
        "description": escape.line(f"{_title(service.name)} {what}") + f" {_on(service)} etcd registration",
        "requires": [*etcd_units, main] if strong else [],
        "wants": [] if strong else etcd_units,
        "after": [*etcd_units, main],
        "main": main,
        "loop": escape.script(loop),
        "leave": escape.script(leave),
        "drain_s": registration.drain_s,
        "stop_limit_s": stop_limit_s if profile.restart or stop_limit_s > _SYSTEMDS_STOP_LIMIT_S else None,
        "x_fleet": sidekick_x_fleet_lines(service.requirements, main),
    }


def load_balancer_values(project: Project, cluster: Cluster, balancer: LoadBalancer) -> Values:
    """Return what a balancer's unit is made of."""
    profile, unit = cluster.profile, balancer.unit_file
    strong = profile.dependency is Dependency.REQUIRES
    bases = [*_etcd_units(cluster), *_engine_units(profile)]
    address = {Bind.PUBLIC: f"{_PUBLIC_ADDRESS}:", Bind.PRIVATE: f"{PRIVATE_ADDRESS}:", Bind.ANY: ""}[
        balancer.bind
    ]
    needed = dict.fromkeys([address.removesuffix(":"), PRIVATE_ADDRESS])
    arguments = [
        *_labels(project),
        *_engine_arguments(profile),
        *(f"-e {word}" for word in pool_environment(cluster, balancer)),
        *etcd_arguments(project, cluster),
        *_container_arguments(balancer.env, balancer.volumes, balancer.run_args),
    ]
    return {
        **_common(project, cluster),
        **_stopping(profile, balancer.stop_timeout_s, ""),
        "load_balancer": balancer,
        "description": "Nginx load balancer for web server backends" + (" %i" if balancer.instances else ""),
        "requires": bases if strong else [],
        "wants": [] if strong else bases,
        "after": bases,
        "needed_variables": [variable for variable in needed if variable],
        "container": container_name(_instance_of(unit) if unit.is_template else unit),
        "publish": f" -p {address}{balancer.port}:{balancer.port}",
        "arguments": arguments,
        "image": escape.argument(image_of(project, profile, balancer.image)),
        "command": f" {BALANCER_COMMAND}",
        "x_fleet": x_fleet_lines(balancer.requirements),
    }


def extra_values(project: Project, cluster: Cluster) -> Values:
    """Return what a unit of the workspace's own can place."""
    return {
        **_common(project, cluster),
        "etcd_units": _etcd_units(cluster),
        "engine_units": _engine_units(cluster.profile),
    }


def _common(project: Project, cluster: Cluster) -> Values:
    profile = cluster.profile
    return {
        "project": project.name,
        "profile": profile,
        "engine": profile.engine_path,
        "restart": profile.restart,
        "environment_file": profile.environment_file,
        "writes_environment_file": profile.writes_environment_file,
        "pull_may_fail": profile.pull_may_fail,
        "login_variable": login_variable(project, cluster),
    }


def _stopping(profile: Profile, stop_timeout_s: int, stop_signal: str) -> Values:
    stop_limit_s = stop_timeout_s + _STOP_MARGIN_S
    options = "" if stop_timeout_s == _DOCKERS_STOP_TIMEOUT_S else f" -t {stop_timeout_s}"
    number = Signals[f"SIG{stop_signal.removeprefix('SIG')}"].value if stop_signal else _SIGTERM
    return {
        "kill_mode": profile.kill_mode,
        "removes_container": bool(profile.restart),
        "stop_options": options,
        "stop_timeout_s": stop_timeout_s,
        "stop_limit_s": stop_limit_s if profile.restart or stop_limit_s > _SYSTEMDS_STOP_LIMIT_S else None,
        "stop_statuses": f"{128 + number} {128 + _SIGKILL}",
    }


def _container_arguments(
    env: Mapping[str, str], volumes: Sequence[str], run_args: Sequence[str]
) -> list[str]:
    return [
        *(f"-e {escape.argument(f'{name}={value}')}" for name, value in env.items()),
        *(f"-v {escape.argument(volume)}" for volume in volumes),
        *(escape.argument(word) for word in run_args),
    ]


def _labels(project: Project) -> list[str]:
    # Whose a container is: its name alone could be anybody's. systemd puts the unit's own name in for %n.
    return [f"--label {escape.argument(f'{PROJECT_LABEL}={project.name}')}", f"--label {UNIT_LABEL}=%n"]


def _engine_arguments(profile: Profile) -> list[str]:
    # Many commands ignore SIGTERM as a container's first process, and a stop would end in SIGKILL after 10 s.
    return ["--init"] if profile.init else []


def _etcd_units(cluster: Cluster) -> list[str]:
    # With etcd elsewhere there is no unit to wait for.
    return [] if cluster.etcd.endpoints else [cluster.profile.etcd_unit]


def _engine_units(profile: Profile) -> list[str]:
    return [profile.engine_unit] if profile.engine_unit else []


def _instances_are_ports(service: Service) -> bool:
    numbers = [instance for instance in service.instances if is_port(instance)]
    if numbers and len(numbers) < len(service.instances):
        words = ", ".join(instance for instance in service.instances if not is_port(instance))
        raise InvalidUnit(
            f"{service.template} is one text for all its instances, so it can't publish a port for some only",
            details=[f"not a port: {words}"],
            hint="Make two services of them.",
        )
    return bool(numbers) or not service.instances


def _on(service: Service) -> str:
    return "on port %i" if _instances_are_ports(service) and service.container_port else "%i"


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _leading_blank(text: str) -> str:
    return f" {text}" if text else ""


def _instance_of(template: UnitName | None) -> UnitName:
    if template is None:
        raise ValueError("no template unit")
    return template.instantiate("%i")
