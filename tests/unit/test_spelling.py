"""What somebody may have meant."""

import pytest

from coreos_kit.spelling import nearest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("wbe@1", "web@1"),
        ("web@1", "web@1"),
        ("wbe@10", "web@10"),
        ("database", ""),
        ("", ""),
        ("WEB@1", ""),
    ],
)
def test_the_choice_spelled_most_alike_is_meant_and_none_where_none_is_alike(word: str, meant: str) -> None:
    assert nearest(word, ["web@1", "web@10", "api@1"]) == meant


def test_of_two_that_are_as_much_alike_the_order_of_the_choices_decides_nothing() -> None:
    assert nearest("web@", ["web@1", "web@2"]) == nearest("web@", ["web@2", "web@1"])


def test_with_a_key_capitals_are_no_difference_and_the_choice_comes_back_as_it_is_written() -> None:
    assert nearest("EXECSTRAT", ["ExecStart", "ExecStop"], key=str.lower) == "ExecStart"


def test_where_there_is_no_choice_nothing_is_meant() -> None:
    assert nearest("web", []) == ""
