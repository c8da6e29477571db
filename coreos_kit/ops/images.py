"""Build, push and list the images of a workspace."""

from collections.abc import Sequence
from dataclasses import dataclass

from coreos_kit.errors import UsageError
from coreos_kit.model.image_names import split_registry
from coreos_kit.model.project import Cluster, Project
from coreos_kit.ops.build_context import build_context, has_sources
from coreos_kit.ports import ImageBuilder, Progress
from coreos_kit.spelling import nearest


@dataclass(frozen=True, slots=True)
class BuildResult:
    """An image that was built: its name, what machines call it, and its id on the engine that built it."""

    image: str
    reference: str
    id: str


@dataclass(frozen=True, slots=True)
class PushResult:
    """An image that was pushed: where to, and the digest that the registry keeps it under."""

    image: str
    reference: str
    target: str
    digest: str


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image that the cluster's units run."""

    image: str
    reference: str
    target: str  # where push puts it
    has_sources: bool  # in images/
    id: str  # on the engine that was asked; "" when it is not there
    used_by: tuple[str, ...]


def build(
    project: Project, cluster: Cluster, names: Sequence[str], builder: ImageBuilder, progress: Progress
) -> tuple[BuildResult, ...]:
    """Build the images with these names, or all that have sources; stops at the first failure."""
    results: list[BuildResult] = []
    contexts = {image: build_context(project, cluster, image) for image in _chosen(project, cluster, names)}
    for image, context in contexts.items():
        reference = project.image_reference(image)
        progress(f"building {reference} on {builder.where} ({_size(len(context))} of sources)")
        results.append(BuildResult(image, reference, builder.build(context, reference, progress)))
    return tuple(results)


def push(
    project: Project, cluster: Cluster, names: Sequence[str], builder: ImageBuilder, progress: Progress
) -> tuple[PushResult, ...]:
    """Push the images with these names, or all that have sources."""
    results: list[PushResult] = []
    for image in _chosen(project, cluster, names):
        reference, target = project.image_reference(image), push_target(project, cluster, image)
        progress(f"pushing {target} from {builder.where}")
        results.append(PushResult(image, reference, target, builder.push(reference, target, progress)))
    return tuple(results)


def list_images(project: Project, cluster: Cluster, builder: ImageBuilder | None) -> tuple[ListedImage, ...]:
    """List the images that the cluster's units run; with an engine, also which of them it has."""
    return tuple(
        ListedImage(
            image=image,
            reference=project.image_reference(image),
            target=push_target(project, cluster, image),
            has_sources=has_sources(project, image),
            id=builder.image_id(project.image_reference(image)) if builder else "",
            used_by=users,
        )
        for image, users in cluster_images(cluster).items()
    )


def cluster_images(cluster: Cluster) -> dict[str, tuple[str, ...]]:
    """Return every image that the cluster runs, with the names of those that do, in the configured order."""
    users: dict[str, list[str]] = {}
    pairs = [(service.image, service.name) for service in cluster.services]
    for image, name in [*pairs, *((balancer.image, balancer.name) for balancer in cluster.load_balancers)]:
        users.setdefault(image, []).append(name)
    return {image: tuple(names) for image, names in users.items()}


def push_target(project: Project, cluster: Cluster, image: str) -> str:
    """Return where an image is pushed: its own registry, or the same path in the registry `push_to`."""
    reference = project.image_reference(image)
    if not cluster.push_to:
        return reference
    return f"{cluster.push_to.rstrip('/')}/{split_registry(reference)[1]}"


def _chosen(project: Project, cluster: Cluster, names: Sequence[str]) -> list[str]:
    """Return the images that are meant; a name may leave the tag out."""
    known = cluster_images(cluster)
    if not names:
        return [image for image in known if has_sources(project, image)]
    by_name = {key: image for image in known for key in (image, image.partition(":")[0])}
    for name in names:
        if name not in by_name:
            near = nearest(name, by_name)
            hint = f"Did you mean {near}?" if near else f"There are: {', '.join(sorted(known))}"
            raise UsageError(
                f"no service or balancer of cluster {cluster.name} uses an image {name}", hint=hint
            )
    return list(dict.fromkeys(by_name[name] for name in names))


def _size(count: int) -> str:
    return f"{count / 1024:.0f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"
