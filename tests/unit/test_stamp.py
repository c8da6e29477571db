"""The digest in a unit: it survives what deploy and fleet do to a text, and no edit by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.model.profile import PROFILES
from coreos_kit.units.fleet_hash import fleet_hash, fleet_text
from coreos_kit.units.ownership import owner_of
from coreos_kit.units.pin import pin_images
from coreos_kit.units.render import desired_units
from coreos_kit.units.stamp import digest_of, is_as_deployed, stamp_of, stamped

REPOSITORY = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}
TEXT = "# why\n[Service]\nExecStart=/bin/sleep 1\n\n[X-CoreosKit]\nProject=web\nService=apache\n"


def every_text() -> list[str]:
    project = load_project(REPOSITORY)
    lab = project.clusters["lab"]
    return sorted(
        {
            pin_images(unit.text, dict.fromkeys(unit.images, f"sha256:{'a' * 64}"))
            for profile in PROFILES.values()
            for unit in desired_units(project, replace(lab, profile=profile), SOURCES)
        }
    )


def test_the_digest_stands_in_the_kits_own_section() -> None:
    assert stamped(TEXT) == f"{TEXT}Sha256={digest_of(TEXT)}\n"
    assert owner_of(stamped(TEXT)) == owner_of(TEXT)


def test_a_stamped_text_is_as_deployed_and_one_without_digest_is_not() -> None:
    assert is_as_deployed(stamped(TEXT))
    assert not is_as_deployed(TEXT)
    assert stamp_of(TEXT) == ""


def test_stamping_again_changes_nothing() -> None:
    assert stamped(stamped(TEXT)) == stamped(TEXT)


@pytest.mark.parametrize("text", every_text())
def test_what_fleet_makes_of_a_unit_is_as_deployed(text: str) -> None:
    assert is_as_deployed(fleet_text(stamped(text)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sleep 1", "sleep 2"),
        ("ExecStart=/bin/sleep 1\n", "ExecStart=/bin/sleep 1\nExecStartPost=/bin/true\n"),
        ("[Service]\n", "[Service]\n# a comment that only fleet continues \\\nUser=nobody\n"),
        ("Service=apache", "Service=other"),
        ("[Service]\n", "[Unit]\nWants=x.service\n[Service]\n"),
        ("sleep 1", "sleep 1 \\"),
    ],
)
def test_whatever_is_in_force_and_changes_is_an_edit(before: str, after: str) -> None:
    edited = stamped(TEXT).replace(before, after)

    assert edited != stamped(TEXT)
    assert not is_as_deployed(edited)


def test_a_comment_or_an_empty_line_is_no_edit_and_no_change_for_fleet() -> None:
    edited = stamped(TEXT).replace("# why", "# why not\n")

    assert is_as_deployed(edited)
    assert fleet_hash(edited) == fleet_hash(stamped(TEXT))
    assert fleet_hash(stamped(TEXT.replace("# why", "# because"))) == fleet_hash(stamped(TEXT))


def test_a_digest_that_is_none_is_no_digest() -> None:
    assert stamp_of(f"{TEXT}Sha256=yes\n") == ""
    assert not is_as_deployed(f"{TEXT}Sha256=yes\n")


def test_a_text_that_fleet_can_not_read_is_not_as_deployed() -> None:
    broken = stamped(TEXT).replace("[Service]", "[Service] garbage")

    assert not is_as_deployed(broken)
