"""Releases at the command line: recorded, listed, compared, gone back to; and never without their seal."""

import json
import os
import signal
import sys
from dataclasses import replace
from io import StringIO

import pytest

from coreos_kit.cli import asking, output
from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.keys import release_key, text_key
from coreos_kit.model.names import UnitName
from coreos_kit.model.release import Release, Revision, digest_of
from coreos_kit.model.secret import Secret
from coreos_kit.ports import Change, Glance, UnitOutcome
from coreos_kit.testing.checkout import FakeCheckout
from coreos_kit.units.stamp import stamped
from tests.cli.conftest import APACHE, Kit
from tests.docs.json_shapes import assert_documented, documented

OLD, NEW = "FOREGROUND", "BACKGROUND"
UNIT = UnitName.parse("apache@7777.service")
HEAD, LATER = "1" * 40, "2" * 40


AT = "2026-09-21T14:13:20Z"


@pytest.fixture
def second(deployed: Kit) -> Kit:
    """A cluster with two releases, the second of which runs."""
    deployed.edit("coreos-kit.toml", OLD, NEW)
    assert deployed("deploy", "--yes").code == 0
    deployed.cluster.log.clear()
    return deployed


def manifest(kit: Kit, number: int) -> dict[str, object]:
    found: dict[str, object] = json.loads(kit.cluster.kept.keys[release_key("web", number)].value)
    return found


def running(kit: Kit) -> str:
    return kit.cluster.machines["core-1"].files[UNIT]


def test_a_deploy_is_recorded_with_who_when_from_what_and_every_unit(deployed: Kit) -> None:
    shown = deployed("history", "1", "--json").json

    assert {key: shown[key] for key in ("number", "outcome", "kit", "command", "back_to", "before")} == {
        "number": 1, "outcome": "deployed", "kit": "0.1.0", "command": "coreos-kit deploy", "back_to": None,
        "before": None,
    }  # fmt: skip
    assert shown["at"] == "2026-09-21T14:13:20Z"
    assert [(unit["unit"], unit["machines"]) for unit in shown["has"]] == [
        ("apache@7777.service", ["core-1"]), ("apache-discovery@7777.service", ["core-1"]),
        ("apache@8888.service", ["core-2"]), ("apache-discovery@8888.service", ["core-2"]),
        ("nginx_lb.service", ["core-3"]),
    ]  # fmt: skip
    assert shown["digests"]["user_name/apache"] == APACHE
    assert shown["has"][0]["digest"] == digest_of(running(deployed))
    kept = deployed.cluster.kept.keys
    assert kept[text_key("web", digest_of(running(deployed)))].value == running(deployed)
    configuration = (deployed.workspace / "coreos-kit.toml").read_text()
    assert kept[text_key("web", str(manifest(deployed, 1)["configuration"]))].value == configuration


def test_a_release_keeps_the_configuration_that_was_deployed_and_not_what_it_has_become_since(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = deployed.cluster.create
    deployed.edit("coreos-kit.toml", OLD, NEW)
    configuration = (deployed.workspace / "coreos-kit.toml").read_text()

    def edited_meanwhile(key: str, value: str, ttl_s: int) -> str | None:
        deployed.edit("coreos-kit.toml", NEW, "NO_DETACH")
        return create(key, value, ttl_s)

    monkeypatch.setattr(deployed.cluster, "create", edited_meanwhile)
    assert deployed("deploy", "--yes").code == 0

    kept = deployed.cluster.kept.keys
    assert NEW in running(deployed)
    assert kept[text_key("web", str(manifest(deployed, 2)["configuration"]))].value == configuration


def test_a_deploy_with_nothing_to_do_records_nothing(deployed: Kit) -> None:
    before = dict(deployed.cluster.kept.keys)

    again = deployed("deploy", "--json").json

    assert again["release"] is None
    assert deployed.cluster.kept.keys == before
    assert deployed.cluster.log == []


def test_what_stands_and_was_never_recorded_is_recorded_by_the_next_deploy(deployed: Kit) -> None:
    deployed.cluster.kept.keys.clear()

    code, out, _ = deployed("deploy")

    assert code == 0
    assert out.startswith("nothing to do")
    assert out.endswith("recorded as release 2\n")  # the machines still know of a release 1


def test_history_lists_releases_and_says_which_is_the_current(second: Kit) -> None:
    code, out, err = second("history")

    listed = second("history", "--json").json
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["RELEASE", "OUTCOME"], ["1", "deployed"], ["2", "deployed,"],
    ]  # fmt: skip
    assert (listed["current"], [one["number"] for one in listed["releases"]]) == (2, [1, 2])


