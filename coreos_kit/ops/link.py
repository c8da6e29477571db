"""instances/: a symlink for each instance and each sidekick, to the template unit that it is made of.

The kit's own links are known by their shape: `NAME@INSTANCE.service -> ../templates/NAME@.service`, to a
template that is the kit's, or is gone. Everything else in instances/ is somebody else's and stays as it is.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster, Project
from coreos_kit.model.services import Service
from coreos_kit.ops.files import read_text_inside, way_out
from coreos_kit.units.ownership import owner_of

INSTANCES = "instances"
TEMPLATES = "templates"
_FOLDERS = (INSTANCES, TEMPLATES, "static")


@dataclass(frozen=True, slots=True)
class LinkChanges:
    """What has to be done in instances/, by the names of the links."""

    created: tuple[str, ...] = ()  # in the configured order
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()  # not the kit's, and left alone

    @property
    def is_empty(self) -> bool:
        """Whether instances/ is as it should be."""
        return not self.created and not self.removed


def link_target(name: str) -> str:
    """Return where the link of an instance leads, e.g. ``../templates/apache@.service``."""
    return f"../{TEMPLATES}/{_template(name)}"


def plan_links(project: Project, cluster: Cluster) -> LinkChanges:
    """Compare instances/ with what the cluster runs, and with the workspace's own templates; change nothing.

    Raises `Refused`, with every problem, where a link would have to replace what the kit didn't make.
    """
    root = project.root
    problems = [
        f"{out} leads out of the workspace" for folder in _FOLDERS if (out := way_out(root, root / folder))
    ]
    folder = root / INSTANCES
    if not problems and folder.is_symlink():
        problems.append(f"{folder} is a symlink, and the links in it are relative")
    elif folder.exists() and not folder.is_dir():
        problems.append(f"{folder} is not a folder")
    if problems:
        _refuse(problems, root)
    found = _entries(folder)
    wanted = dict.fromkeys((*_names(cluster), *_own_names(project.unit_instances)))
    created, unchanged = [], []
    for name in wanted:
        target = found.get(name, "")
        if name not in found:
            created.append(name)
        elif target == link_target(name):
            unchanged.append(name)
        else:
            problems.append(f"{folder / name} {_what(target)}; wanted: a link to {link_target(name)}")
    if problems:
        _refuse(problems, root)
    others = found.keys() - wanted.keys()
    dropped = _the_kits_templates(root, {_template(name) for name in others})
    ours = {name for name in others if found[name] == link_target(name) and _template(name) in dropped}
    removed, foreign = sorted(ours), sorted(others - ours)
    return LinkChanges(tuple(created), tuple(removed), tuple(unchanged), tuple(foreign))


def apply_links(root: Path, changes: LinkChanges) -> None:
    """Make and remove the links of a plan. Safe to repeat, and to run beside another one."""
    if changes.is_empty:
        return
    folder = root / INSTANCES
    try:
        folder.mkdir(exist_ok=True)
        with _opened(folder) as descriptor:
            for name in changes.removed:
                _remove(name, descriptor)
            _create(changes.created, descriptor)
    except OSError as error:
        hint = f"Look at its permissions: ls -ld {folder}"
        raise KitError(f"{folder} can't be changed: {error.strerror or error}", hint=hint) from error


def _names(cluster: Cluster) -> Iterator[str]:
    """Give the names of all instances and sidekicks, in the configured order; a plain balancer has none."""
    for one in cluster.services + cluster.load_balancers:
        made_of = (one.template, one.sidekick) if isinstance(one, Service) else (one.unit_file,)
        templates = [str(template) for template in made_of if template]
        for instance in one.instances:
            for template in templates:
                yield template.replace("@.", f"@{instance}.", 1)


def _own_names(own: Mapping[UnitName, Sequence[str]]) -> Iterator[str]:
    return (
        str(template.instantiate(instance)) for template, instances in own.items() for instance in instances
    )


def _entries(folder: Path) -> dict[str, str]:
    """Return what stands in the folder: where each symlink leads, "" for what is none."""
    try:
        with os.scandir(folder) as entries:
            # The listing tells links from files, so only links cost a system call.
            return {
                entry.name: os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115 - twice as fast
                for entry in entries
            }
    except FileNotFoundError:
        return {}
    except OSError as error:
        hint = f"Look at its permissions: ls -ld {folder}"
        raise KitError(f"{folder} can't be read: {error.strerror or error}", hint=hint) from error


def _template(name: str) -> str:
    """Return the template's name, whatever the name is of; a name without an instance has none ("")."""
    stem, dot, type_ = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return f"{prefix}@.{type_}" if dot and at and instance else ""


def _the_kits_templates(root: Path, templates: Iterable[str]) -> frozenset[str]:
    """Return those templates that carry the kit's mark, or are gone: a hand-made one keeps its links."""
    folder = root / TEMPLATES
    return frozenset(
        template
        for template in templates
        if template
        and (
            not os.path.lexists(folder / template)
            or owner_of(read_text_inside(root, folder / template)).project
        )
    )


def _refuse(problems: list[str], root: Path) -> None:
    hint = f"Move them out of the way, then: coreos-kit --project {root} link"
    count = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    raise Refused(f"{count} in the way of {INSTANCES}/; nothing was touched", hint=hint, details=problems)


def _what(target: str) -> str:
    return f"leads to {target!r}" if target else "is no symlink"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    # Everything is done relative to this descriptor: the folder can't be swapped for a symlink meanwhile.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _create(names: Iterable[str], descriptor: int) -> None:
    """Make the links; those to one template are one inode under many names, where the file system can.

    ext4 looks long for a free inode where many were freed just before: 20,000 symlinks took 2.5 to 13 s made
    one by one (scaling down and up again), and 0.3 s this way. To whoever reads them there is no difference.
    """
    first: dict[str, str] = {}
    for name in names:
        target = link_target(name)
        try:
            if target not in first or not _linked(first[target], name, descriptor):
                os.symlink(target, name, dir_fd=descriptor)
            first.setdefault(target, name)
        except FileExistsError:
            if _target_at(name, descriptor) != target:
                raise


def _linked(source: str, name: str, descriptor: int) -> bool:
    try:
        os.link(source, name, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # too many names for one inode, or no such links here
        return False
    return True


def _remove(name: str, descriptor: int) -> None:
    if _target_at(name, descriptor) == link_target(name):
        os.unlink(name, dir_fd=descriptor)


def _target_at(name: str, descriptor: int) -> str:
    try:
        return os.readlink(name, dir_fd=descriptor)
    except OSError:  # no link, or gone: either way not ours to touch
        return ""
