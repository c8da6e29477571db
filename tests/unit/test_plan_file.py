"""The record of a plan: the same for the same, and without a trace of a secret."""

from pathlib import Path

import pytest

from coreos_kit.errors import Refused
from coreos_kit.model.secret import RegistryLogin
from coreos_kit.ops.plan_file import prepare_as_recorded, read_plan, record_of, write_plan
from coreos_kit.planning import PlanOptions
from tests.unit.test_deploy_secrets import PASSWORD, Site, deployed, site

__all__ = ["deployed", "site"]


def kept(site: Site, tmp_path: Path) -> Path:
    """Write the plan of this moment, and return where it is."""
    path = tmp_path / "plan.json"
    write_plan(path, record_of(site.session, site.prepare(), PlanOptions()))
    return path


def apply(site: Site, path: Path) -> None:
    prepare_as_recorded(site.session, path, read_plan(path))


def test_what_is_read_is_what_was_written(site: Site, tmp_path: Path) -> None:
    record = record_of(site.session, site.prepare(), PlanOptions(skip=frozenset({"core-9"})))

    write_plan(tmp_path / "plan.json", record)

    assert read_plan(tmp_path / "plan.json") == record


def test_a_first_plan_with_secrets_fits_though_no_machine_has_a_key_yet(site: Site, tmp_path: Path) -> None:
    apply(site, kept(site, tmp_path))


def test_no_secret_and_no_digest_that_a_guess_could_be_tried_on_is_in_the_file(
    site: Site, tmp_path: Path
) -> None:
    before = kept(site, tmp_path).read_bytes()
    site.deploy()
    site.secrets.values["db"] = b"hunter3"
    after = kept(site, tmp_path).read_bytes()

    for data in (before, after):
        assert PASSWORD not in data
        assert b"hunter3" not in data
    assert b'"apache.env": ""' in before  # under a key that was never used


def test_a_secret_that_changed_since_is_a_change_of_the_unit(deployed: Site, tmp_path: Path) -> None:
    deployed.secrets.values["db"] = b"hunter3"
    path = kept(deployed, tmp_path)
    deployed.secrets.values["db"] = b"hunter4"

    with pytest.raises(Refused) as refused:
        apply(deployed, path)

    assert "the configuration: apache@7777.service says another text" in refused.value.details


def test_a_secret_that_no_unit_names_by_its_content_is_a_change_as_well(
    deployed: Site, tmp_path: Path
) -> None:
    deployed.configure(registry=RegistryLogin("ci", "hub"))
    deployed.deploy()
    deployed.secrets.values["hub"] = b"another"
    path = kept(deployed, tmp_path)
    deployed.secrets.values["hub"] = b"yet another"

    with pytest.raises(Refused) as refused:
        apply(deployed, path)

    assert all(
        detail.endswith("other secret files would be written or removed") for detail in refused.value.details
    )
