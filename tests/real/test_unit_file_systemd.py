"""The parser against systemd's own, by what `systemd-analyze verify` says of values that it can't use."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreos_kit.units.unit_file import UnitFile

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"),
]

# fmt: off
PIECES = st.sampled_from([
    "CPUWeight=", "CPUWeight = ", "x", "y z", " ", "\t", "\\", "\\\\", "\n", "\n\n", "\r\n", "# c", "; d",
    "  # e", "\n[Service]\n", "=", "'q'", '"', "\\ ", "é", "nonsense", "CPUWeight=w \\\n", "\\\n# n\n",
])
# fmt: on


def values_that_systemd_read(folder: Path, text: str) -> list[str]:
    """Return the values of CPUWeight=, none of them a number, as systemd quotes them when it complains."""
    (folder / "f.service").write_text(text, newline="")
    verify = ["systemd-analyze", "verify", "--man=no", "--generators=no", "./f.service"]
    said = subprocess.run(verify, cwd=folder, capture_output=True, text=True, timeout=30, check=False).stderr
    return re.findall(r"f\.service:\d+: Invalid CPU weight, ignoring: (.*)", said)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=14).map("".join))
def test_values_are_read_as_systemd_reads_them(tmp_path: Path, body: str) -> None:
    text = f"[Service]\nExecStart=/bin/true\n{body}\n"

    read = [value for value in UnitFile.parse(text).values("Service", "CPUWeight") if value]

    assert read == values_that_systemd_read(tmp_path, text)
