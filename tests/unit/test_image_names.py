"""References of images, taken apart."""

import pytest

from coreos_kit.model.image_names import (
    digests_of,
    fully_qualified,
    pinned_digest,
    repository_of,
    split_registry,
)

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("debian", "docker.io/library/debian"),
        ("user_name/apache:v2", "docker.io/user_name/apache:v2"),
        ("registry.example/team/apache", "registry.example/team/apache"),
        ("10.132.1.10:5000/apache", "10.132.1.10:5000/apache"),
        ("localhost/apache", "localhost/apache"),
    ],
)
def test_a_short_name_is_docker_hubs(reference: str, expected: str) -> None:
    assert fully_qualified(reference) == expected


def test_a_registry_has_a_dot_or_a_port() -> None:
    assert split_registry("registry.example:5000/team/apache:1") == ("registry.example:5000", "team/apache:1")
    assert split_registry("team/apache:1") == ("", "team/apache:1")
    assert split_registry("apache:1") == ("", "apache:1")


def test_a_repository_has_neither_tag_nor_digest() -> None:
    assert repository_of(f"registry.example:5000/team/apache:1@{ONE}") == "registry.example:5000/team/apache"
    assert repository_of("registry.example:5000/team/apache") == "registry.example:5000/team/apache"


def test_the_digest_is_that_of_the_repository_that_was_asked() -> None:
    digests = [f"10.132.1.10:5000/user_name/apache@{ONE}", f"user_name/apache@{TWO}"]

    assert digests_of("user_name/apache:latest", digests) == (TWO,)
    assert digests_of("docker.io/user_name/apache", digests) == (TWO,)
    assert digests_of("10.132.1.10:5000/user_name/apache", digests) == (ONE,)
    assert digests_of("other/apache", digests) == ()


def test_a_digest_that_was_asked_for_is_the_answer() -> None:
    assert pinned_digest(f"user_name/apache@{ONE}") == ONE
    assert pinned_digest("user_name/apache:latest") == ""
