"""The constant scripts that run on machines; values reach them as positional arguments and stdin."""

from functools import cache
from importlib.resources import files


@cache
def script(name: str) -> str:
    """Return the text of ``<name>.sh``."""
    return files(__name__).joinpath(f"{name}.sh").read_text(encoding="utf-8")