def test_history_of_a_cluster_without_releases_says_so(kit: Kit) -> None:
    assert kit("history") == (0, "no release is recorded yet: coreos-kit deploy\n", "")


def test_history_of_one_shows_the_diff_to_the_one_before(second: Kit) -> None:
    _, out, _ = second("history", "2")

    shown = second("history", "2", "--json").json
    assert "beside release 1:\n~ replace apache@7777.service: its text changed\n" in out
    assert out.count("@@ ") == 2  # instances share theirs, and one is the configuration's
    assert "release 1: coreos-kit.toml" in out
    assert shown["before"] == 1
    assert [change["unit"] for change in shown["changes"]] == ["apache@7777.service", "apache@8888.service"]
    assert any(line.startswith("+command = ") for line in shown["configuration_diff"])


def test_a_release_that_is_not_there_is_an_error_that_says_which_are(deployed: Kit) -> None:
    code, out, err = deployed("history", "9")

    assert (code, out) == (1, "")
    assert err == "error: there is no release 9\nhint:  There are 1.\n"


def test_rollback_goes_back_to_the_release_before_as_a_new_one(second: Kit) -> None:
    code, out, err = second("rollback", "--yes")

    assert code == 0
    assert "~ replace apache@7777.service on core-1: its text changed\n" in out
    assert out.splitlines()[-3:] == [
        "went back to release 1: 2 changes on 2 machines",
        "verified: all 18 links hold",
        "recorded as release 3",
    ]
    assert err.index("core-1: ") < err.index("core-2: ")
    assert OLD in running(second)
    assert manifest(second, 3)["back_to"] == 1
    assert manifest(second, 3)["configuration"] == manifest(second, 1)["configuration"]
    assert "3        deployed, back to 1, current" in second("history").out


def test_after_a_rollback_the_plan_says_that_the_configuration_is_ahead(second: Kit) -> None:
    second("rollback", "--yes")

    planned = second("plan", "--json").json

    assert [change["unit"] for change in planned["changes"]] == ["apache@7777.service", "apache@8888.service"]
    assert (
        "release 3 went back to release 1: where this plan differs, the configuration is ahead of what is"
        " deployed (coreos-kit history 3)"
    ) in planned["notes"]


def test_what_verify_misses_after_a_rollback_may_be_what_that_took_away(deployed: Kit) -> None:
    both = "[7777, 8888]"
    deployed.edit("coreos-kit.toml", both, "[7777]")
    assert deployed("deploy", "--yes").code == 0
    deployed.edit("coreos-kit.toml", "[7777]", both)
    assert deployed("deploy", "--yes").code == 0
    assert "note:" not in deployed("verify").err
    assert deployed("rollback", "--yes").code == 0

    code, out, err = deployed("verify")

    assert (code, "it stands on no machine" in out) == (1, True)
    assert err == (
        "note: release 4 went back to release 2: what the configuration has beyond that is missed here,"
        " and would come back with a deploy\n"
    )


def test_rolling_back_twice_goes_further_back_and_never_to_and_fro(second: Kit) -> None:
    second.edit("coreos-kit.toml", NEW, "NO_DETACH")
    second("deploy", "--yes")

    first = second("rollback", "--yes", "--json").json
    then = second("rollback", "--yes", "--json").json
    end = second("rollback", "--yes")

    assert (first["back_to"], first["release"]) == (2, 4)
    assert (then["back_to"], then["release"]) == (1, 5)
    assert (end.code, end.err) == (
        3, "error: there is no release before 1 that differs from it\nhint:  See them: coreos-kit history\n",
    )  # fmt: skip


def test_rollback_to_a_number_goes_forward_as_well(second: Kit) -> None:
    second("rollback", "--yes")

    done = second("rollback", "2", "--yes", "--json").json

    assert (done["schema"], done["back_to"], done["release"]) == ("coreos-kit/rollback/v1", 2, 4)
    assert NEW in running(second)


