"""The README as its tests read it: fenced blocks, what is to be done with them, tables, console sessions.

An HTML comment right before a block or a table says what it is:

    folder          a session that needs a folder only
    lab             a session on the lab's machines; `lab: kill` is a fault drill
    install, make   a session that installs the kit; targets of the Makefile
    parsed          command lines that are parsed and not run
    config          a whole coreos-kit.toml
    append: FILE    what goes to the end of a file; write: FILE, into a new one
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ANYTHING = "…"

_MARKER = re.compile(r"<!-- (?P<what>[a-z-]+)(?:: (?P<name>.+))? -->")
_EXIT = re.compile(r" +# exit (\d+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block, with the comment before it."""

    language: str
    text: str
    line: int
    what: str = ""
    name: str = ""


@dataclass(frozen=True)
class Typed:
    """A command line of a session, and what it must answer."""

    command: str
    expected: tuple[str, ...]
    code: int


def blocks(file: Path = README) -> list[Block]:
    found: list[Block] = []
    lines = file.read_text().split("\n")
    number, marker = 0, None
    while number < len(lines):
        line = lines[number]
        if line.startswith("```"):
            end = lines.index("```", number + 1)
            what, name = (marker["what"], marker["name"] or "") if marker else ("", "")
            text = "\n".join(lines[number + 1 : end]) + "\n"
            found.append(Block(line[3:], text, number + 1, what, name))
            number, marker = end + 1, None
            continue
        if line:
            marker = _MARKER.fullmatch(line)
        number += 1
    return found


def session(block: Block) -> list[Typed]:
    """Return the command lines of a console block; `# exit 4` behind one says how it ends."""
    typed: list[Typed] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            ends = _EXIT.search(line)
            typed.append(Typed(_EXIT.sub("", line[2:]), (), int(ends[1]) if ends else 0))
        else:
            assert typed, f"README.md:{block.line}: output without a command"
            last = typed.pop()
            typed.append(Typed(last.command, (*last.expected, line), last.code))
    return typed


def table(what: str, name: str = "", file: Path = README) -> list[list[str]]:
    """Return the rows of the table behind a comment, without its head."""
    marker = f"<!-- {what}: {name} -->" if name else f"<!-- {what} -->"
    lines = file.read_text().split("\n")
    rows = []
    for line in lines[lines.index(marker) + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows[2:]


def codes(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def inline_commands(file: Path = README) -> Iterator[str]:
    """Yield every `coreos-kit …` in running text."""
    prose = re.sub(r"^```.*?^```", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    for text in codes(prose.replace(r"\|", "|")):
        for part in re.split(r" (?:&&|\|) ", text):
            if re.match(r"coreos-kit [a-z]", part) and ANYTHING not in part:
                yield part


class Terminal:
    """Types what the README shows into a folder, and compares what comes back.

    `rewrite` changes a command and what it must answer, `after` looks at what a command did.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rewrite: Callable[[str], str] = str,
        after: Callable[["Terminal", str], None] = lambda terminal, command: None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._rewrite = rewrite
        self._after = after
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._env = {**os.environ, "PATH": path, **(env or {})}

    def do(self, block: Block) -> None:
        if block.what == "append":
            file = self.folder / block.name
            file.write_text(f"{file.read_text()}\n{block.text}")
        elif block.what == "write":
            file = self.folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        else:
            for typed in session(block):
                self._type(typed, block)

    def _type(self, typed: Typed, block: Block) -> None:
        words = shlex.split(typed.command)
        if words[0] == "cd":
            self.folder /= words[1]
            return
        done = subprocess.run(
            ["/bin/bash", "-c", self._rewrite(typed.command)],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        where = f"README.md:{block.line}: {typed.command}"
        assert done.returncode == typed.code, f"{where} ended with {done.returncode}\n{done.stdout}"
        assert_answered(done.stdout, [self._rewrite(line) for line in typed.expected], where)
        self._after(self, typed.command)


def assert_answered(output: str, expected: Sequence[str], where: str) -> None:
    """Assert that the expected lines came, in this order; `…` stands for anything, blanks for any blanks."""
    rest = iter([" ".join(line.split()) for line in output.splitlines()])
    for line in expected:
        if line == ANYTHING:
            continue
        pattern = re.compile(re.escape(" ".join(line.split())).replace(ANYTHING, ".*"))
        assert any(pattern.fullmatch(seen) for seen in rest), f"{where} did not say {line!r}\n{output}"
