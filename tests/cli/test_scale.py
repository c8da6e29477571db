"""scale: the list of a service's instances in coreos-kit.toml, and what follows from it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Kit

WORKER = """
[services.worker]
image = "apache"
instances = ["mail", "thumbs"]

[services.batch]
image = "apache"
"""


def links(kit: Kit) -> list[str]:
    return sorted(path.name for path in (kit.workspace / "instances").iterdir())


def append(kit: Kit, text: str) -> None:
    file = kit.workspace / "coreos-kit.toml"
    file.write_text(file.read_text() + text)


def test_one_more_gets_the_next_port_above_the_largest_and_is_rendered_and_linked(kit: Kit) -> None:
    before = (kit.workspace / "coreos-kit.toml").read_text()

    ran = kit("scale", "apache", "3")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "services.apache.instances: added 8889; now 3 instances\n"
        "2 links changed in instances/\n"
        "next: coreos-kit deploy --cluster lab\n"
    )
    after = (kit.workspace / "coreos-kit.toml").read_text()
    assert after == before.replace("instances = [7777, 8888]  ", "instances = [7777, 8888, 8889]  ", 1)
    assert "apache-discovery@8889.service" in links(kit)
    assert kit("render", "--check").code == kit("link", "--check").code == 0


def test_the_same_count_again_changes_nothing_and_says_so(kit: Kit) -> None:
    kit("scale", "apache", "3")
    file = kit.workspace / "coreos-kit.toml"
    before = file.stat()

    ran = kit("scale", "apache", "3")

    assert ran == (0, "nothing to do: services.apache.instances has 3 instances\n", "")
    assert file.stat() == before


def test_of_too_many_the_last_in_the_list_goes_first(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [9000, 7777, 8888]  ")

    ran = kit("scale", "apache", "1")

    assert ran.out.startswith("services.apache.instances: removed 8888, 7777; now 1 instance\n")
    assert "instances = [9000]  " in (kit.workspace / "coreos-kit.toml").read_text()
    assert links(kit) == ["apache-discovery@9000.service", "apache@9000.service"]


def test_a_cluster_with_a_list_of_its_own_has_that_one_changed(kit: Kit) -> None:
    body = kit("scale", "apache", "4", "--cluster", "production", "--json").json

    assert body == {
        "schema": "coreos-kit/scale/v1",
        "cluster": "production",
        "service": "apache",
        "key": "clusters.production.services.apache.instances",
        "clusters": ["production"],
        "before": ["7777", "8888", "9999"],
        "after": ["7777", "8888", "9999", "10000"],
        "rendered": [],
        "created": [],
        "removed": [],
    }
    text = (kit.workspace / "coreos-kit.toml").read_text()
    assert "instances = [7777, 8888]  " in text
    assert "instances = [7777, 8888, 9999, 10000]\n" in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["trial"], "the cluster trial takes its instances from there too\n"),
        (["trial", "other"], "the clusters trial, other take their instances from there too\n"),
    ],
)
def test_clusters_that_share_the_list_are_named(kit: Kit, names: list[str], said: str) -> None:
    append(kit, "".join(f'\n[clusters.{name}]\nlab = "{name}"\n' for name in names))

    assert said in kit("scale", "apache", "3").out


@pytest.mark.parametrize("other", ["8889", "8890"])
def test_a_port_that_another_service_balancer_or_cluster_has_is_passed_over(kit: Kit, other: str) -> None:
    append(kit, f'\n[services.other]\nimage = "apache"\ncontainer_port = 80\ninstances = [{other}]\n')
    kit.edit("coreos-kit.toml", "port = 80\nbind", "port = 8891\nbind")
    kit.edit("coreos-kit.toml", "[7777, 8888, 9999]", "[7777, 8888, 8892]")

    kit("scale", "apache", "4")

    free = {"8889": "8890, 8893", "8890": "8889, 8893"}[other]
    assert f"instances = [7777, 8888, {free}]  " in (kit.workspace / "coreos-kit.toml").read_text()


def test_deploy_adds_what_scale_added_without_touching_the_others(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", '"nginx.service", "apache@*.service"', '"nginx.service"')
    kit("deploy", "--yes")
    kit("scale", "apache", "3")

    made = kit("deploy", "--yes", "--json").json

    assert [(change["verb"], change["unit"]) for change in made["changes"]] == [
        ("create", "apache@8889.service"),
        ("create", "apache-discovery@8889.service"),
    ]
    assert made["verified"]["ok"]


def test_deploy_removes_what_scale_took_away_and_nothing_else(deployed: Kit) -> None:
    deployed("scale", "apache", "1")

    made = deployed("deploy", "--yes", "--json").json

    assert sorted((change["verb"], change["unit"]) for change in made["changes"]) == [
        ("remove", "apache-discovery@8888.service"),
        ("remove", "apache@8888.service"),
    ]


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (("apach", "3"), 2, "there is no service apach", "Did you mean apache?"),
        (("nginx_lb", "2"), 2, "nginx_lb is a load balancer, not a service", "Several balancers have "),
        (
            ("apache", "0"),
            2,
            "apache can't be scaled to none",
            "Stop it with: coreos-kit stop --hold 'apache@*'.",
        ),
        (("worker", "3"), 3, "services.worker.instances has names, thumbs for one", "Add it to services."),
        (("batch", "1"), 3, "services.batch.instances is empty", "Write the first one into coreos-kit.toml"),
        (("apache", "65535"), 3, "services.apache.instances needs 65533 more ports above 8888", "Write the "),
    ],
)
def test_what_cannot_be_scaled_is_refused_with_the_way_out(
    kit: Kit, args: tuple[str, str], code: int, message: str, hint: str
) -> None:
    append(kit, WORKER)
    before = (kit.workspace / "coreos-kit.toml").read_text()

    ran = kit("scale", *args)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"error: {message}")
    assert f"\nhint:  {hint}" in ran.err
    assert (kit.workspace / "coreos-kit.toml").read_text() == before


def test_links_of_balancers_with_instances_stay(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", 'upstream = "apache"', 'upstream = "apache"\ninstances = ["east", "west"]')
    kit.edit("coreos-kit.toml", '"nginx.service", "apache@*.service"', '"nginx_lb@*.service"')
    kit("link")

    kit("scale", "apache", "3")

    assert "nginx_lb@east.service" in links(kit)
    assert kit("link", "--check").code == 0


def test_names_can_be_taken_away(kit: Kit) -> None:
    append(kit, WORKER)

    kit("scale", "worker", "1")

    assert 'instances = ["mail"]' in (kit.workspace / "coreos-kit.toml").read_text()


def test_a_result_that_the_configuration_would_refuse_is_refused_before_anything_is_written(kit: Kit) -> None:
    kit.edit(
        "coreos-kit.toml", 'conflicts = ["apache@*.service"]  ', 'conflicts = ["apache@[78]*.service"]  '
    )
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777, 8999]  ")
    before = (kit.workspace / "coreos-kit.toml").read_text()

    ran = kit("scale", "apache", "4")

    assert (ran.code, ran.out) == (3, "")
    assert "with instances that may share a machine" in ran.err
    assert (kit.workspace / "coreos-kit.toml").read_text() == before


def test_a_thing_in_the_way_of_a_link_is_refused_before_anything_is_written(kit: Kit) -> None:
    (kit.workspace / "instances/apache@8889.service").write_text("mine")
    before = (kit.workspace / "coreos-kit.toml").read_text()

    ran = kit("scale", "apache", "3")

    assert ran.code == 3
    assert "in the way of instances/" in ran.err
    assert (kit.workspace / "coreos-kit.toml").read_text() == before


def test_a_file_with_a_syntax_error_is_refused_as_by_every_command(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "[7777, 8888]  ", "[7777, 8888  ")

    ran = kit("scale", "apache", "3")

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: coreos-kit.toml is not valid TOML\n")


def test_the_files_mode_stays_and_a_symlink_in_the_workspace_is_followed(kit: Kit) -> None:
    file = kit.workspace / "coreos-kit.toml"
    real = kit.workspace / "real.toml"
    file.rename(real)
    real.chmod(0o600)
    file.symlink_to("real.toml")

    assert kit("scale", "apache", "3").code == 0

    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert "8889" in real.read_text()


def test_a_configuration_outside_the_workspace_is_left_alone(kit: Kit, tmp_path: Path) -> None:
    file = kit.workspace / "coreos-kit.toml"
    outside = tmp_path / "outside.toml"
    file.rename(outside)
    file.symlink_to(outside)

    ran = kit("scale", "apache", "3")

    assert ran.code == 3
    assert "coreos-kit.toml leads out of" in ran.err
    assert "8889" not in outside.read_text()
