"""A new workspace: a copy of the example's sources; and all that is rendered and linked from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.project import Cluster, Project
from coreos_kit.ops.files import way_out, write_atomically
from coreos_kit.ops.link import apply_links, plan_links
from coreos_kit.ops.render import apply_render, plan_render

# The same names lie at the root of a checkout and, in a wheel, in coreos_kit/example (see pyproject.toml).
_SOURCES = ("coreos-kit.toml", "unit_templates", "images")
_PROGRAM, _FILE = 0o755, 0o644


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `init` did, by paths relative to the workspace."""

    root: Path
    written: tuple[str, ...]
    unchanged: tuple[str, ...]


def example_files() -> Mapping[str, bytes]:
    """Return the example's sources by relative path, in order."""
    folder = _example()
    return dict(sorted(_walk(folder, "", _SOURCES)))


def init(target: Path) -> InitResult:
    """Write the example's sources to `target`; what is there already and the same stays. Safe to repeat.

    Raises `Refused`, with every file and nothing written, where one differs or a symlink leads out.
    """
    if target.exists() and not target.is_dir():
        raise Refused(f"{target} is not a folder", hint="Name another: coreos-kit init DIR")
    root = target.resolve()
    sources = example_files()
    problems = {name: problem for name, data in sources.items() if (problem := _problem(root, name, data))}
    if problems:
        count = "1 file is" if len(problems) == 1 else f"{len(problems)} files are"
        raise Refused(
            f"{count} in the way of a new workspace in {root}; nothing was written",
            hint="Move them away, or write the workspace elsewhere: coreos-kit init DIR",
            details=list(problems.values()),
        )
    there = {name for name in sources if (root / name).exists()}
    missing = tuple(name for name in sources if name not in there)
    for name in missing:
        data = sources[name]
        # A wheel does not promise to keep modes, so a script is known by its first line.
        mode = _PROGRAM if data.startswith(b"#!") else _FILE
        write_atomically(root / name, data, root=root, mode=mode)
    return InitResult(root, missing, tuple(name for name in sources if name in there))


def render_and_link(project: Project, cluster: Cluster) -> None:
    """Write templates/, static/ and instances/ of a workspace. Safe to repeat."""
    apply_render(plan_render(project, cluster))
    apply_links(project.root, plan_links(project, cluster))


def _example() -> Traversable:
    package = files("coreos_kit")
    checkout = Path(__file__).parents[2]
    for folder in (package / "example", checkout):
        if (folder / _SOURCES[0]).is_file():
            return folder
    hint = "Install the kit again: pip install --force-reinstall coreos-kit"
    raise KitError("the example workspace is missing from this installation", hint=hint)


def _walk(folder: Traversable, prefix: str, names: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        if names and item.name not in names:
            continue
        if item.name.startswith(".") or item.name == "__pycache__":
            continue
        path = f"{prefix}{item.name}"
        if item.is_dir():
            yield from _walk(item, f"{path}/")
        else:
            yield path, item.read_bytes()


def _problem(root: Path, name: str, data: bytes) -> str | None:
    path = root / name
    if out := way_out(root, path):
        return f"{out.relative_to(root)} leads out of it"
    for folder in reversed(path.relative_to(root).parents[:-1]):
        if (root / folder).exists() and not (root / folder).is_dir():
            return f"{folder} is not a folder"
    if path.is_symlink() and not path.exists():
        return f"{name} is a symlink to nothing"
    if not path.exists():
        return None
    if not path.is_file():
        return f"{name} is not a file"
    try:
        return None if path.read_bytes() == data else f"{name} differs"
    except OSError as error:
        return f"{name} can't be read: {error.strerror}"
