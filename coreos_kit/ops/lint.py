"""Lint: read unit files, and say what is wrong with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.errors import KitError
from coreos_kit.units.lint import Finding, Severity, lint_units

FOLDERS = ("templates", "static", "instances")


@dataclass(frozen=True, slots=True)
class LintResult:
    """How many files were read, and what was found in them."""

    files: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors; warnings are allowed."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def lint(paths: Sequence[Path]) -> LintResult:
    """Check the files, and the unit files of the folders; raises `KitError` for a path that can't be read."""
    texts = {str(file): _read(file) for path in paths for file in _files(path)}
    if not texts:
        raise KitError(
            f"no unit files in {', '.join(str(path) for path in paths)}",
            hint="Render them: coreos-kit render",
        )
    return LintResult(len(texts), lint_units(texts))


def lint_workspace(root: Path) -> LintResult:
    """Check templates/, static/ and instances/ of a workspace."""
    folders = [folder for name in FOLDERS if (folder := root / name).is_dir()]
    if not folders:
        raise KitError(f"{root} has nothing rendered", hint="Render it: coreos-kit render && coreos-kit link")
    return lint(folders)


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise KitError(f"there is no {path}", hint="Name a unit file or a folder of them.")
    if path.is_dir():
        yield from (
            file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")
        )
    else:
        yield path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise KitError(f"{path} can't be read: {error.strerror or error}") from error
