# ruff: noqa: ISC004 - a message is one string, however long
import os
from pathlib import Path

import pytest

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.profile import COREOS
from coreos_kit.model.project import Cluster, DriverKind, Project
from coreos_kit.model.services import LoadBalancer, Registration, Service
from coreos_kit.ops.link import LinkChanges, apply_links, plan_links

LINKS = {
    "apache@7777.service": "../templates/apache@.service",
    "apache-discovery@7777.service": "../templates/apache-discovery@.service",
    "apache@8888.service": "../templates/apache@.service",
    "apache-discovery@8888.service": "../templates/apache-discovery@.service",
}
KITS_UNIT = "[X-CoreosKit]\nProject=web\nService=apache\n"


def service(*instances: str, name: str = "apache", registered: bool = True) -> Service:
    registration = Registration(f"/services/{name}") if registered else None
    return Service(name, name, "", 80, instances, registration=registration)


def links(root: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in (root / "instances").iterdir() if path.is_symlink()}


def plan(root: Path, *configured: Service | LoadBalancer) -> LinkChanges:
    services = tuple(one for one in configured if isinstance(one, Service))
    balancers = tuple(one for one in configured if isinstance(one, LoadBalancer))
    cluster = Cluster("lab", COREOS, DriverKind.SYSTEMD, (), services, balancers)
    return plan_links(Project(root, "web", "", "", "lab", {"lab": cluster}), cluster)


def link(root: Path, *configured: Service | LoadBalancer) -> LinkChanges:
    changes = plan(root, *configured)
    apply_links(root, changes)
    return changes


def test_each_instance_and_each_sidekick_has_a_relative_link(tmp_path: Path) -> None:
    changes = link(tmp_path, service("7777", "8888"))

    assert links(tmp_path) == LINKS
    assert changes == LinkChanges(created=tuple(LINKS))


def test_a_service_without_a_registration_has_no_sidekick_to_link(tmp_path: Path) -> None:
    link(tmp_path, service("mail", registered=False))

    assert links(tmp_path) == {"apache@mail.service": "../templates/apache@.service"}


def test_a_balancer_with_instances_has_links_and_a_plain_one_has_none(tmp_path: Path) -> None:
    several = LoadBalancer("lb", "lb", "apache", instances=("east", "west"))

    link(tmp_path, several, LoadBalancer("front", "lb", "apache", port=81))

    assert links(tmp_path) == {
        "lb@east.service": "../templates/lb@.service",
        "lb@west.service": "../templates/lb@.service",
    }


def test_linking_again_changes_nothing(tmp_path: Path) -> None:
    link(tmp_path, service("7777", "8888"))

    again = link(tmp_path, service("7777", "8888"))

    assert again == LinkChanges(unchanged=tuple(LINKS))
    assert again.is_empty


def test_planning_writes_nothing(tmp_path: Path) -> None:
    changes = plan(tmp_path, service("7777"))

    assert not changes.is_empty
    assert list(tmp_path.iterdir()) == []


def test_links_of_instances_no_longer_configured_are_removed(tmp_path: Path) -> None:
    link(tmp_path, service("7777", "8888"))

    changes = link(tmp_path, service("8888", "9999", registered=False))

    assert changes == LinkChanges(
        created=("apache@9999.service",),
        removed=("apache-discovery@7777.service", "apache-discovery@8888.service", "apache@7777.service"),
        unchanged=("apache@8888.service",),
    )
    assert sorted(links(tmp_path)) == ["apache@8888.service", "apache@9999.service"]


def test_a_stale_link_to_a_template_of_the_kits_is_removed(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "apache@.service").write_text(KITS_UNIT)
    link(tmp_path, service("7777", registered=False))

    assert link(tmp_path).removed == ("apache@7777.service",)


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "instances"
    folder.mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "own@.service").write_text("[Service]\nExecStart=/bin/true\n")
    (folder / "README").write_text("mine")
    (folder / "real@1.service").write_text("[Service]\n")
    (folder / "folder@1.service").mkdir()
    (folder / "plain.service").symlink_to("../templates/plain.service")
    (folder / "other@1.service").symlink_to("../templates/apache@.service")
    (folder / "far@1.service").symlink_to("/etc/systemd/system/far@.service")
    (folder / "absolute@1.service").symlink_to(tmp_path / "templates" / "absolute@.service")
    (folder / "own@1.service").symlink_to("../templates/own@.service")  # to a template made by hand
    before = sorted(path.name for path in folder.iterdir())

    changes = link(tmp_path)

    assert sorted(path.name for path in folder.iterdir()) == before
    assert changes.is_empty
    assert changes.foreign == tuple(before)


