"""What the README shows is run, or at least read, by the program it is about."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from coreos_kit.cli.app import app
from coreos_kit.cli.settings import hoist
from coreos_kit.config import parse_project
from tests.docs.json_shapes import assert_documented, documented
from tests.docs.readme import ROOT, Block, Terminal, blocks, inline_commands, session

RUN_HERE = ("folder", "append", "write")
RUN_ELSEWHERE = ("lab", "install")  # tests/lab/test_readme.py
READ = {"console": ("make", "parsed"), "toml": ("config",), "text": ("", "json")}

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def of_kind(what: str) -> list[Block]:
    return [block for block in blocks() if block.what == what]


def parse(line: str) -> None:
    """Parse a command line as the program would, without running it."""
    words = hoist(shlex.split(line, comments=True)[1:])
    command = typer.main.get_command(app)
    context = command.make_context("coreos-kit", words)
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def test_every_block_of_the_readme_is_run_or_read_by_a_test() -> None:
    idle = [
        f"README.md:{block.line}: {block.language} {block.what or 'without a comment'}"
        for block in blocks()
        if block.what not in (*RUN_HERE, *RUN_ELSEWHERE, *READ.get(block.language, ()))
    ]

    assert idle == []


def test_the_first_service_is_written_rendered_linked_and_linted_in_a_folder(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)

    for block in blocks():
        if block.what in RUN_HERE:
            terminal.do(block)

    assert (terminal.folder / "instances/hello@5001.service").is_symlink()


@pytest.mark.parametrize("block", of_kind("config"), ids=lambda block: f"line {block.line}")
def test_a_configuration_that_is_shown_is_accepted(block: Block, tmp_path: Path) -> None:
    project = parse_project(block.text, tmp_path)

    assert project.clusters


@pytest.mark.parametrize("block", of_kind("make"), ids=lambda block: f"line {block.line}")
def test_the_make_targets_that_are_shown_exist(block: Block) -> None:
    for typed in session(block):
        subprocess.run([*typed.command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "line",
    sorted(
        {typed.command for block in of_kind("parsed") for typed in session(block)}
        | {command for page in PAGES if page.exists() for command in inline_commands(page)}
    ),
)
def test_a_command_line_that_is_only_shown_is_one_that_the_program_takes(line: str) -> None:
    parse(line)


def test_what_the_folder_commands_print_as_json_is_what_the_readme_says(tmp_path: Path) -> None:
    shapes = documented()
    for words in (
        ["init"],
        ["render"],
        ["link"],
        ["lint"],
        ["render", "--check"],
        ["image", "list"],
        ["scale", "apache", "3"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coreos_kit", "--json", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert_documented(json.loads(done.stdout), shapes)


def test_links_within_the_readme_lead_to_a_heading() -> None:
    text = (ROOT / "README.md").read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)

    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert [anchor for anchor in re.findall(r"\]\(#([^)]+)\)", text) if anchor not in anchors] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    lost = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        if page.exists()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert lost == []
