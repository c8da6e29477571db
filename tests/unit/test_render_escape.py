import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.errors import InvalidUnit
from coreos_kit.testing.exec_line import exec_argv
from coreos_kit.units import escape
from coreos_kit.units.unit_file import UnitFile

# Everything that an argument can hold, and often what systemd or a shell would make something of.
VALUES = st.text(
    st.one_of(
        st.sampled_from("%$\\\"'; \t\n{}#@i&=-"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    )
)
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
ENVIRONMENT = {"i": "expanded", "HOME": "/expanded"}


def read_back(line: str) -> list[str]:
    """Read `ExecStart=/bin/true line` from a whole unit file, as systemd does."""
    unit = UnitFile.parse(f"[Service]\nExecStart=/bin/true {line}\n")
    (value,) = unit.values("Service", "ExecStart")
    return exec_argv(value, {"i": "7777"}, ENVIRONMENT)[1:]


@given(st.lists(VALUES))
def test_whatever_a_value_is_systemd_reads_back_that_very_argument(values: list[str]) -> None:
    line = " ".join(escape.argument(value) for value in values)

    assert read_back(line) == values


@given(VALUES)
def test_an_argument_never_leaves_its_line(value: str) -> None:
    written = escape.argument(value)

    assert "\n" not in written
    assert "\r" not in written


@given(LINES)
def test_a_word_of_the_shell_comes_through_systemd_and_bash_quoting(value: str) -> None:
    line = escape.script(f"echo {escape.shell_word(value)}")

    (script,) = read_back(line)
    assert shlex.split(script) == ["echo", value]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("info", "info"),
        ("", '""'),
        ("two words", '"two words"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ("${HOME}", '"$${HOME}"'),
        ("%i", '"%%i"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("C:\\n", '"C:\\\\n"'),
        ("a\nb", '"a\\nb"'),
        ("\x1b[0m", '"\\x1b[0m"'),
        (";", '";"'),
        ("café", '"café"'),
    ],
)
def test_only_what_needs_it_is_quoted(value: str, written: str) -> None:
    assert escape.argument(value) == written


def test_a_command_is_split_as_a_shell_would() -> None:
    assert escape.command("/usr/sbin/apache2ctl -D FOREGROUND") == "/usr/sbin/apache2ctl -D FOREGROUND"
    assert read_back(escape.command("sh -c 'echo $HOME; date +%H'")) == ["sh", "-c", "echo $HOME; date +%H"]


def test_a_command_with_an_open_quote_is_refused() -> None:
    with pytest.raises(InvalidUnit) as refused:
        escape.command("sh -c 'date")

    assert str(refused.value) == "the command \"sh -c 'date\" can't be split into words: No closing quotation"
    assert refused.value.hint == "Close the quote, or escape it with a backslash."


@pytest.mark.parametrize("value", ["a\nConflicts=*", "a\rb", "a\\", " a", "a\0"])
def test_what_would_leave_a_line_of_x_fleet_is_refused(value: str) -> None:
    with pytest.raises(InvalidUnit, match="can't stand in a unit"):
        escape.literal(value)


def test_no_argument_holds_a_nul() -> None:
    with pytest.raises(InvalidUnit, match="no argument can hold a NUL"):
        escape.argument("a\0b")


def test_a_script_keeps_its_lines_and_drops_its_comments() -> None:
    text = "# why\nwhile :; do\n\n  echo $x 'a\\b' 100%;\ndone"

    line = escape.script(text)

    assert line == "'\\\nwhile :; do \\\n  echo $$x \\'a\\\\b\\' 100%%; \\\ndone'"
    assert read_back(line) == [" while :; do    echo $x 'a\\b' 100%;  done"]


def test_json_comes_through_whole() -> None:
    value = json.dumps({"motto": 'it\'s 100% "$fun"', "path": "C:\\temp"})

    assert read_back(escape.argument(f"CONFIG={value}")) == [f"CONFIG={value}"]