def test_everything_in_the_way_is_refused_at_once_and_nothing_touched(tmp_path: Path) -> None:
    folder = tmp_path / "instances"
    folder.mkdir()
    (folder / "apache@7777.service").write_text("by hand")
    (folder / "apache-discovery@8888.service").symlink_to("/etc/passwd")
    (folder / "apache@9999.service").symlink_to("../templates/apache@.service")

    with pytest.raises(Refused) as caught:
        plan(tmp_path, service("7777", "8888"))

    assert str(caught.value) == "2 things are in the way of instances/; nothing was touched"
    assert caught.value.details == (
        f"{folder}/apache@7777.service is no symlink; wanted: a link to ../templates/apache@.service",
        f"{folder}/apache-discovery@8888.service leads to '/etc/passwd';"
        " wanted: a link to ../templates/apache-discovery@.service",
    )
    assert caught.value.hint == f"Move them out of the way, then: coreos-kit --project {tmp_path} link"
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("name", ["instances", "templates", "static"])
def test_a_folder_that_leads_out_of_the_workspace_is_refused(tmp_path: Path, name: str) -> None:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / name).symlink_to(outside)

    with pytest.raises(Refused) as caught:
        plan(root, service("7777"))

    assert str(caught.value) == "1 thing is in the way of instances/; nothing was touched"
    assert caught.value.details == (f"{root / name} leads out of the workspace",)
    assert list(outside.iterdir()) == []


def test_instances_must_not_be_a_symlink_even_inside(tmp_path: Path) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "instances").symlink_to("deep/down")

    with pytest.raises(Refused) as caught:
        plan(tmp_path, service("7777"))

    assert caught.value.details == (f"{tmp_path}/instances is a symlink, and the links in it are relative",)


def test_instances_must_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "instances").write_text("")

    with pytest.raises(Refused) as caught:
        plan(tmp_path, service("7777"))

    assert caught.value.details == (f"{tmp_path}/instances is not a folder",)


def test_a_folder_swapped_for_a_symlink_after_the_plan_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    changes = plan(root, service("7777"))
    (root / "instances").symlink_to(outside)

    with pytest.raises(KitError, match="can't be changed"):
        apply_links(root, changes)

    assert list(outside.iterdir()) == []


def test_two_runs_at_once_do_no_harm(tmp_path: Path) -> None:
    changes = plan(tmp_path, service("7777", "8888"))

    apply_links(tmp_path, changes)
    apply_links(tmp_path, changes)

    assert links(tmp_path) == LINKS


def test_a_file_that_appears_after_the_plan_is_not_replaced(tmp_path: Path) -> None:
    changes = plan(tmp_path, service("7777", "8888"))
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances" / "apache@8888.service").write_text("by hand")

    with pytest.raises(KitError, match="File exists"):
        apply_links(tmp_path, changes)

    assert (tmp_path / "instances" / "apache@8888.service").read_text() == "by hand"


def test_a_link_changed_after_the_plan_is_not_removed(tmp_path: Path) -> None:
    link(tmp_path, service("7777", registered=False))
    changes = plan(tmp_path)
    (tmp_path / "instances" / "apache@7777.service").unlink()
    (tmp_path / "instances" / "apache@7777.service").symlink_to("elsewhere")

    apply_links(tmp_path, changes)

    assert links(tmp_path) == {"apache@7777.service": "elsewhere"}


def test_links_are_made_one_by_one_where_they_cannot_share_an_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(*args: object, **keywords: object) -> None:
        raise OSError(31, "Too many links")

    monkeypatch.setattr(os, "link", too_many)

    link(tmp_path, service("7777", "8888"))

    assert links(tmp_path) == LINKS


def test_ten_thousand_instances_are_linked_and_unlinked(tmp_path: Path) -> None:
    many = service(*map(str, range(10_001, 20_001)))

    created = link(tmp_path, many)
    unchanged = link(tmp_path, many)
    removed = link(tmp_path)

    assert (len(created.created), len(unchanged.unchanged), len(removed.removed)) == (20_000,) * 3
    assert links(tmp_path) == {}
