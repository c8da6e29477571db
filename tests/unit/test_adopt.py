"""What a fleet cluster becomes as a workspace; nothing is looked at but values."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.errors import Refused
from coreos_kit.model.cluster import Observation, ObservedMachine, ObservedUnit, Scheduler
from coreos_kit.model.names import UnitName
from coreos_kit.model.profile import COREOS
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry
from coreos_kit.ops.adopt import Adopted, adopted, project_name, write_workspace

TEXT = "[Service]\nExecStart=/bin/sleep 1\n"
OWN = "[Service]\nExecStart=/bin/sleep 2\n"
CLUSTER = Cluster(
    "fleet", COREOS, DriverKind.FLEET, (MachineEntry("a.example.com", "core@a.example.com"),), (), ()
)


def unit(name: str, machine: str, text: str = TEXT, state: str = "active") -> ObservedUnit:
    return ObservedUnit(UnitName.parse(name), machine, text, "loaded", state, "running", "")


def machine(name: str, number: int, *units: ObservedUnit) -> ObservedMachine:
    return ObservedMachine(name, str(number) * 32, "b", f"192.0.2.{number}", "", {"n": str(number)}, units)


SEEN = Observation(
    machines={
        "a.example.com": machine("a.example.com", 1, unit("web@1.service", "a.example.com")),
        "192.0.2.2": machine(
            "192.0.2.2", 2, unit("web@2.service", "192.0.2.2"), unit("web@blue.service", "192.0.2.2", OWN)
        ),
    },
    scheduler=Scheduler("1.0.0", "a.example.com"),
    unplaced=(unit("waits.service", "", state="pending"), unit("later.service", "", state="inactive")),
)


def adopt(seen: Observation = SEEN) -> Adopted:
    return adopted("old", "web", CLUSTER, seen)


def test_instances_that_share_a_text_share_a_template() -> None:
    found = adopt()

    assert found.files["unit_templates/web@.service.j2"] == TEXT
    assert found.files["unit_templates/web@blue.service.j2"] == OWN
    assert tomllib.loads(found.files["coreos-kit.toml"])["units"] == {"web@.service": [1, 2]}


def test_what_fleet_left_pending_comes_along_and_what_was_never_to_run_does_not() -> None:
    found = adopt()

    assert "unit_templates/waits.service.j2" in found.files
    assert found.left_out == ("later.service: it is only submitted, and was never to run",)


def test_machines_that_only_fleet_named_are_reached_as_the_user_that_asked_it() -> None:
    machines = tomllib.loads(adopt().files["coreos-kit.toml"])["clusters"]["old"]["machines"]

    assert machines == {
        "a.example.com": {"ssh": "core@a.example.com", "private_ip": "192.0.2.1", "metadata": {"n": "1"}},
        "192.0.2.2": {"ssh": "core@192.0.2.2", "private_ip": "192.0.2.2", "metadata": {"n": "2"}},
    }


def test_a_cluster_that_fleet_does_not_run_is_refused() -> None:
    with pytest.raises(Refused, match="fleet is not run by fleet") as refused:
        adopt(replace(SEEN, scheduler=None))

    assert refused.value.hint == "Name a machine of one: coreos-kit adopt DIR --ssh HOST"


def test_a_unit_that_is_not_utf_8_comes_along_byte_for_byte(tmp_path: Path) -> None:
    data = b"# f\xfcr Bob\n[Service]\nExecStart=/bin/sleep 1\n"
    own = unit("bob.service", "a.example.com", data.decode("utf-8", "surrogateescape"))
    machines = {"a.example.com": machine("a.example.com", 1, own)}

    write_workspace(tmp_path, adopt(replace(SEEN, machines=machines)))

    assert (tmp_path / "unit_templates/bob.service.j2").read_bytes() == data
    assert (tmp_path / "adopted.json").is_file()


def test_files_that_are_there_already_are_all_named_and_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").write_text("mine")

    with pytest.raises(Refused) as refused:
        write_workspace(tmp_path, adopt())

    assert refused.value.details == ("coreos-kit.toml",)
    assert [file.name for file in tmp_path.iterdir()] == ["coreos-kit.toml"]
    assert (tmp_path / "coreos-kit.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("folder", "name"), [("Web Shop", "web-shop"), ("web_1", "web_1"), ("__", "adopted")]
)
def test_a_project_is_called_as_its_folder_as_far_as_it_can_be(
    tmp_path: Path, folder: str, name: str
) -> None:
    assert project_name(tmp_path / folder) == name
