"""What `adopt` read, and what can't come along."""

from pathlib import Path

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.ops.adopt import Adopted


def adopted(settings: Settings, directory: Path, found: Adopted) -> None:
    """Show it."""
    if settings.json:
        output.print_json(
            "adopt",
            {
                "workspace": directory,
                "files": sorted(found.files),
                "units": found.units,
                "left_out": found.left_out,
                "obstacles": found.obstacles,
            },
        )
        return
    output.line(f"adopted {output.counted(len(found.units), 'unit')} into {directory}")
    for line in found.left_out:
        output.line(f"left out: {line}")
    for line in found.obstacles:
        output.line(f"can't carry over: {line}")
    output.line(f"next: add a cluster to {directory / 'coreos-kit.toml'}, then coreos-kit plan --cluster NEW")
