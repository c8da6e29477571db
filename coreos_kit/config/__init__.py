"""coreos-kit.toml -> `model.Project`, strictly: every error at once, each with its place."""

from coreos_kit.config.loading import FILE_NAME, load_project, parse_project

__all__ = ["FILE_NAME", "load_project", "parse_project"]
