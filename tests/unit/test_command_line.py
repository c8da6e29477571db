"""Command lines, as they are sent and as they are shown."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.adapters.command_line import (
    as_root,
    fate,
    refused_password,
    remote_line,
    said,
    script_argv,
    shown,
)


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_a_shell_reads_the_same_words_again(words: list[str]) -> None:
    assert shlex.split(remote_line(words)) == words


def test_root_goes_through_sudo_that_never_asks() -> None:
    assert as_root(["id"], root=True, is_root=False) == ["sudo", "-n", "--", "id"]
    assert as_root(["id"], root=True, is_root=True) == ["id"]
    assert as_root(["id"], root=False, is_root=False) == ["id"]


def test_a_short_command_is_shown_as_it_can_be_pasted() -> None:
    assert shown(["echo", "a b"]) == "echo 'a b'"


def test_a_script_is_not_shown_but_its_values_are() -> None:
    script = "set -eu\necho $1\n" * 20

    assert (
        shown(["sudo", "-n", "--", *script_argv(script, ["a b"])]) == "sudo -n -- bash -c … coreos-kit 'a b'"
    )


def test_a_long_command_is_cut() -> None:
    assert len(shown(["echo", "x" * 1000])) == 200


def test_the_end_of_a_command_is_a_code_or_a_signal() -> None:
    assert fate(3) == "ended with code 3"
    assert fate(-9) == "was killed by signal 9"
    assert fate(-1) == "was killed by a signal"


def test_what_was_complained_about_comes_last() -> None:
    assert said(b"out\n", b"err\n") == "out\nerr"
    assert said(b"", b"\xff\n") == "\ufffd"


def test_a_sudo_that_asks_is_told_from_a_command_that_failed() -> None:
    argv = ["sudo", "-n", "--", "systemctl", "start", "x"]

    assert refused_password(argv, b"sudo: a password is required\n") == "sudo: a password is required"
    assert refused_password(argv, b"core is not in the sudoers file.\n") == "core is not in the sudoers file."
    assert refused_password(argv, b"Unit x not found.\n") == ""
    assert refused_password(["echo"], b"sudo: a password is required\n") == ""
