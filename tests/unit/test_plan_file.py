"""The record of a plan: the same for the same, and without a trace of a secret."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit import __version__
from coreos_kit.errors import Refused
from coreos_kit.model.plan_record import PlanRecord, RecordedOptions
from coreos_kit.model.secret import RegistryLogin
from coreos_kit.ops.plan_file import (
    SCHEMA,
    prepare_as_recorded,
    read_plan,
    record_of,
    seal_of,
    write_plan,
)
from coreos_kit.planning import PlanOptions
from coreos_kit.planning.recording import differences, made_otherwise
from tests.unit.test_deploy_secrets import PASSWORD, Site, deployed, site

__all__ = ["deployed", "site"]

EMPTY = PlanRecord(
    schema=SCHEMA,
    kit=__version__,
    project="web",
    cluster="lab",
    options=RecordedOptions((), (), ()),
    waves=(),
    placements={},
    environments={},
    files={},
    images={},
    notes=(),
    desired={},
    machines={},
    unreachable=(),
    cordoned=(),
    held=(),
    scheduler="",
    seal="",
)


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


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def read_or_refused(raw: Mapping[str, object]) -> PlanRecord | str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_bytes(msgspec.json.encode(raw))
        try:
            return read_plan(path)
        except Refused as refused:
            return str(refused)


@given(st.sampled_from([field.name for field in fields(PlanRecord)]), JSON)
def test_a_file_of_anybodys_is_read_or_refused_whatever_it_says(key: str, value: object) -> None:
    raw = {**msgspec.to_builtins(EMPTY), key: value}
    raw["seal"] = seal_of(raw) if key != "seal" else value

    read = read_or_refused(raw)

    if isinstance(read, str):
        assert read.endswith("; nothing was touched")
    else:
        assert msgspec.json.decode(msgspec.json.encode(read))[key] == value
        assert all(difference.strip() for difference in differences(EMPTY, read))
        assert made_otherwise(EMPTY, read) is made_otherwise(read, EMPTY)
