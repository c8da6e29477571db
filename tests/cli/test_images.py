"""image build, push and list, with an engine in memory."""

import pytest

from coreos_kit.testing.images import FakeBuilder
from tests.cli.conftest import Kit


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeBuilder:
    """Stand in for the workstation's docker or podman."""
    made = FakeBuilder(where="this workstation")
    monkeypatch.setattr("coreos_kit.adapters.engine.find_engine", lambda runner: made)
    return made


def test_build_takes_every_image_that_has_sources(kit: Kit, engine: FakeBuilder) -> None:
    code, out, err = kit("image", "build")

    assert code == 0
    assert sorted(engine.contexts) == ["user_name/apache", "user_name/nginx_lb"]
    assert out.startswith("IMAGE     REFERENCE           ID\napache    user_name/apache    sha256:")
    assert "building user_name/apache on this workstation (" in err


def test_push_goes_to_the_labs_registry_and_says_the_digests(kit: Kit, engine: FakeBuilder) -> None:
    kit("image", "build")

    pushed = kit("image", "push", "apache", "--json").json

    assert pushed["schema"] == "coreos-kit/image-push/v1"
    assert [(image["target"], image["digest"][:7]) for image in pushed["images"]] == [
        ("10.132.1.10:5000/user_name/apache", "sha256:")
    ]
    assert list(engine.registry) == ["10.132.1.10:5000/user_name/apache"]


def test_an_image_that_has_not_been_built_is_not_pushed(kit: Kit, engine: FakeBuilder) -> None:
    code, out, err = kit("image", "push")

    assert (code, out) == (1, "")
    assert err.endswith("failed: it has not been built there\n")


@pytest.mark.parametrize("verb", ["build", "push"])
def test_an_image_that_nobody_uses_is_refused_with_the_nearest(
    kit: Kit, engine: FakeBuilder, verb: str
) -> None:
    assert kit("image", verb, "apahce") == (
        2,
        "",
        "error: no service or balancer of cluster lab uses an image apahce\nhint:  Did you mean apache?\n",
    )


def test_building_on_a_machine_that_the_cluster_does_not_have_is_a_usage_error(kit: Kit) -> None:
    code, out, err = kit("image", "build", "--on", "core-9")

    assert (code, out) == (2, "")
    assert err.startswith("error: no machine core-9 in this cluster\n")


def test_list_says_who_uses_what_and_where_it_is_pushed(kit: Kit) -> None:
    code, out, _ = kit("image", "list")

    assert code == 0
    assert out == (
        "IMAGE     REFERENCE           PUSHED TO                            SOURCES  ID  USED BY\n"
        "apache    user_name/apache    10.132.1.10:5000/user_name/apache    images/  -   apache\n"
        "nginx_lb  user_name/nginx_lb  10.132.1.10:5000/user_name/nginx_lb  images/  -   nginx_lb\n"
    )
    assert kit("image", "list", "--json").json["schema"] == "coreos-kit/image-list/v1"
