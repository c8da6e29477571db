"""Units from templates: which file renders which unit, and which units a cluster is to have.

`service@`, `sidekick@` and `load_balancer` serve every service and balancer. A file named after a unit
(`apache@.service.j2`) takes their place for that unit; one named after none is a unit of the workspace's own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.profile import Profile
from coreos_kit.model.project import Cluster, Project
from coreos_kit.units import values
from coreos_kit.units.escape import MAX_LINE_BYTES
from coreos_kit.units.ownership import SECTION
from coreos_kit.units.sources import FOLDER, SUFFIX
from coreos_kit.units.unit_file import UnitFile

if TYPE_CHECKING:
    from coreos_kit.units.templating import Templates

TEMPLATES = "templates"
STATIC = "static"

SERVICE_SOURCE = "service@.service.j2"
SIDEKICK_SOURCE = "sidekick@.service.j2"
LOAD_BALANCER_SOURCE = "load_balancer.service.j2"
_GENERIC = frozenset({SERVICE_SOURCE, SIDEKICK_SOURCE, LOAD_BALANCER_SOURCE})


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A unit file of the workspace: a template unit, or a plain one."""

    folder: str  # templates | static
    name: UnitName
    text: str
    service: str  # or balancer, or the own unit's prefix
    source: str  # e.g. unit_templates/service@.service.j2
    kind: UnitKind
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blueprint:
    """A unit before it is rendered."""

    name: UnitName
    source: str
    service: str
    kind: UnitKind
    values: Callable[[], values.Values]
    image: str = ""


def render_files(project: Project, cluster: Cluster, sources: Mapping[str, str]) -> tuple[RenderedFile, ...]:
    """Render every unit file of a cluster: services in the configured order, own units, balancers last.

    `sources` maps the names of unit_templates/ to their texts. Raises `InvalidUnit` with file and line.
    """
    from coreos_kit.units.templating import Templates  # jinja2, which most commands can do without

    templates = Templates(sources)
    references = [
        *(service.image for service in cluster.services),
        *(balancer.image for balancer in cluster.load_balancers),
    ]
    known = {values.image_of(project, cluster.profile, image) for image in references}
    return tuple(
        _render(project, cluster.profile, templates, blueprint, known)
        for blueprint in _blueprints(project, cluster, sources)
    )


def desired_units(project: Project, cluster: Cluster, sources: Mapping[str, str]) -> tuple[DesiredUnit, ...]:
    """Return every unit that the cluster is to run, in the configured order.

    Each instance comes before its sidekick, the balancers last.
    An instance's text is its template's, unexpanded, as fleet has it; all instances share one string.
    """
    files = render_files(project, cluster, sources)
    instances = {service.name: service.instances for service in cluster.services}
    units: list[DesiredUnit] = []
    for service, names in instances.items():
        of_service = [file for file in files if file.service == service and file.folder == TEMPLATES]
        units += [
            _desired(file, file.name.instantiate(instance)) for instance in names for file in of_service
        ]
    for file in files:
        if file.kind is UnitKind.EXTRA and file.folder == TEMPLATES:
            names = project.unit_instances[file.name]
            units += [_desired(file, file.name.instantiate(instance)) for instance in names]
    units += [
        _desired(file, file.name)
        for file in files
        if file.folder == STATIC and file.kind is not UnitKind.LOAD_BALANCER
    ]
    running = {balancer.unit_file: balancer.units() for balancer in cluster.load_balancers}
    units += [_desired(file, name) for file in files for name in running.get(file.name, ())]
    return tuple(units)


def _desired(file: RenderedFile, name: UnitName) -> DesiredUnit:
    return DesiredUnit(name, file.text, file.service, file.kind, file.images)


def _blueprints(project: Project, cluster: Cluster, sources: Mapping[str, str]) -> Iterator[_Blueprint]:
    taken = set(_GENERIC)

    def source(name: UnitName, generic: str) -> str:
        own = f"{name}{SUFFIX}"
        if own in sources and own not in _GENERIC:
            taken.add(own)
            return own
        return generic

    services, balancers = [], []
    for service in cluster.services:
        image = values.image_of(project, cluster.profile, service.image)
        services.append(
            _Blueprint(
                service.template,
                source(service.template, SERVICE_SOURCE),
                service.name,
                UnitKind.MAIN,
                partial(values.service_values, project, cluster, service),
                image,
            )
        )
        if service.sidekick:
            services.append(
                _Blueprint(
                    service.sidekick,
                    source(service.sidekick, SIDEKICK_SOURCE),
                    service.name,
                    UnitKind.SIDEKICK,
                    partial(values.sidekick_values, project, cluster, service),
                )
            )
    for balancer in cluster.load_balancers:
        balancers.append(
            _Blueprint(
                balancer.unit_file,
                source(balancer.unit_file, LOAD_BALANCER_SOURCE),
                balancer.name,
                UnitKind.LOAD_BALANCER,
                partial(values.load_balancer_values, project, cluster, balancer),
                values.image_of(project, cluster.profile, balancer.image),
            )
        )
    yield from services
    for own in sorted(sources.keys() - taken):
        if not own.startswith("_"):  # a file for other templates to include
            name = _own_unit(own, project)
            yield _Blueprint(
                name, own, name.prefix, UnitKind.EXTRA, partial(values.extra_values, project, cluster)
            )
    yield from balancers


def _own_unit(source: str, project: Project) -> UnitName:
    try:
        name = UnitName.parse(source.removesuffix(SUFFIX))
    except InvalidUnit as error:
        hint = f"Name it after the unit it makes: cron.service{SUFFIX}; a file only to include, _{source}."
        raise InvalidUnit(f"{FOLDER}/{source} names no unit: {error}", hint=hint) from error
    if name.is_template and name not in project.unit_instances:
        raise InvalidUnit(
            f"{FOLDER}/{source} is the template of no service",
            hint=f"Name it after a service, or after a plain unit: {name.prefix}.{name.type}{SUFFIX};"
            " or list its instances in [units].",
        )
    return name


def _render(
    project: Project, profile: Profile, templates: "Templates", blueprint: _Blueprint, known: set[str]
) -> RenderedFile:
    named: list[str] = []

    def image(name: str) -> str:
        named.append(values.image_of(project, profile, name))
        return named[-1]

    # An own unit names its images through the function; the others have one, by name.
    context = {"image": blueprint.image or image, **blueprint.values()}
    text = templates.render(blueprint.source, context)
    source = f"{FOLDER}/{blueprint.source}"
    _refuse_long_lines(text, source, blueprint.name)
    unit = UnitFile.parse(text).with_section(
        SECTION, [("Project", project.name), ("Service", blueprint.service)]
    )
    images = tuple(
        reference
        for reference in dict.fromkeys([blueprint.image, *named, *sorted(known)])
        if reference and unit.replace_word(reference, "").text != unit.text
    )
    folder = TEMPLATES if blueprint.name.is_template else STATIC
    return RenderedFile(folder, blueprint.name, unit.text, blueprint.service, source, blueprint.kind, images)


def _refuse_long_lines(text: str, source: str, name: UnitName) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if (size := len(line.encode())) >= MAX_LINE_BYTES:
            raise InvalidUnit(
                f"{name}: line {number} has {size} bytes, and fleet takes fewer than {MAX_LINE_BYTES}",
                details=[f"rendered from {source}", f"it begins: {line[:60]}"],
                hint="Move a long value into a file, and mount it as a volume.",
            )
