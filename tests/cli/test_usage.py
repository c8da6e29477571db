"""What every command has in common: global options, usage errors, help, completion."""

from pathlib import Path

import pytest
import typer

from coreos_kit.cli.app import app
from coreos_kit.cli.settings import hoist, wants_json
from tests.cli.conftest import Kit

# fmt: off
COMMANDS = (
    "init", "render", "link", "lint", "plan", "deploy", "verify", "status", "machines", "registrations",
    "logs", "ssh", "start", "stop", "restart", "destroy", "cordon", "uncordon", "drain",
    "image build", "image push", "image list",
    "balancer preview", "adopt", "scale", "history", "rollback", "lock show", "lock release",
    "lab up", "lab down", "lab status", "lab ssh", "lab kill", "lab revive", "lab cut", "lab heal",
)
# fmt: on


def test_these_are_all_the_commands() -> None:
    root = typer.main.get_command(app)
    found = {
        f"{name} {below}".strip()
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        for below in getattr(command, "commands", {"": None})
    }

    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_of_it(kit: Kit, command: str) -> None:
    code, out, err = kit(*command.split(), "--help")

    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: coreos-kit {command} ")
    assert f"\n  Example: coreos-kit {command}" in out


@pytest.mark.parametrize("group", [(), ("image",), ("balancer",), ("lock",), ("lab",)])
def test_no_line_of_a_command_list_is_cut_off_at_80_columns(
    kit: Kit, group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    out = kit(*group, "-h").out

    assert "Commands:\n" in out
    assert "..." not in out.partition("Commands:\n")[2]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("group", [(), ("image",), ("balancer",), ("lock",), ("lab",)])
def test_without_a_command_the_help_is_shown_and_the_code_is_2(kit: Kit, group: tuple[str, ...]) -> None:
    code, out, err = kit(*group)

    assert (code, out) == (2, "")
    assert err == kit(*group, "--help").out


def test_the_version_is_one_line(kit: Kit) -> None:
    code, out, err = kit("--version")

    assert (code, err) == (0, "")
    assert out.startswith("coreos-kit ")
    assert out.count("\n") == 1


def test_completion_can_be_shown(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash", raising=False)

    code, out, _ = kit("--show-completion")

    assert code == 0
    assert "_COREOS_KIT_COMPLETE=complete_bash" in out


@pytest.mark.parametrize(
    ("args", "error", "hint"),
    [
        (["nosuch"], "no such command 'nosuch'", "See coreos-kit --help"),
        (["stats"], "no such command 'stats'", "Did you mean status, start, restart?"),
        (["image", "pul"], "no such command 'pul'", "See coreos-kit image --help"),
        (["status", "--wathc"], "no such option: --wathc", "Did you mean --watch?"),
        (["status", "now"], "got unexpected extra argument(s) (now)", "See coreos-kit status --help"),
        (["stop"], "missing argument 'UNIT…'", "See coreos-kit stop --help"),
        (["--cluster"], "option '--cluster' requires an argument", "See coreos-kit --help"),
        (["--json"], "missing command", "See coreos-kit --help"),
        (
            ["deploy", "--timeout", "0"],
            "invalid value for '--timeout': 0 is not in the range x>=1",
            "See coreos-kit deploy --help",
        ),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_2(kit: Kit, args: list[str], error: str, hint: str) -> None:
    plain = [arg for arg in args if arg != "--json"] or ["-v"]

    code, out, err = kit(*plain)

    assert (code, out) == (2, "")
    assert err.startswith(f"error: {error}")
    assert "hint:  " in err
    assert err.count("\n") == 2
    assert hint.split(",")[0].rstrip("?") in err


def test_a_usage_error_with_json_is_an_error_object(kit: Kit) -> None:
    code, out, err = kit("status", "--nope", "--json")

    assert (code, err) == (2, "")
    assert out == (
        '{"schema": "coreos-kit/error/v1", "error": "UsageError", "message": "no such option: --nope",'
        ' "details": [], "hint": "See coreos-kit status --help", "exit_code": 2}\n'
    )


def test_an_error_with_json_is_an_object_on_stdout_and_nothing_else(kit: Kit) -> None:
    ran = kit("--json", "--cluster", "nowhere", "status")

    assert (ran.code, ran.err) == (2, "")
    assert ran.json == {
        "schema": "coreos-kit/error/v1",
        "error": "UsageError",
        "message": "no cluster nowhere in coreos-kit.toml",
        "details": [],
        "hint": "Its clusters are lab, production.",
        "exit_code": 2,
    }


@pytest.mark.parametrize(
    "args",
    [
        ("--cluster", "lab", "--json", "image", "list"),
        ("image", "--json", "list", "--cluster", "lab"),
        ("image", "list", "--cluster=lab", "--json"),
        ("image", "list", "--json", "-v", "--project", "."),
    ],
)
def test_global_options_stand_anywhere(kit: Kit, args: tuple[str, ...]) -> None:
    assert kit(*args).json["cluster"] == "lab"


def test_the_environment_names_the_cluster_and_the_option_wins(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COREOS_KIT_CLUSTER", "production")

    assert kit("image", "list", "--json").json["cluster"] == "production"
    assert kit("image", "list", "--json", "--cluster", "lab").json["cluster"] == "lab"


def test_what_stands_behind_two_dashes_is_nobody_elses() -> None:
    words = ["ssh", "core-1", "-v", "--", "docker", "ps", "--json", "--cluster", "x", "-v"]

    assert hoist(words) == ["-v", "ssh", "core-1", "--", "docker", "ps", "--json", "--cluster", "x", "-v"]
    assert not wants_json(words)


def test_an_option_without_its_value_stays_last() -> None:
    assert hoist(["status", "--cluster"]) == ["--cluster", "status"]


def test_a_current_folder_that_is_gone_is_said(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert kit("status") == (
        2,
        "",
        "error: the current folder is gone\nhint:  Go to one that is there: cd\n",
    )


def test_a_bug_is_not_dressed_up_as_an_error(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("coreos_kit.cli.show_status.status", bug)

    with pytest.raises(ZeroDivisionError):
        kit("status")
