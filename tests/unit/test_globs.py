import pytest

from coreos_kit.units import globs


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("apache@*.service", "apache@7777.service"),
        ("apache@*.service", "apache@.service"),
        ("a?.service", "a1.service"),
        ("a[0-9x].service", "ax.service"),
        ("a[^0-9].service", "ax.service"),
        ("a[!b]c", "a!c"),  # ! is a character like any other
        ("a\\*b", "a*b"),
        ("a[\\]]b", "a]b"),
        ("[*]", "*"),
        ("a.b", "a.b"),
        ("", ""),
    ],
)
def test_a_glob_matches_as_gos_path_match_does(pattern: str, name: str) -> None:
    assert globs.matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("apache@*.service", "nginx@1.service"),
        ("a*", "a/b"),
        ("a?b", "a/b"),
        ("a[!b]c", "axc"),
        ("a.b", "axb"),
        ("A", "a"),
        ("a", "ab"),
        ("[9-0]", "5"),
        ("", "a"),
    ],
)
def test_a_glob_matches_nothing_else(pattern: str, name: str) -> None:
    assert not globs.matches(pattern, name)


@pytest.mark.parametrize("pattern", ["a[", "a[]", "[]a]", "[-a]", "[a-]", "[^]", "a\\", "[a", "[\\"])
def test_a_malformed_glob_matches_nothing_at_all(pattern: str) -> None:
    assert globs.is_malformed(pattern)
    assert not globs.matches(pattern, pattern)


def test_what_stands_before_the_first_wildcard_is_the_literal_prefix() -> None:
    assert globs.literal_prefix("apache@*.service") == "apache@"
    assert globs.literal_prefix("a.service") == "a.service"
