"""Files and links to put into a machine's root: built by pure functions, written here in one go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a file and its mode."""

    content: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Tree:
    """What should be there, by paths relative to the root, and what should not."""

    files: Mapping[str, Text] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def __or__(self, other: "Tree") -> "Tree":
        """Return both; where they differ, `other` wins."""
        there = self.files.keys() | self.links.keys() | other.files.keys() | other.links.keys()
        return Tree(
            files={**{k: v for k, v in self.files.items() if k not in other.links}, **other.files},
            links={**{k: v for k, v in self.links.items() if k not in other.files}, **other.links},
            absent=(self.absent | other.absent) - there,
        )


def enabled(unit: str, target: str = "multi-user.target") -> dict[str, str]:
    """Return the link that `systemctl enable` makes for a unit in /etc."""
    return {f"etc/systemd/system/{target}.wants/{unit}": f"/etc/systemd/system/{unit}"}


def shipped(unit: str, target: str = "multi-user.target") -> dict[str, str]:
    """Return the link that `systemctl enable` makes for a unit that a package ships."""
    return {f"etc/systemd/system/{target}.wants/{unit}": f"/lib/systemd/system/{unit}"}


def differs(root: Path, tree: Tree) -> bool:
    """Whether `write_tree` would change anything."""
    return (
        any(_is_there(root / path) for path in tree.absent)
        or any(not _holds(root / path, text) for path, text in tree.files.items())
        or any(not _leads_to(root / path, target) for path, target in tree.links.items())
    )


def write_tree(root: Path, tree: Tree) -> bool:
    """Make a root as the tree says and return whether anything had to be changed."""
    changes = [_remove(root / path) for path in sorted(tree.absent)]
    changes += [_write(root / path, text) for path, text in tree.files.items()]
    changes += [_link(root / path, target) for path, target in tree.links.items()]
    return any(changes)


def _remove(file: Path) -> bool:
    there = _is_there(file)
    file.unlink(missing_ok=True)
    return there


def _write(file: Path, text: Text) -> bool:
    if _holds(file, text):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_text(text.content, "utf-8")
    part.chmod(text.mode)
    part.replace(file)
    return True


def _link(file: Path, target: str) -> bool:
    if _leads_to(file, target):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.symlink_to(target)
    return True


def _is_there(file: Path) -> bool:
    return file.is_symlink() or file.exists()


def _holds(file: Path, text: Text) -> bool:
    return not file.is_symlink() and file.exists() and file.read_text("utf-8") == text.content


def _leads_to(file: Path, target: str) -> bool:
    return file.is_symlink() and str(file.readlink()) == target
