"""plan --out and deploy --plan: exactly that plan, or none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coreos_kit.model.names import UnitName
from tests.cli.conftest import APACHE, Kit
from tests.cli.test_deploy import answers


def planned(kit: Kit, *args: str) -> Any:
    """Write plan.json and return what is in it."""
    ran = kit("plan", "--out", "plan.json", *args)
    assert ran.code == 0, ran.err
    return json.loads((kit.workspace / "plan.json").read_text())


def change(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")


def test_a_plan_that_was_kept_is_applied_as_it_is(deployed: Kit) -> None:
    change(deployed)
    kept = planned(deployed)

    code, out, _ = deployed("deploy", "--plan", "plan.json", "--yes")

    assert code == 0
    assert [step["machine"] for wave in kept["waves"] for step in wave] == ["core-1", "core-2"]
    assert "deployed: 2 changes on 2 machines\n" in out


def test_where_it_is_kept_is_said_on_stderr_so_that_stdout_is_the_plan(deployed: Kit) -> None:
    ran = deployed("plan", "--json", "--out", "plan.json")

    assert ran.json["schema"] == "coreos-kit/plan/v1"
    assert ran.err == "the plan is in plan.json; deploy --plan plan.json does exactly that, or refuses\n"


def test_the_file_says_what_is_done_and_holds_neither_texts_nor_addresses_of_secrets(deployed: Kit) -> None:
    change(deployed)
    kept = planned(deployed)

    assert kept["schema"] == "coreos-kit/plan-file/v1"
    assert (kept["project"], kept["cluster"]) == ("web", "lab")
    first = kept["waves"][0][0]["changes"][0]
    assert (first["unit"], first["verb"], first["reason"]) == (
        "apache@7777.service",
        "replace",
        "its text changed",
    )
    assert kept["images"]["user_name/apache"] == APACHE
    assert "ExecStart" not in (deployed.workspace / "plan.json").read_text()


def test_without_a_terminal_a_kept_plan_has_to_be_confirmed_like_any_other(kit: Kit) -> None:
    planned(kit)

    code, _, err = kit("deploy", "--plan", "plan.json")

    assert code == 2
    assert err.endswith("hint:  Add --yes.\n")
    assert kit.cluster.names() == []


def test_a_kept_plan_is_shown_and_asked_about(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(kit)
    answers(monkeypatch, "n\n")

    code, out, _ = kit("deploy", "--plan", "plan.json")

    assert code == 130
    assert "+ create apache@7777.service on core-1: is not there\n" in out


def stop_one(kit: Kit) -> None:
    kit.cluster.stops("apache@8888.service")


def edit_one(kit: Kit) -> None:
    kit.cluster.machines["core-1"].files[UnitName.parse("apache@7777.service")] += "# by hand\n"


def lose_one(kit: Kit) -> None:
    machine = kit.cluster.machines["core-3"]
    del machine.files[UnitName.parse("nginx_lb.service")]
    machine.active.discard(UnitName.parse("nginx_lb.service"))


def push_another_image(kit: Kit) -> None:
    kit.cluster.images["user_name/apache"] = f"sha256:{'c' * 64}"


def scale(kit: Kit) -> None:
    kit("scale", "apache", "1")


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        (stop_one, "core-2: apache@8888.service was active, and is not active"),
        (edit_one, "core-1: apache@7777.service has another text"),
        (lose_one, "core-3: nginx_lb.service is gone"),
        (push_another_image, f"the image user_name/apache was {APACHE}, and is sha256:{'c' * 64}"),
        (lambda kit: kit("cordon", "core-3"), "cordoned machines: none then, core-3 now"),
        (
            lambda kit: kit("stop", "--hold", "apache@8888"),
            "units held still: none then, apache@8888.service now",
        ),
        (scale, "the configuration: apache@8888.service is gone"),
        (
            lambda kit: kit.edit("coreos-kit.toml", "BACKGROUND", "FOREGROUND -e info"),
            "the configuration: apache@7777.service says another text",
        ),
    ],
)
def test_what_changed_since_is_named_and_nothing_is_touched(
    deployed: Kit, meanwhile: Callable[[Kit], object], said: str
) -> None:
    change(deployed)
    planned(deployed)
    meanwhile(deployed)
    deployed.cluster.log.clear()

    code, out, err = deployed("deploy", "--plan", "plan.json", "--yes")

    assert (code, out) == (3, "")
    assert err.startswith("error: the plan plan.json no longer fits; nothing was touched\n")
    assert f"       {said}\n" in err
    assert err.endswith(
        "hint:  Look at what would be done now, and keep it: coreos-kit plan --out plan.json\n"
    )
    assert deployed.cluster.log == []


def test_a_plan_that_was_carried_out_does_not_fit_a_second_time(deployed: Kit) -> None:
    change(deployed)
    planned(deployed)
    deployed("deploy", "--plan", "plan.json", "--yes")

    assert deployed("deploy", "--plan", "plan.json", "--yes").code == 3


def test_a_plan_with_nothing_to_do_fits_as_long_as_there_is_nothing_to_do(deployed: Kit) -> None:
    planned(deployed)

    first, again = (deployed("deploy", "--plan", "plan.json") for _ in range(2))

    assert (first.code, again.code) == (0, 0)
    assert "nothing to do" in again.out


def test_a_comment_in_the_configuration_is_no_change(deployed: Kit) -> None:
    change(deployed)
    planned(deployed)
    deployed.edit("coreos-kit.toml", "container_port = 80", "container_port = 80  # as ever")

    assert deployed("deploy", "--plan", "plan.json", "--yes").code == 0


def test_the_options_of_the_plan_come_with_it(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")
    change(deployed)
    kept = planned(deployed, "--skip", "core-2")

    code, out, _ = deployed("deploy", "--plan", "plan.json", "--yes", "--allow-downtime")

    assert kept["options"] == {"skip": ["core-2"], "evacuate": [], "allow_remove": []}
    assert code == 0
    assert "core-2 is skipped" in out


def test_options_beside_a_kept_plan_are_refused(deployed: Kit) -> None:
    planned(deployed)

    code, _, err = deployed("deploy", "--plan", "plan.json", "--skip", "core-1", "--yes")

    assert code == 2
    assert err.startswith("error: --plan brings --skip, --evacuate and --allow-remove with it\n")


def test_a_machine_that_came_back_is_a_change(deployed: Kit) -> None:
    deployed.cluster.goes_down("core-2")
    planned(deployed, "--skip", "core-2")
    deployed.cluster.machines["core-2"].is_down = False
    deployed.cluster.runners["core-2"].is_down = False

    err = deployed("deploy", "--plan", "plan.json", "--yes").err

    assert "       machines out of reach: core-2 then, none now\n" in err
    assert "       core-2 was not seen then, and is now\n" in err


def test_a_unit_whose_text_is_not_utf_8_is_a_change_like_any_other(deployed: Kit) -> None:
    deployed.cluster.machines["core-1"].files[UnitName.parse("apache@7777.service")] += "Foo=f\udcfcr\n"
    planned(deployed)

    code, out, _ = deployed("deploy", "--plan", "plan.json", "--yes")

    assert code == 0
    assert "-Foo=f\\udcfcr\n" in out


def test_a_plan_of_another_cluster_or_project_is_refused_with_the_option_to_say(
    deployed: Kit, tmp_path: Path
) -> None:
    planned(deployed)
    deployed.edit("coreos-kit.toml", "[clusters.lab]", '[clusters.trial]\nlab = "trial"\n\n[clusters.lab]')

    other = deployed("deploy", "--plan", "plan.json", "--cluster", "trial", "--yes")
    deployed.edit("coreos-kit.toml", 'name = "web"', 'name = "shop"')
    renamed = deployed("deploy", "--plan", "plan.json", "--yes")

    assert (other.code, renamed.code) == (3, 3)
    assert other.err == (
        "error: the plan plan.json is of the cluster lab, and this is trial; nothing was touched\n"
        "hint:  Say which: --cluster lab\n"
    )
    assert "is of the project web, and this is shop" in renamed.err


def edited(text: str, **keys: object) -> str:
    return json.dumps({**json.loads(text), **keys})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda text: text.replace("core-1", "core-2"),
            "has been edited since coreos-kit plan --out wrote it",
        ),
        (lambda text: edited(text, surprise=1), "has been edited since coreos-kit plan --out wrote it"),
        (lambda text: edited(text, kit="9.9.9"), "was made by coreos-kit 9.9.9, and this is "),
        (lambda text: edited(text, schema="x"), "its schema is not coreos-kit/plan-file/v1"),
        (lambda text: text[:100], "is no plan of coreos-kit plan --out: "),
        (lambda _: "[1, 2]", "is no plan of coreos-kit plan --out: "),
        (lambda _: "[" * 100_000, "is no plan of coreos-kit plan --out: "),
        (lambda _: "\udcff", "is no plan of coreos-kit plan --out: "),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(
    deployed: Kit, edit: Callable[[str], str], said: str
) -> None:
    planned(deployed)
    file = deployed.workspace / "plan.json"
    file.write_bytes(edit(file.read_text()).encode("utf-8", "surrogateescape"))

    code, out, err = deployed("deploy", "--plan", "plan.json", "--yes")

    assert (code, out) == (3, "")
    assert said in err


def test_white_space_is_no_edit(deployed: Kit) -> None:
    planned(deployed)
    file = deployed.workspace / "plan.json"
    file.write_text(json.dumps(json.loads(file.read_text())))

    assert deployed("deploy", "--plan", "plan.json", "--yes").code == 0


def test_a_plan_file_that_is_not_there_is_wrong_usage(deployed: Kit) -> None:
    code, _, err = deployed("deploy", "--plan", "nowhere.json", "--yes")

    assert code == 2
    assert err == (
        "error: the plan nowhere.json can't be read: No such file or directory\n"
        "hint:  Write one with: coreos-kit plan --out nowhere.json\n"
    )
