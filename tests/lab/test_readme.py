"""The README's sessions that need machines, typed as they stand there, and the JSON that it promises."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.json_shapes import assert_documented, documented
from tests.docs.readme import ROOT, Terminal, blocks
from tests.lab.conftest import LAB, Kit

WALK = ("folder", "append", "write", "lab")


def on_the_test_lab(command: str) -> str:
    return re.sub(r"^coreos-kit lab ([a-z]+)", rf"coreos-kit lab \1 --name {LAB}", command)


def use_the_test_lab(terminal: Terminal, command: str) -> None:
    if command.startswith("coreos-kit init "):
        file = terminal.folder / command.split()[-1] / "coreos-kit.toml"
        file.write_text(file.read_text().replace('lab = "default"', f'lab = "{LAB}"'))


@pytest.fixture
def terminal(kit: Kit) -> Terminal:
    """The drills' terminal: where the README says core-1 and core-2, it means what runs 7777 and 8888."""
    stand = {"core-1": kit.machine_of("apache@7777.service"), "core-2": kit.machine_of("apache@8888.service")}

    def on_their_machines(line: str) -> str:
        return re.sub(r"core-[12]", lambda shown: stand[shown[0]], on_the_test_lab(line))

    return Terminal(kit.workspace, rewrite=on_their_machines)


@pytest.fixture
def _without_the_walk(kit: Kit) -> Iterator[None]:
    yield
    kit("deploy", "--yes", "--allow-remove", "hello", "--allow-remove", "hello_lb")


@pytest.mark.usefixtures("_without_the_walk")
def test_the_first_service_of_the_readme_is_deployed_verified_and_fetched(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, rewrite=on_the_test_lab, after=use_the_test_lab)

    for block in blocks():
        if block.what in WALK and not (block.what == "lab" and block.name):
            terminal.do(block)


@pytest.mark.parametrize("drill", [("kill", "revive"), ("cut",)], ids=" and ".join)
def test_a_fault_drill_of_the_readme_goes_as_it_says(terminal: Terminal, drill: tuple[str, ...]) -> None:
    shown = [block for block in blocks() if block.what == "lab" and block.name in drill]

    try:
        for block in shown:
            terminal.do(block)
    finally:
        subprocess.run([sys.executable, "-m", "coreos_kit", "lab", "up", "--name", LAB], check=True)

    assert [block.name for block in shown] == list(drill)


def test_the_kit_is_installed_as_the_readme_says(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    terminal = Terminal(ROOT, env=env)

    for block in blocks():
        if block.what == "install":
            terminal.do(block)

    installed = tmp_path / ".coreos-kit/bin/coreos-kit"
    folder = tmp_path / "far/away"
    folder.mkdir(parents=True)
    for words in (["init"], ["render", "--check"], ["link", "--check"], ["lint"]):
        subprocess.run([str(installed), *words], cwd=folder, check=True, capture_output=True)


def test_what_is_printed_as_json_has_the_keys_that_the_readme_lists(kit: Kit) -> None:
    shapes = documented()
    unit = "apache@7777"
    current = str(kit("history", "--json").json["current"])
    seen = set()

    for words in (
        ["lab", "up", "--name", LAB],
        ["lab", "status", "--name", LAB],
        ["lab", "down", "--name", "nowhere"],
        ["lab", "cut", "core-4", "--name", LAB],
        ["status"],
        ["lab", "heal", "core-4", "--name", LAB],
        ["lab", "kill", "core-4", "--name", LAB],
        ["lab", "revive", "core-4", "--name", LAB],
        ["image", "build", "apache", "--on", "core-1"],
        ["image", "push", "apache", "--on", "core-1"],
        ["image", "list", "--on", "core-1"],
        ["stop", unit],
        ["plan"],
        ["deploy", "--yes"],
        ["start", unit],
        ["restart", unit],
        ["destroy", unit, "--yes"],
        ["deploy", "--yes"],
        ["verify", "--wait", "20"],
        ["status"],
        ["cordon", "core-4", "--why", "new disk"],
        ["machines"],
        ["uncordon", "core-4"],
        ["stop", "--hold", unit],
        ["verify"],
        ["status"],
        ["start", unit],
        ["drain", "core-4", "--yes"],
        ["uncordon", "core-4"],
        ["registrations"],
        ["logs", "-n", "3"],
        ["balancer", "preview"],
        ["history"],
        ["history", current],
        ["rollback", current, "--yes"],
        ["lock", "show"],
        ["lock", "release", "--force"],
        ["start", "nobody"],
    ):
        answer = kit("--json", *words, code=None).json
        assert_documented(answer, shapes)
        seen.add(answer["schema"].split("/")[1])

    assert seen == shapes.keys() - {"init", "render", "link", "lint", "scale"}  # tests/docs/test_examples.py
