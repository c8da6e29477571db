"""Render: templates/ and static/ of a workspace from its configuration and unit_templates/."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.project import Cluster, Project
from coreos_kit.ops.files import read_text_inside, way_out, write_atomically
from coreos_kit.units.ownership import owner_of
from coreos_kit.units.render import STATIC, TEMPLATES, render_files
from coreos_kit.units.sources import FOLDER, SUFFIX


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not as it should be; `before` is None if it is missing, `after` if it has to go."""

    path: str  # relative to the folder that is rendered into, e.g. templates/apache@.service
    before: str | None
    after: str | None

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        lines = unified_diff(
            (self.before or "").splitlines(keepends=True),
            (self.after or "").splitlines(keepends=True),
            "/dev/null" if self.before is None else f"a/{self.path}",
            "/dev/null" if self.after is None else f"b/{self.path}",
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )


@dataclass(frozen=True, slots=True)
class RenderChanges:
    """What `render` has to do in `root`."""

    root: Path
    drift: tuple[FileChange, ...]  # as rendered, then what has to go
    unchanged: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether every file is as it should be."""
        return not self.drift


def read_sources(root: Path) -> dict[str, str]:
    """Return the texts of unit_templates/ by file name; what does not end in .j2 is not a template."""
    folder = root / FOLDER
    if not folder.is_dir():
        raise KitError(f"no folder {folder}", hint="Take it from a new workspace: coreos-kit init DIR")
    found = (path for path in sorted(folder.iterdir()) if path.name.endswith(SUFFIX) and path.is_file())
    return {path.name: read_text_inside(root, path) for path in found}


def plan_render(project: Project, cluster: Cluster, output: Path | None = None) -> RenderChanges:
    """Compare templates/ and static/ of `output` (None: the workspace) with what they should be.

    Changes nothing. Raises `InvalidUnit` for what can't be rendered, and `Refused`, with every file, where
    one would have to be overwritten that does not carry the project's mark.
    """
    root = (output or project.root).absolute()
    rendered = {
        f"{file.folder}/{file.name}": file.text
        for file in render_files(project, cluster, read_sources(project.root))
    }
    _refuse_ways_out(root)
    found = dict(_unit_files(root))
    foreign = [path for path in rendered if path in found and owner_of(found[path]).project != project.name]
    if foreign:
        raise Refused(
            f"{len(foreign)} of the files to render in {root} are not this project's; nothing was written",
            details=[f"{path} {_whose(found[path])}" for path in foreign],
            hint=f"Move it away: mv {root / foreign[0]} {root / foreign[0]}.old",
        )
    drift = [
        FileChange(path, found.get(path), text) for path, text in rendered.items() if found.get(path) != text
    ]
    drift += [
        FileChange(path, text, None)
        for path, text in found.items()
        if path not in rendered and owner_of(text).project == project.name
    ]
    unchanged = tuple(path for path, text in rendered.items() if found.get(path) == text)
    return RenderChanges(root, tuple(drift), unchanged)


def apply_render(changes: RenderChanges) -> None:
    """Write and remove the files of a plan, each as a whole or not at all. Safe to repeat."""
    if changes.drift:
        changes.root.mkdir(parents=True, exist_ok=True)
    for change in changes.drift:
        if change.after is not None:
            write_atomically(changes.root / change.path, change.after, root=changes.root)
        else:
            _remove(changes.root / change.path)


def _unit_files(root: Path) -> Iterator[tuple[str, str]]:
    for folder in (TEMPLATES, STATIC):
        if (root / folder).is_dir():
            for path in sorted((root / folder).iterdir()):
                if not path.name.startswith(".") and (path.is_file() or path.is_symlink()):
                    yield f"{folder}/{path.name}", _text(root, path)


def _text(root: Path, path: Path) -> str:
    # What can't be read as a unit is nobody's mark: it stays, and is refused where a unit has to stand.
    try:
        return read_text_inside(root, path)
    except KitError:
        return ""


def _refuse_ways_out(root: Path) -> None:
    out = [str(way) for folder in (TEMPLATES, STATIC) if (way := way_out(root, root / folder))]
    if out:
        raise Refused(
            f"{out[0]} leads out of {root}", hint=f"Replace it by a folder: rm {out[0]} && mkdir {out[0]}"
        )


def _whose(text: str) -> str:
    project = owner_of(text).project
    return f"is of project {project}" if project else "has no [X-CoreosKit] section of the kit"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        hint = f"Look at the permissions of its folder: ls -ld {path.parent}"
        raise KitError(f"{path} can't be removed: {error.strerror or error}", hint=hint) from error