def test_rollback_to_what_runs_does_nothing(second: Kit) -> None:
    code, out, _ = second("rollback", "2")

    assert code == 0
    assert out == (
        f"going back to release 2 of {AT}, by anna@desk\n"
        "nothing to do: every unit is as the configuration says\nverified: all 18 links hold\n"
    )


def test_rollback_says_where_it_goes_before_it_shows_the_diffs_and_asks(second: Kit) -> None:
    asked, as_json = second("rollback"), second("rollback", "--json")

    assert (asked.code, as_json.code) == (2, 2)
    assert asked.out.startswith(f"going back to release 1 of {AT}, by anna@desk\n~ replace apache@7777")
    assert as_json.err.startswith("going back to release 1 of ")


def test_rollback_asks_and_needs_a_terminal_or_yes(second: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = second("rollback")
    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", StringIO("n\n"))

    declined = second("rollback")

    assert (silent.code, declined.code) == (2, 130)
    assert second.cluster.log == []


def test_rollback_brings_back_a_service_that_the_configuration_has_no_more(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777]  ")
    deployed("deploy", "--yes")

    assert deployed("rollback", "--yes").code == 0
    assert "core-2/apache@8888.service" in deployed.cluster.names()


def test_rollback_uses_the_images_of_then_by_their_digests(deployed: Kit) -> None:
    deployed.cluster.images["user_name/apache"] = f"sha256:{'c' * 64}"
    deployed("deploy", "--yes")
    deployed.cluster.images.clear()  # the registry has none of the tags any more

    done = deployed("rollback", "--yes", "--json").json

    assert done["digests"]["user_name/apache"] == APACHE
    assert f"user_name/apache@{APACHE}" in running(deployed)


def test_without_a_release_there_is_none_to_go_back_to(kit: Kit) -> None:
    kit("plan")

    code, _, err = kit("rollback", "--yes")

    assert code == 3
    assert err.startswith("error: there is no release yet, so none to go back to\n")


def test_what_is_printed_as_json_is_what_the_readme_says(second: Kit) -> None:
    shapes = documented()

    for args in (
        ["history"], ["history", "2"], ["rollback", "--yes"], ["deploy", "--yes"], ["lock", "show"],
        ["lock", "release"],
    ):  # fmt: skip
        assert_documented(second(*args, "--json").json, shapes)


# Seals


def forged(kit: Kit, number: int, of: int = 1) -> None:
    """Write a release into etcd by hand, as anybody can who may write there: it runs what they like."""
    release = Release.parse(of, kit.cluster.kept.keys[release_key("web", of)].value)
    text = stamped(running(kit).replace("ExecStart=", "ExecStartPre=/bin/evil\nExecStart="))
    evil = replace(release.units[0].text, digest=digest_of(text))
    units = (replace(release.units[0], text=evil), *release.units[1:])
    kit.cluster.kept.put(text_key("web", digest_of(text)), text)
    kit.cluster.kept.put(release_key("web", number), replace(release, number=number, units=units).manifest())


def test_a_release_that_somebody_wrote_into_etcd_is_not_gone_back_to(second: Kit) -> None:
    forged(second, 7)

    code, out, err = second("rollback", "7", "--yes")

    assert (code, out) == (3, "")
    assert err == (
        "error: release 7 is not what was deployed, as far as the machines know; nothing was touched\n"
        "       core-1, core-2, core-3: they have sealed no such release\n"
        "hint:  Somebody may have written it into etcd by hand. Check out that revision, and deploy it.\n"
    )
    assert second.cluster.log == []


def test_history_of_one_says_whether_the_machines_vouch_for_it(second: Kit) -> None:
    forged(second, 7)

    good, bad = second("history", "1"), second("history", "7")
    seals = [second("history", number, "--json").json["seal"] for number in ("1", "7")]

    assert good.code == bad.code == 0
    assert "most machines vouch for it\n    core-1, core-2, core-3: they vouch for it\n" in good.out
    assert (
        "rollback refuses it: too few machines vouch for it\n"
        "    core-1, core-2, core-3: they have sealed no such release\n"
    ) in bad.out
    nobody: dict[str, object] = {"matching": [], "differing": [], "lacking": [], "silent": []}
    assert seals == [
        {**nobody, "holds": True, "matching": ["core-1", "core-2", "core-3"]},
        {**nobody, "holds": False, "lacking": ["core-1", "core-2", "core-3"]},
    ]


def test_history_of_one_names_the_machines_that_say_nothing(second: Kit) -> None:
    second.cluster.files.silent = {"core-3"}

    out, shown = second("history", "1").out, second("history", "1", "--json").json

    assert (
        "most machines vouch for it\n"
        "    core-1, core-2: they vouch for it\n"
        "    core-3: core-3 does not answer\n"
    ) in out
    assert shown["seal"]["silent"] == [{"machine": "core-3", "error": "core-3 does not answer"}]


def test_a_release_that_somebody_has_changed_in_etcd_is_not_gone_back_to(second: Kit) -> None:
    forged(second, 1)

    code, _, err = second("rollback", "--yes")

    assert code == 3
    assert "       core-1, core-2, core-3: they have sealed another manifest of that number\n" in err
    assert second.cluster.log == []


def test_a_text_that_somebody_has_changed_in_etcd_is_not_gone_back_to(second: Kit) -> None:
    digest = manifest(second, 1)["texts"][0][0]  # type: ignore[index]
    second.cluster.kept.put(text_key("web", digest), "[Service]\nExecStart=/bin/evil\n")

    code, _, err = second("rollback", "--yes")

    assert code == 3
    assert f"the text {digest[:16]}… in etcd is not the one that was deployed" in err
    assert second.cluster.log == []


def test_a_text_that_is_gone_is_said_to_be(second: Kit) -> None:
    digest = manifest(second, 1)["texts"][0][0]  # type: ignore[index]
    del second.cluster.kept.keys[text_key("web", digest)]

    assert f"etcd has no text {digest[:16]}…" in second("rollback", "--yes").err
    assert "this text is not in etcd any more" in second("history", "2").out


def test_one_machine_that_lies_does_not_decide(second: Kit) -> None:
    forged(second, 7)
    files = second.cluster.files.machines["core-2"]
    files["releases/00000007"] = Secret(
        digest_of(second.cluster.kept.keys[release_key("web", 7)].value).encode()
    )

    code, _, err = second("rollback", "7", "--yes")

    assert code == 3
    assert "       core-2: they vouch for it\n" in err


def test_seals_are_roots_files_that_no_later_plan_takes_away(second: Kit) -> None:
    assert set(second.cluster.files.machines["core-1"]) == {
        "digest.key", "releases/00000001", "releases/00000002",
    }  # fmt: skip
    assert second("plan", "--exit-code").code == 0


def test_a_machine_that_can_not_be_sealed_is_named_and_the_others_decide(deployed: Kit) -> None:
    deployed.cluster.files.broken = {"core-3"}
    deployed.edit("coreos-kit.toml", OLD, NEW)

    code, _, err = deployed("deploy", "--yes")

    assert code == 0
    assert "core-3 has not sealed release 2: core-3: no space left on device\n" in err
    deployed.cluster.files.broken = set()
    assert deployed("rollback", "--yes").code == 0
    assert deployed("rollback", "2", "--yes").code == 0


def test_numbers_go_on_where_etcd_has_lost_its_releases(second: Kit) -> None:
    second.cluster.kept.keys.clear()
    second.edit("coreos-kit.toml", NEW, "NO_DETACH")

    assert second("deploy", "--yes", "--json").json["release"] == 3


def test_the_last_ten_are_kept_with_the_texts_that_they_need_and_no_others(second: Kit) -> None:
    for number in range(12):
        second.edit("coreos-kit.toml", f"{NEW}{'_X' * number}", f"{NEW}{'_X' * (number + 1)}")
        assert second("deploy", "--yes").code == 0

    kept = second.cluster.kept.keys
    numbers = [int(key.rpartition("/")[2]) for key in kept if "/releases/" in key]
    texts = {key.rpartition("/")[2] for key in kept if "/texts/" in key}
    needed = {
        text
        for number in numbers
        for text in Release.parse(number, kept[release_key("web", number)].value).texts
    }
    assert numbers == list(range(5, 15))
    assert texts == needed
    assert sorted(second.cluster.files.machines["core-1"]) == [
        "digest.key", *(f"releases/{number:08}" for number in numbers),
    ]  # fmt: skip


# What fails


def test_a_deploy_that_fails_is_in_the_history_and_can_not_be_gone_back_to(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", OLD, NEW)
    deployed.cluster.broken_text = NEW
    assert deployed("deploy", "--yes").code == 5

    listed = deployed("history", "--json").json
    refused = deployed("rollback", "2", "--yes")

    assert listed["current"] == 1
    assert listed["releases"][1]["outcome"] == "rolled back"
    assert "apache@7777.service did not come up" in listed["releases"][1]["error"]
    assert deployed("history", "2", "--json").json["seal"] is None
    assert refused.code == 3
    assert "error: 2 can't be gone back to: that deploy ended as rolled back\n" in refused.err


def test_an_interrupted_deploy_is_in_the_history(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.edit("coreos-kit.toml", OLD, NEW)
    apply = deployed.cluster.apply

    def interrupted(change: Change) -> tuple[UnitOutcome, ...]:
        raise KeyboardInterrupt

    monkeypatch.setattr(deployed.cluster, "apply", interrupted)
    assert deployed("deploy", "--yes").code == 130
    monkeypatch.setattr(deployed.cluster, "apply", apply)

    assert deployed("history", "--json").json["releases"][1]["outcome"] == "interrupted"


def test_a_deploy_of_a_cancelled_job_lets_in_what_it_held_out_and_gives_the_lock_back(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", OLD, NEW)
    hold_out = deployed.cluster.hold_out

    def cancelled(*args: object) -> Glance:
        hold_out(*args)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("nobody heard the signal")

    monkeypatch.setattr(deployed.cluster, "hold_out", cancelled)

    assert deployed("deploy", "--yes").code == 130
    assert deployed.cluster.machines["core-1"].held_out == set()
    assert not any(key.endswith("/lock") for key in deployed.cluster.kept.keys)
    assert deployed("history", "--json").json["releases"][1]["outcome"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_deploy_whose_reader_has_gone_is_in_the_history(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `coreos-kit deploy --yes 2>&1 | head`."""
    deployed.edit("coreos-kit.toml", OLD, NEW)
    say = output.say

    def nobody_reads(text: str) -> None:
        if text.startswith("core-2: "):
            raise BrokenPipeError
        say(text)

    monkeypatch.setattr(output, "say", nobody_reads)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1)
    code = deployed("deploy", "--yes").code
    monkeypatch.setattr(output, "say", say)

    assert code == 141
    assert deployed("history", "--json").json["releases"][1]["outcome"] == "interrupted"


def test_what_was_refused_before_anything_was_touched_is_not_in_the_history(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "instances = [7777, 8888]  ", "instances = [7777, 8888, 9991, 9992]  ")
    assert deployed("deploy", "--yes").code == 3

    assert [one["number"] for one in deployed("history", "--json").json["releases"]] == [1]


def test_whoever_has_lost_the_lock_writes_no_history(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.edit("coreos-kit.toml", OLD, NEW)
    apply = deployed.cluster.apply

    def loses(change: Change) -> tuple[UnitOutcome, ...]:
        deployed.cluster.kept.keys.pop("/coreos-kit/v1/web/lock", None)
        return apply(change)

    monkeypatch.setattr(deployed.cluster, "apply", loses)
    assert deployed("deploy", "--yes").code == 6
    monkeypatch.setattr(deployed.cluster, "apply", apply)

    assert [one["number"] for one in deployed("history", "--json").json["releases"]] == [1]


def test_a_release_that_can_not_be_recorded_is_exit_6_and_the_next_deploy_records_it(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", OLD, NEW)
    put = deployed.cluster.put

    def full(key: str, value: str) -> None:
        if "/releases/" in key:
            raise KitError("etcd takes no more: its disk quota is full")
        put(key, value)

    monkeypatch.setattr(deployed.cluster, "put", full)
    code, _, err = deployed("deploy", "--yes")
    monkeypatch.setattr(deployed.cluster, "put", put)
    again = deployed("deploy", "--json").json

    assert code == 6
    assert (
        "error: it is deployed and verified, but could not be recorded: etcd takes no more: its disk quota is"
        " full\nhint:  Run deploy again: it records what stands.\n"
    ) in err
    assert (again["changed"], again["release"]) == (False, 3)


def test_a_release_is_recorded_though_what_is_too_old_could_not_be_removed(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.cluster.kept.put(text_key("web", "0" * 64), "of no release")
    deployed.edit("coreos-kit.toml", OLD, NEW)
    delete = deployed.cluster.delete_if_value

    def refused(key: str, value: str) -> bool:
        if "/texts/" in key:
            raise Unreachable("etcd gives no answer: timed out")
        return delete(key, value)

    monkeypatch.setattr(deployed.cluster, "delete_if_value", refused)

    code, out, err = deployed("deploy", "--yes")

    assert code == 0
    assert out.endswith("recorded as release 2\n")
    assert (
        "what no release needs any more is still in etcd, until the next deploy:"
        " etcd gives no answer: timed out\n"
    ) in err


@pytest.mark.parametrize(
    "args", [("plan",), ("plan", "--out", "kept.json"), ("deploy",), ("deploy", "--yes")]
)
def test_what_is_too_large_for_etcd_is_refused_with_the_plan_before_anything_is_asked_or_touched(
    deployed: Kit, args: tuple[str, ...]
) -> None:
    with (deployed.workspace / "coreos-kit.toml").open("a") as file:
        file.write("# x\n" * 400_000)
    deployed.edit("coreos-kit.toml", OLD, NEW)

    code, out, err = deployed(*args)

    assert (code, out) == (3, "")
    assert err.startswith(
        "error: this is too large to be recorded in etcd, which takes 1500000 bytes at once;"
        " nothing was touched\n"
        "       the text that begins with "
    )
    assert not (deployed.workspace / "kept.json").exists()
    assert deployed.cluster.log == []
    assert len([key for key in deployed.cluster.kept.keys if "/releases/" in key]) == 1


def test_what_is_too_large_and_changes_nothing_is_recorded_already(deployed: Kit) -> None:
    with (deployed.workspace / "coreos-kit.toml").open("a") as file:
        file.write("# x\n" * 400_000)

    assert deployed("plan", "--exit-code").code == 0
    assert deployed("deploy", "--yes").code == 0


def test_damaged_releases_are_shown_and_do_not_stop_a_deploy(second: Kit) -> None:
    second.cluster.kept.put(release_key("web", 3), "nonsense\x1b[2J")
    second.cluster.kept.put("/coreos-kit/v1/web/releases/notes", "x")
    second.edit("coreos-kit.toml", NEW, "NO_DETACH")

    assert "3        damaged" in second("history").out
    assert second("rollback", "3", "--yes").code == 1
    assert second("deploy", "--yes", "--json").json["release"] == 4
    assert release_key("web", 3) not in second.cluster.kept.keys


def test_a_number_that_no_other_can_follow_is_refused_and_named(second: Kit) -> None:
    second.cluster.kept.put(release_key("web", 99_999_999), "nonsense")
    second.cluster.kept.put("/coreos-kit/v1/web/releases/123456789", "of no release")
    second.edit("coreos-kit.toml", NEW, "NO_DETACH")

    code, _, err = second("deploy", "--yes")

    assert code == 3
    assert "error: there is no number after release 99999999; nothing was touched\n" in err
    assert "hint:  Delete it from etcd: /coreos-kit/v1/web/releases/99999999\n" in err
    assert second.cluster.log == []


def test_a_number_that_a_machine_has_sealed_and_no_other_can_follow_is_named_with_that_machine(
    second: Kit,
) -> None:
    second.cluster.files.machines["core-2"]["releases/99999999"] = Secret(b"x")
    second.edit("coreos-kit.toml", NEW, "NO_DETACH")

    code, _, err = second("deploy", "--yes")

    assert code == 3
    assert "error: there is no number after release 99999999; nothing was touched\n" in err
    assert "hint:  Delete it on core-2: /etc/coreos-kit/web/releases/99999999\n" in err


# Secrets


def test_no_secret_is_in_a_release_and_a_rollback_uses_the_secrets_of_now(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.edit(
        "coreos-kit.toml",
        "instances = [7777, 8888]  ",
        'secrets = { PASS = "pass" }\ninstances = [7777, 8888]  ',
    )
    with (kit.workspace / "coreos-kit.toml").open("a") as file:
        file.write('\n[secrets.pass]\nenv = "LAB_PASS"\n')
    kit.secrets.values["pass"] = b"first-sesame"
    assert kit("deploy", "--yes").code == 0
    before = running(kit)
    kit.secrets.values["pass"] = b"second-sesame"
    kit.edit("coreos-kit.toml", OLD, NEW)
    assert kit("deploy", "--yes").code == 0
    now = running(kit)

    assert kit("rollback", "--yes").code == 0

    assert "sesame" not in "".join(entry.value for entry in kit.cluster.kept.keys.values())
    names = [
        next(word for word in text.split() if ".env" in word and "/web/" in word)
        for text in (before, now, running(kit))
    ]
    assert names[0] != names[1] == names[2]
    assert OLD in running(kit)
    assert kit("plan", "--exit-code").code == 1


# A checkout that is older


@pytest.fixture
def older(deployed: Kit) -> Kit:
    """A workspace that is checked out at a commit before the one that is deployed."""
    deployed.checkout = FakeCheckout(LATER)
    deployed.edit("coreos-kit.toml", OLD, NEW)
    assert deployed("deploy", "--yes").code == 0
    deployed.checkout = FakeCheckout(HEAD, {LATER})
    deployed.edit("coreos-kit.toml", NEW, "NO_DETACH")
    deployed.cluster.log.clear()
    return deployed


def test_a_checkout_older_than_what_is_deployed_is_refused_and_yes_is_not_enough(older: Kit) -> None:
    code, out, err = older("deploy", "--yes")

    assert (code, out) == (3, "")
    assert err.startswith(
        f"error: this checkout is older than what is deployed: release 2 of {LATER[:12]} by anna on desk;"
        " nothing was touched\nhint:  Pull first. To go back: coreos-kit rollback. If this is meant:"
        " coreos-kit deploy --older\n"
    )
    assert older.cluster.log == []


def test_an_older_checkout_is_deployed_where_somebody_says_so(older: Kit) -> None:
    assert older("deploy", "--yes", "--older", "--json").json["release"] == 3
    assert manifest(older, 3)["revision"] == HEAD


def test_a_checkout_that_became_older_while_it_waited_for_the_lock_is_refused(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = deployed.cluster.create

    def created(key: str, value: str, ttl_s: int) -> str | None:
        """Let another have deployed a later commit just before the lock is free."""
        if release_key("web", 2) not in deployed.cluster.kept.keys:
            first = Release.parse(1, deployed.cluster.kept.keys[release_key("web", 1)].value)
            later = replace(first, number=2, revision=Revision(LATER), owner="bob", host="ci-2")
            deployed.cluster.kept.put(release_key("web", 2), later.manifest())
        return create(key, value, ttl_s)

    monkeypatch.setattr(deployed.cluster, "create", created)
    deployed.checkout = FakeCheckout(HEAD, {LATER})
    deployed.edit("coreos-kit.toml", OLD, NEW)

    refused = deployed("deploy", "--yes")

    assert refused.code == 3
    assert f"this checkout is older than what is deployed: release 2 of {LATER[:12]} by bob" in refused.err
    assert deployed.cluster.log == []
    assert deployed("deploy", "--yes", "--older").code == 0


def test_a_plan_from_an_older_checkout_says_so(older: Kit) -> None:
    (note,) = [note for note in older("plan", "--json").json["notes"] if "older" in note]

    assert note.endswith("; deploy refuses it without --older")


def test_after_a_rollback_a_checkout_of_that_release_is_not_older(older: Kit) -> None:
    older.checkout = FakeCheckout(HEAD, {LATER})

    assert older("rollback", "1", "--yes").code == 0
    assert older("plan").code == 0
    assert older("deploy", "--yes").code == 0


def test_edits_are_recorded_beside_the_revision(deployed: Kit) -> None:
    deployed.checkout = FakeCheckout(HEAD, is_dirty=True)
    deployed.edit("coreos-kit.toml", OLD, NEW)
    deployed("deploy", "--yes")

    assert "111111111111 and edits" in deployed("history").out
    assert deployed("history", "2", "--json").json["dirty"] is True
