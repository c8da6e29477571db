"""tools/setup.sh: what takes long is said before it begins. What would change the system is a stub."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DO_NOTHING = "#!/bin/sh\nexit 0\n"
PYTHON = """\
#!/bin/sh
[ "$1 $2" != "-m venv" ] || { mkdir -p .venv/bin && cp "$0" .venv/bin/python; }
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the script, on a system where no package is installed."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/setup.sh").write_bytes((ROOT / "tools/setup.sh").read_bytes())
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    programs = {
        "dpkg-query": "#!/bin/sh\nexit 1\n",
        "python3": PYTHON,
        **dict.fromkeys(("apt-get", "env", "sudo"), DO_NOTHING),
    }
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def set_up(clone: Path, *what: str) -> list[str]:
    path = f"{clone / 'bin'}:{os.environ['PATH']}"
    argv = ["bash", "tools/setup.sh", *what]
    done = subprocess.run(argv, cwd=clone, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_packages_are_named_before_they_are_installed(clone: Path) -> None:
    missing = "systemd-container debootstrap iproute2 iptables openssh-client curl"

    assert set_up(clone, "lab") == [f"installing {missing} with apt-get (once; it may take a minute)"]


def test_an_environment_is_set_up_once_and_said_to_be(clone: Path) -> None:
    first, second = set_up(clone, "kit"), set_up(clone, "kit")

    assert first == ["setting up .venv, and what coreos-kit needs in it (once; it may take a minute)"]
    assert second == []
