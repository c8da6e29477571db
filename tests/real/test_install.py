"""The package as pip installs it: into an empty environment, used far from the checkout, without root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
# Root's number without any of root's powers, which can still read an interpreter below /root.
POWERLESS = (
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
)


def run(*argv: str | Path, cwd: Path) -> str:
    words = [str(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def coreos_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of an environment that holds nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(
        ROOT,
        source,
        symlinks=True,
        ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__"),
    )
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run(*pip, "--constraint", ROOT / "constraints.txt", source, cwd=folder)
    return folder / "venv/bin/coreos-kit"


def test_a_workspace_is_made_rendered_linked_and_linted_without_root(
    coreos_kit: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = tmp_path_factory.mktemp("elsewhere")

    run(*POWERLESS, coreos_kit, "init", cwd=workspace)
    run(*POWERLESS, coreos_kit, "render", "--check", cwd=workspace)
    run(*POWERLESS, coreos_kit, "link", "--check", cwd=workspace)
    linted = run(*POWERLESS, coreos_kit, "lint", cwd=workspace)

    assert "0 errors" in linted
    for example in ("coreos-kit.toml", "templates/apache@.service", "static/nginx_lb.service"):
        assert (workspace / example).read_bytes() == (ROOT / example).read_bytes()
    assert (workspace / "instances/apache@7777.service").readlink() == Path("../templates/apache@.service")
