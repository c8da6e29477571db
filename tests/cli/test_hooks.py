"""Hooks of a workspace: what they are told, what they can stop, and what they can't."""

from pathlib import Path

import pytest

from coreos_kit.model.names import UnitName
from tests.cli.conftest import Kit

FACTS = r"{ env | grep ^COREOS_KIT_ | LC_ALL=C sort | sed 's/^COREOS_KIT_//' | tr '\n' ' '; echo; }"


def hook(kit: Kit, name: str, script: str = f'{FACTS} >> "$PWD/said"') -> Path:
    """Write a hook; the example's appends a line with its facts to the file `said`."""
    path = kit.workspace / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def said(kit: Kit) -> list[str]:
    file = kit.workspace / "said"
    return file.read_text().splitlines() if file.exists() else []


def change(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")


def test_hooks_are_told_what_is_about_to_happen_and_what_has(deployed: Kit) -> None:
    for name in ("pre-deploy", "post-deploy", "pre-instance", "post-instance"):
        hook(deployed, name)
    change(deployed)

    assert deployed("deploy", "--yes").code == 0

    common = "CLUSTER=lab COMMAND=coreos-kit deploy "
    first = "MACHINE=core-1 PRIVATE_IP=10.132.1.11 PROJECT=web UNIT=apache@7777.service"
    second = "MACHINE=core-2 PRIVATE_IP=10.132.1.12 PROJECT=web UNIT=apache@8888.service"
    first += " UNITS=apache@7777.service apache-discovery@7777.service VERB=replace "
    second += " UNITS=apache@8888.service apache-discovery@8888.service VERB=replace "
    assert said(deployed) == [
        f"CHANGES=2 {common}HOOK=pre-deploy PROJECT=web ",
        f"{common}GOING_BACK= HOOK=pre-instance {first}",
        f"{common}GOING_BACK= HOOK=post-instance {first}",
        f"{common}GOING_BACK= HOOK=pre-instance {second}",
        f"{common}GOING_BACK= HOOK=post-instance {second}",
        f"CHANGES=2 {common}EXIT_CODE=0 HOOK=post-deploy PROJECT=web RESULT=done ",
    ]


def test_each_instance_of_a_first_deploy_has_its_hook(kit: Kit) -> None:
    hook(kit, "pre-instance", 'echo "$COREOS_KIT_UNIT $COREOS_KIT_VERB" >> said')

    kit("deploy", "--yes")

    assert said(kit) == [
        "apache@7777.service create",
        "apache@8888.service create",
        "nginx_lb.service create",
    ]


def test_an_instance_that_goes_has_its_hook_too(deployed: Kit) -> None:
    hook(deployed, "pre-instance", 'echo "$COREOS_KIT_UNIT $COREOS_KIT_VERB" >> said')
    deployed("scale", "apache", "1")

    deployed("deploy", "--yes")

    assert said(deployed) == ["apache@8888.service remove"]


def test_draining_a_machine_runs_hooks_too(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", '"nginx.service", "apache@*.service"', '"nginx.service"')
    kit("deploy", "--yes")
    hook(kit, "pre-instance", 'echo "$COREOS_KIT_COMMAND: $COREOS_KIT_VERB on $COREOS_KIT_MACHINE" >> said')

    ran = kit("drain", "core-1", "--yes")

    assert ran.code == 0, ran.err
    assert said(kit) == [
        "coreos-kit drain core-1: remove on core-1",
        "coreos-kit drain core-1: move on core-3",
    ]


def test_going_back_to_a_release_runs_hooks_too(deployed: Kit) -> None:
    change(deployed)
    deployed("deploy", "--yes")
    hook(deployed, "pre-deploy", 'echo "$COREOS_KIT_COMMAND" >> said')
    hook(deployed, "post-instance", 'echo "$COREOS_KIT_UNIT" >> said')

    ran = deployed("rollback", "--yes")

    assert ran.code == 0, ran.err
    assert said(deployed) == ["coreos-kit rollback 1", "apache@7777.service", "apache@8888.service"]


def test_a_deploy_with_nothing_to_do_runs_no_hook(deployed: Kit) -> None:
    hook(deployed, "pre-deploy")
    hook(deployed, "post-deploy")

    assert deployed("deploy").code == 0
    assert said(deployed) == []


def test_plan_runs_no_hook(kit: Kit) -> None:
    hook(kit, "pre-deploy")

    assert kit("plan").code == 0
    assert said(kit) == []


def test_a_pre_deploy_hook_that_fails_stops_before_anything_is_touched(deployed: Kit) -> None:
    hook(deployed, "pre-deploy", "echo not today; exit 7")
    hook(deployed, "post-deploy")
    change(deployed)

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    assert err == (
        "pre-deploy: not today\n"
        "error: the hook pre-deploy failed with exit code 7, so nothing was touched\n"
        "hint:  Look at hooks/pre-deploy.\n"
    )
    assert deployed.cluster.log == []
    assert said(deployed) == []


def test_a_pre_instance_hook_that_fails_stops_the_deploy_at_that_instance(deployed: Kit) -> None:
    hook(deployed, "pre-instance", '[ "$COREOS_KIT_UNIT" != apache@8888.service ]')
    hook(deployed, "post-deploy")
    change(deployed)

    code, _, err = deployed("deploy", "--yes")

    assert code == 5
    assert (
        "the hook pre-instance failed with exit code 1: apache@8888.service on core-2 was left as it was"
        in err
    )
    assert "EXIT_CODE=5 " in said(deployed)[-1]
    machine = deployed.cluster.machines["core-2"]
    assert "FOREGROUND" in machine.files[UnitName.parse("apache@8888.service")]


@pytest.mark.parametrize("name", ["post-deploy", "post-instance"])
def test_a_post_hook_that_fails_is_said_and_changes_nothing(deployed: Kit, name: str) -> None:
    hook(deployed, name, "exit 3")
    change(deployed)

    code, out, err = deployed("deploy", "--yes")

    assert code == 0
    assert out.endswith("verified: all 18 links hold\nrecorded as release 2\n")
    assert f"the hook {name} failed with exit code 3; that changes nothing\n" in err


@pytest.mark.parametrize(
    ("more", "result"), [(["--no-rollback"], "failed 6"), ([], "rolled back 5")], ids=["left", "put back"]
)
def test_post_deploy_hears_how_a_deploy_failed(deployed: Kit, more: list[str], result: str) -> None:
    hook(deployed, "post-deploy", 'echo "$COREOS_KIT_RESULT $COREOS_KIT_EXIT_CODE" >> said')
    change(deployed)
    deployed.cluster.broken_text = "BACKGROUND"

    deployed("deploy", "--yes", *more)

    assert said(deployed) == [result]


def test_hooks_follow_a_deploy_that_goes_back_and_cannot_stop_it(deployed: Kit) -> None:
    hook(
        deployed,
        "pre-instance",
        'echo "$COREOS_KIT_UNIT ${COREOS_KIT_GOING_BACK:-on}" >> said; [ -z "$COREOS_KIT_GOING_BACK" ]',
    )
    hook(deployed, "post-deploy", 'echo "$COREOS_KIT_RESULT" >> said')
    change(deployed)
    deployed.cluster.broken_text = "BACKGROUND"

    ran = deployed("deploy", "--yes", "--timeout", "5")

    assert ran.code == 5
    assert said(deployed) == ["apache@7777.service on", "apache@7777.service yes", "rolled back"]
    assert "the hook pre-instance failed with exit code 1; that changes nothing\n" in ran.err
    assert "FOREGROUND" in deployed.cluster.machines["core-1"].files[UnitName.parse("apache@7777.service")]


def test_what_a_hook_says_goes_to_stderr_with_its_control_characters_shown(deployed: Kit) -> None:
    hook(deployed, "pre-deploy", "printf '\\033[2Jgone\\n'; echo loud >&2")
    change(deployed)

    ran = deployed("deploy", "--yes", "--json")

    assert ran.json["changed"] is True
    assert "pre-deploy: \\x1b[2Jgone\n" in ran.err
    assert "pre-deploy: loud\n" in ran.err


def test_a_hook_runs_in_its_workspace_from_wherever_the_kit_is_called(
    deployed: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(deployed, "pre-deploy", "pwd -P > said")
    change(deployed)
    monkeypatch.chdir(tmp_path)

    deployed("--project", str(deployed.workspace), "deploy", "--yes")

    assert said(deployed) == [str(deployed.workspace.resolve())]


def test_a_hook_that_is_not_executable_is_refused_before_anything_is_touched(deployed: Kit) -> None:
    hook(deployed, "post-instance").chmod(0o644)
    change(deployed)

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    assert "error: a hook can't be run, so nothing was touched\n" in err
    assert "       hooks/post-instance is not executable\n" in err
    assert err.endswith("hint:  Make it executable, or take it away: chmod +x hooks/post-instance\n")
    assert deployed.cluster.log == []


def test_a_hook_outside_the_workspace_is_refused(deployed: Kit, tmp_path: Path) -> None:
    outside = tmp_path / "evil"
    outside.write_text("#!/bin/sh\ntouch pwned\n")
    outside.chmod(0o755)
    (deployed.workspace / "hooks").mkdir()
    (deployed.workspace / "hooks/pre-deploy").symlink_to(outside)
    change(deployed)

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    assert "hooks/pre-deploy leads out of the workspace" in err


def test_a_hook_without_an_interpreter_is_said_to_be_one(deployed: Kit) -> None:
    hook(deployed, "pre-deploy").write_text("echo hello\n")
    change(deployed)

    code, _, err = deployed("deploy", "--yes")

    assert code == 3
    assert "the hook pre-deploy can't be started: Exec format error, so nothing was touched" in err


def test_other_files_beside_the_hooks_are_not_run(deployed: Kit) -> None:
    hook(deployed, "pre-deploy.sample")
    hook(deployed, "README")
    change(deployed)

    assert deployed("deploy", "--yes").code == 0
    assert said(deployed) == []


def test_an_executable_whose_name_is_nearly_a_hooks_is_said_not_to_be_run(deployed: Kit) -> None:
    hook(deployed, "pre_deploy")
    change(deployed)

    err = deployed("deploy", "--yes").err

    assert "hooks/pre_deploy is not run; did you mean pre-deploy?\n" in err
