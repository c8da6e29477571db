"""Images, as tables and as JSON."""

import re
from collections.abc import Sequence

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.project import Cluster
from coreos_kit.ops.images import BuildResult, ListedImage, PushResult
from coreos_kit.ports import Progress

_MILESTONE = re.compile(r"(building|pushing) |STEP |Step |.*\bdigest: |Successfully ", re.ASCII)


def progress(settings: Settings) -> Progress:
    """Return what hears the engine's lines: the milestones get through, with -v all of them.

    Of a build that fails the last lines are shown with the error, so nothing is lost.
    """

    def hear(line: str) -> None:
        if settings.verbose or _MILESTONE.match(line):
            output.say(line)

    return hear


def built(settings: Settings, cluster: Cluster, results: Sequence[BuildResult]) -> None:
    """Show what was built."""
    if settings.json:
        output.print_json("image-build", {"cluster": cluster.name, "images": results})
        return
    output.table(["image", "reference", "id"], [[r.image, r.reference, r.id] for r in results])


def pushed(settings: Settings, cluster: Cluster, results: Sequence[PushResult]) -> None:
    """Show what was pushed."""
    if settings.json:
        output.print_json("image-push", {"cluster": cluster.name, "images": results})
        return
    output.table(["image", "pushed to", "digest"], [[r.image, r.target, r.digest] for r in results])


def listed(settings: Settings, cluster: Cluster, images: Sequence[ListedImage]) -> None:
    """Show the images of a cluster."""
    if settings.json:
        output.print_json("image-list", {"cluster": cluster.name, "images": images})
        return
    rows = [
        [
            image.image,
            image.reference,
            image.target,
            "images/" if image.has_sources else "-",
            image.id or "-",
            ", ".join(image.used_by),
        ]
        for image in images
    ]
    output.table(["image", "reference", "pushed to", "sources", "id", "used by"], rows)
