"""What `ports.Checkout` promises, of git on this machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

from coreos_kit.adapters.git import GitCheckout
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.model.release import Revision
from coreos_kit.testing.runner import FakeRunner

NOWHERE = "0" * 40


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, and a workspace in a folder of it."""
    if not shutil.which("git"):
        pytest.skip("apt-get install git")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    workspace = tmp_path / "repository/web"
    workspace.mkdir(parents=True)
    git(workspace, "init", "-q", "..")
    for text in ("one", "two"):
        (workspace / "file").write_text(text)
        git(workspace, "add", ".")
        git(workspace, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", text)
    return workspace


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


def test_the_revision_is_the_commit_that_is_checked_out(root: Path) -> None:
    assert GitCheckout(root, LocalRunner()).revision() == Revision(git(root, "rev-parse", "HEAD"))


def test_edits_in_the_workspace_are_seen_and_others_are_not(root: Path) -> None:
    (root.parent / "elsewhere").write_text("x")
    clean = GitCheckout(root, LocalRunner()).revision()
    (root / "new").write_text("x")

    assert clean.is_dirty is False
    assert GitCheckout(root, LocalRunner()).revision().is_dirty is True


def test_a_commit_that_comes_after_what_is_checked_out_makes_it_older(root: Path) -> None:
    checkout = GitCheckout(root, LocalRunner())
    first, second = git(root, "rev-parse", "HEAD~"), git(root, "rev-parse", "HEAD")

    same, newer = checkout.is_older_than(second), checkout.is_older_than(first)
    git(root, "checkout", "-q", first)
    older = checkout.is_older_than(second)

    assert (same, newer, older) == (False, False, True)


def test_called_by_a_hook_of_another_repository_it_is_the_workspaces_own_that_counts(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = git(root, "rev-parse", "HEAD~"), git(root, "rev-parse", "HEAD")
    git(tmp_path, "init", "-q", "--bare", "other.git")
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY"):  # as git tells its hooks where they are
        monkeypatch.setenv(name, str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))

    checkout = GitCheckout(root, LocalRunner())

    assert checkout.revision() == Revision(second)
    assert checkout.is_older_than(first) is False


@pytest.mark.parametrize("commit", ["", NOWHERE, "HEAD", "--output=/tmp/x", "main", "0" * 39, "g" * 40])
def test_what_git_does_not_know_and_what_is_no_commit_can_not_be_told(root: Path, commit: str) -> None:
    assert GitCheckout(root, LocalRunner()).is_older_than(commit) is None


def test_without_git_or_outside_of_it_there_is_no_revision(tmp_path: Path) -> None:
    assert GitCheckout(tmp_path, FakeRunner("")).revision() == Revision()
    assert GitCheckout(tmp_path, FakeRunner("")).is_older_than(NOWHERE) is None
    assert GitCheckout(Path("/"), LocalRunner()).revision() == Revision()
