"""What deploy and lint say of templates/, static/ and instances/: people read those, deploy doesn't."""

from collections.abc import Iterator

from coreos_kit.errors import KitError
from coreos_kit.model.project import Project
from coreos_kit.ops.link import INSTANCES, plan_links
from coreos_kit.ops.render import plan_render
from coreos_kit.units.render import STATIC, TEMPLATES


def behind(project: Project) -> tuple[str, ...]:
    """Say where they are behind the configuration, or edited by hand; nothing for a workspace without them.

    Never raises: what can't be compared is said as well, and is no reason not to deploy.
    """
    if not any((project.root / folder).exists() for folder in (TEMPLATES, STATIC, INSTANCES)):
        return ()
    return tuple(_notes(project))


def _notes(project: Project) -> Iterator[str]:
    cluster = project.clusters[project.default_cluster]
    try:
        files = [change.path for change in plan_render(project, cluster).drift]
    except KitError as error:
        yield f"{TEMPLATES}/ and {STATIC}/ can't be compared with the configuration: {error}"
    else:
        if files:
            what = f"{_listed(files)} {_is(files)} behind the configuration, or edited by hand"
            yield f"{what}; deploy doesn't read such files (coreos-kit render --check --diff)"
    try:
        changes = plan_links(project, cluster)
    except KitError as error:
        yield f"{INSTANCES}/ can't be compared with the configuration: {error}"
    else:
        links = [f"{INSTANCES}/{name}" for name in (*changes.created, *changes.removed)]
        if links:
            yield f"{_listed(links)} {_is(links)} behind the configuration (coreos-kit link --check)"


def _listed(names: list[str], most: int = 3) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
