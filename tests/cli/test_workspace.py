"""init, render, link and lint: the workspace on disk."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Kit


def test_init_writes_a_workspace_that_needs_neither_render_nor_link(kit: Kit, tmp_path: Path) -> None:
    code, out, err = kit("init", str(tmp_path / "new"))

    assert (code, err) == (0, "")
    assert out.startswith(f"workspace in {tmp_path / 'new'}: ")
    assert kit("--project", str(tmp_path / "new"), "render", "--check").code == 0
    assert kit("--project", str(tmp_path / "new"), "link", "--check").code == 0
    assert kit("--project", str(tmp_path / "new"), "lint").code == 0


def test_init_again_leaves_everything_as_it_is(kit: Kit) -> None:
    body = kit("init", "--json").json

    assert body["schema"] == "coreos-kit/init/v1"
    assert body["written"] == []


def test_init_is_refused_where_it_would_overwrite(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "7777", "7000")

    code, out, err = kit("init")

    assert (code, out) == (3, "")
    assert err.startswith("error: 1 file is in the way of a new workspace in ")
    assert "       coreos-kit.toml differs\n" in err


def test_render_says_what_it_changed_and_then_nothing(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    first, again = kit("render"), kit("render")

    assert first == (0, "change templates/apache@.service\n1 changed, 2 as they should be\n", "")
    assert again == (0, "0 changed, 3 as they should be\n", "")


def test_render_check_exits_1_on_drift_and_writes_nothing(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    before = (kit.workspace / "templates/apache@.service").read_text()

    code, out, _ = kit("render", "--check", "--diff")

    assert code == 1
    assert out.startswith("change templates/apache@.service\n    --- a/templates/apache@.service\n")
    assert out.endswith("1 behind, 2 as they should be\n")
    assert (kit.workspace / "templates/apache@.service").read_text() == before


def test_render_in_json_holds_the_diff(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    ran = kit("render", "--check", "--json")

    assert ran.code == 1
    assert ran.json["schema"] == "coreos-kit/render/v1"
    assert [change["verb"] for change in ran.json["changes"]] == ["change"]
    assert "BACKGROUND" in ran.json["changes"][0]["diff"]


def test_another_clusters_units_go_where_output_says(kit: Kit, tmp_path: Path) -> None:
    code, out, _ = kit("render", "--cluster", "production", "--output", str(tmp_path / "there"))

    assert code == 0
    assert "create templates/apache@.service\n" in out
    assert (tmp_path / "there/static/nginx_lb.service").is_file()


def test_link_makes_and_removes_what_the_configuration_says(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777, 9999]  ")

    checked = kit("link", "--check")
    linked = kit("link")

    assert checked.code == 1
    assert linked == (
        0,
        (
            "create instances/apache@9999.service\n"
            "create instances/apache-discovery@9999.service\n"
            "remove instances/apache-discovery@8888.service\n"
            "remove instances/apache@8888.service\n"
            "4 changed, 2 as they should be\n"
        ),
        "",
    )
    assert kit("link", "--check", "--json").json["created"] == []


def test_lint_of_the_example_finds_nothing(kit: Kit) -> None:
    assert kit("lint") == (0, "7 files: 0 errors, 0 warnings\n", "")


def test_lint_warns_of_files_that_are_behind_what_they_are_rendered_from(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    said, alone = kit("lint"), kit("lint", "templates")

    assert (said.code, said.out) == (0, "7 files: 0 errors, 0 warnings\n")
    assert said.err == (
        "warning: templates/apache@.service is behind the configuration, or edited by hand;"
        " deploy doesn't read such files (coreos-kit render --check --diff)\n"
    )
    assert (alone.code, alone.err) == (0, "")


def test_lint_exits_1_with_file_line_and_rule(kit: Kit) -> None:
    (kit.workspace / "static/odd.service").write_text("[Service]\nExecStart=\n[X-Fleet]\nConflict=a\n")

    code, out, _ = kit("lint", "static")
    body = kit("lint", "static", "--json")

    assert code == body.code == 1
    assert "static/odd.service:" in out
    assert body.json["schema"] == "coreos-kit/lint/v1"
    assert body.json["ok"] is False


def test_lint_of_nothing_is_an_error_never_ok(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert kit("lint", str(tmp_path / "empty")).code == 1
    assert kit("lint", str(tmp_path / "nowhere")) == (
        1,
        "",
        f"error: there is no {tmp_path / 'nowhere'}\nhint:  Name a unit file or a folder of them.\n",
    )


@pytest.mark.parametrize("command", ["status", "plan", "render", "lint"])
def test_a_folder_without_a_configuration_is_refused_with_the_way_to_make_one(
    kit: Kit, tmp_path: Path, command: str
) -> None:
    code, out, err = kit("--project", str(tmp_path), command)

    assert (code, out) == (3, "")
    assert err == (
        f"error: no coreos-kit.toml in {tmp_path}\nhint:  Write one with: coreos-kit init {tmp_path}\n"
    )


def test_every_error_of_the_configuration_is_shown_at_once(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "container_port", "contaner_port")
    kit.edit("coreos-kit.toml", "ttl_s = 30", 'ttl_s = "30"')

    code, _, err = kit("plan")
    body = json.loads(kit("plan", "--json").out)

    assert code == 3
    assert "container_port" in err
    assert "ttl_s" in err
    assert (body["error"], body["exit_code"]) == ("InvalidConfig", 3)
    assert len(body["details"]) >= 2
