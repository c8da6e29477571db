"""The rendered units of every profile before systemd's own eyes."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.model.profile import PROFILES
from coreos_kit.units.render import desired_units

REPOSITORY = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}
# Programs that the machines have and this one may lack, and what the coreos profile has from the guide.
FORGIVEN = ("is not executable: No such file or directory", "Unit uses KillMode=none.")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("api", ["v2", "v3"])
def test_systemd_has_nothing_to_say_about_the_units(profile: str, api: str, tmp_path: Path) -> None:
    project = load_project(REPOSITORY)
    cluster = project.clusters["lab"]
    cluster = replace(
        cluster,
        profile=PROFILES[profile],
        etcd=replace(cluster.etcd, api=api),  # type: ignore[arg-type]
    )
    units = {str(unit.name): unit.text for unit in desired_units(project, cluster, SOURCES)}
    stubs = ("docker.service", "etcd.service", "etcd-member.service")
    for name, text in {**dict.fromkeys(stubs, "[Service]\nExecStart=/bin/true\n"), **units}.items():
        (tmp_path / name).write_text(text)

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", *(f"./{name}" for name in units)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    ).stderr

    assert [line for line in said.splitlines() if not any(text in line for text in FORGIVEN)] == []
