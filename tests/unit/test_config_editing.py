"""A list changed in its text: what it says, and that everything else stays."""

import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coreos_kit.config.editing import NotEditable, resized

PATH = ("services", "apache", "instances")
BEFORE = """\
# the shop
[project]
name = "web"     # a name

[services.apache]
image = 'apache'
"""
AFTER = """
conflicts = ["apache@*.service"]  # one a machine

[services.apache.registration]
ttl_s = 30
# the end
"""


def edited(array: str, *wanted: int | str) -> str:
    text = resized(f"{BEFORE}instances = {array}{AFTER}", PATH, wanted)
    assert text.startswith(f"{BEFORE}instances = ")
    assert text.endswith(AFTER)
    return text.removeprefix(f"{BEFORE}instances = ").removesuffix(AFTER)


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        ("[7777, 8888]   # ports", "[7777, 8888, 8889]   # ports"),
        ("[7777,8888]", "[7777,8888, 8889]"),
        ("[\n  7777,\n  8888,\n]", "[\n  7777,\n  8888,\n  8889,\n]"),
        ("[\n  7777, # a\n  8888  # b\n] # c", "[\n  7777, # a\n  8888,  # b\n  8889\n] # c"),
        ("[\n\t7777,\n\t# more\n\t8888,\n]", "[\n\t7777,\n\t# more\n\t8888,\n\t8889,\n]"),
    ],
)
def test_what_is_added_stands_at_the_end_laid_out_like_the_others(array: str, wanted: str) -> None:
    assert edited(array, 7777, 8888, 8889) == wanted


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        ("[7777, 8888]   # ports", "[7777]   # ports"),
        ("[\n  7777,\n  8888,\n]", "[\n  7777,\n]"),
        ("[\n  7777, # a\n  # between\n  8888,\n  # last\n]", "[\n  7777, # a\n  # between\n  # last\n]"),
    ],
)
def test_what_goes_leaves_the_comments_of_the_others(array: str, wanted: str) -> None:
    assert edited(array, 7777) == wanted


def test_a_comment_behind_an_element_goes_with_it() -> None:
    assert edited("[\n  7777, # a\n  8888, # b\n]", 7777) == "[\n  7777, # a\n]"


def test_names_are_taken_away_like_ports() -> None:
    assert edited('["mail", "thumbs"]', "mail") == '["mail"]'


def test_ends_of_lines_stay_as_they_are() -> None:
    text = "[services.apache]\r\ninstances = [\r\n  1,\r\n]\r\n"

    assert resized(text, PATH, [1, 2]) == text.replace("  1,\r\n", "  1,\r\n  2,\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "services = { apache = { instances = [1] } }  # x\n",
        "[services]\napache.instances = [1]\n",
        'services."apache".instances = [1] # x\n',
        "[services.apache.health]\n[clusters.x]\n[services.apache]\ninstances = [1]\n",
    ],
)
def test_a_list_is_found_in_whichever_way_its_table_is_written(text: str) -> None:
    assert resized(text, PATH, [1, 2]) == text.replace("[1]", "[1, 2]")


def test_what_is_no_list_is_not_changed() -> None:
    with pytest.raises(NotEditable, match=r"services\.apache\.instances can't be changed in place"):
        resized("[services.apache]\ninstances = 3\n", PATH, [1, 2])


blanks = st.sampled_from(["", " ", "\n", "\n  ", " # of the list\n  ", "\n\n# a line, [with] 'marks'\n\t"])


@st.composite
def arrays(draw: st.DrawFn) -> tuple[str, list[int]]:
    """Draw a list of numbers with blanks and comments wherever TOML takes them."""
    numbers = draw(st.lists(st.integers(1, 65535), min_size=1, max_size=5, unique=True))
    text = "".join(f"{draw(blanks)}{number}{draw(blanks)}," for number in numbers)
    end = draw(st.sampled_from(["", ","]))
    return (
        f"[{text.removesuffix(',')}{end}{draw(blanks)}]{draw(st.sampled_from(['', '  # behind']))}",
        numbers,
    )


@given(arrays(), st.lists(st.integers(1, 65535), max_size=4), st.integers(1, 5))
def test_however_it_is_written_the_list_says_what_is_wanted_and_the_rest_is_the_same(
    drawn: tuple[str, list[int]], more: list[int], kept: int
) -> None:
    array, numbers = drawn
    wanted = numbers[:kept] if kept < len(numbers) else [*numbers, *more]
    text = f"{BEFORE}instances = {array}{AFTER}"
    try:
        changed = edited(array, *wanted)
    except NotEditable:
        assume(False)

    assert tomllib.loads(f"{BEFORE}instances = {changed}{AFTER}")["services"]["apache"]["instances"] == wanted
    if len(wanted) >= len(numbers):
        assert changed.count("#") == array.count("#")
    assert resized(text, PATH, numbers) == text
