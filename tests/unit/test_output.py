"""How results look: tables, JSON, errors."""

import io
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.cli import output
from coreos_kit.errors import KitError
from coreos_kit.model.names import UnitName


class Shade(Enum):
    DARK = "dark"


@dataclass(frozen=True)
class Thing:
    name: UnitName
    path: Path
    shade: Shade
    error: KitError
    parts: tuple[str, ...]
    seen: frozenset[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["unit", "state"], [["web@1.service", "active"], ["a", "gone"]])

    assert capsys.readouterr().out == "UNIT           STATE\nweb@1.service  active\na              gone\n"


def test_a_column_that_is_empty_everywhere_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["a", "b", "c"], [["1", "", 0], ["2", "", 3]])

    assert capsys.readouterr().out == "A  C\n1  0\n2  3\n"


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["registration", "value"], [])

    assert capsys.readouterr().out == "REGISTRATION  VALUE\n"


def test_without_a_terminal_nothing_is_cut_off_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["a"], [["x" * 1000]])
    output.line("y" * 1000)

    assert capsys.readouterr().out == f"A\n{'x' * 1000}\n{'y' * 1000}\n"


def test_a_state_has_its_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)

    output.table(["unit", "state"], [["a", "BROKEN"], ["b", "active (running)"]])

    assert "\x1b[31mBROKEN" in terminal.getvalue()
    assert "\x1b[32mactive (running)" in terminal.getvalue()


def test_no_color_is_respected_to_the_last_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)

    output.table(["state"], [["broken"]])
    output.line("gone", style="red")

    assert "\x1b" not in terminal.getvalue()


@given(st.text())
def test_what_is_shown_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert all(character.isprintable() or character == "\t" for character in output.plain(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_harmless_is_shown_as_it_is(text: str) -> None:
    assert output.plain(text) == text


def test_escapes_stay_readable() -> None:
    assert output.plain("\x1b[2J\u009b\u202e\udc80\n\t") == "\\x1b[2J\\x9b\\u202e\\udc80\\n\t"


def test_a_result_becomes_what_json_knows() -> None:
    thing = Thing(
        UnitName.parse("web@1.service"), Path("a/b"), Shade.DARK, KitError("no"), ("x",), frozenset("ba")
    )

    assert output.as_json({"thing": thing}) == {
        "thing": {
            "name": "web@1.service",
            "path": "a/b",
            "shade": "dark",
            "error": "no",
            "parts": ["x"],
            "seen": ["a", "b"],
        }
    }


def test_json_is_one_ascii_line_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json("thing", {"text": "é\u009b\n\udc80"})

    out = capsys.readouterr().out
    assert out == '{"schema": "coreos-kit/thing/v1", "text": "\\u00e9\\u009b\\n\\udc80"}\n'
    assert json.loads(out)["text"] == "é\u009b\n\udc80"


def test_an_error_is_message_details_and_hint_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_error(KitError("it broke", details=["here", "and there"], hint="Mend it."), as_json=False)

    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: it broke\n       here\n       and there\nhint:  Mend it.\n")


def test_an_error_without_hint_has_no_hint_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_error(KitError("it broke"), as_json=False)

    assert capsys.readouterr().err == "error: it broke\n"


@pytest.mark.parametrize(("count", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_one_thing_is_not_called_many(count: int, said: str) -> None:
    assert output.counted(count, "file") == said
