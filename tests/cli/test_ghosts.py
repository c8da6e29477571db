"""verify shows ghosts and exits 1; --fix says what it would do, asks, does it, and looks again."""

import pytest

from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import EtcdEntry, ObservedContainer
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, UnitOutcome
from tests.cli.conftest import Kit

KEY, VALUE = "/services/apache/10.132.1.13", "10.132.1.13:7777"
STALE = EtcdEntry(KEY, VALUE)
LEFTOVER = ObservedContainer("left", "f00d" * 16, "running", "", "", "web", "apache@9999.service")
UNIT = UnitName.parse("apache@7777.service")


@pytest.fixture
def haunted(deployed: Kit) -> Kit:
    """A stale key, a leftover container and an edited unit file."""
    deployed.cluster.planted = [STALE]
    deployed.cluster.machines["core-3"].strays = [LEFTOVER]
    edit(deployed)
    return deployed


def edit(kit: Kit) -> None:
    files = kit.cluster.machines["core-1"].files
    files[UNIT] = files[UNIT].replace("RestartSec=2", "RestartSec=30")


def kinds(kit: Kit) -> list[str]:
    return [ghost["kind"] for ghost in kit("verify", "--json").json["ghosts"]]


def test_a_ghost_is_shown_like_a_broken_link_and_exits_1(deployed: Kit) -> None:
    deployed.cluster.planted = [STALE]

    code, out, err = deployed("verify")

    assert (code, err) == (1, "")
    assert out.endswith(
        f"\n\nGHOST: key-without-unit {KEY} on core-3\n"
        "  expected: apache@7777.service on core-3\n"
        f"  seen:     {VALUE}; it does not stand there; without a TTL: it would stay for ever\n"
        "  remedy:   coreos-kit verify --fix\n"
        "\n"
        "not verified: of 18 links 0 broken, 0 unknown; 1 ghost\n"
    )


def test_what_stays_until_somebody_mends_it_is_not_waited_for(haunted: Kit) -> None:
    started = haunted.clock.now()

    assert haunted("verify", "--wait", "60").code == 1
    assert haunted.clock.now() == started


def test_a_key_that_will_expire_is_waited_for(haunted: Kit) -> None:
    haunted.cluster.planted = [EtcdEntry(KEY, VALUE, 10, 30)]
    started = haunted.clock.now()

    assert haunted("verify", "--wait", "7").code == 1
    assert 7 <= haunted.clock.now() - started < 8


def test_json_has_every_ghost_with_what_fix_would_do(haunted: Kit) -> None:
    code, body = (ran := haunted("verify", "--json")).code, ran.json

    assert (code, body["ok"], body["broken"], body["unseen"]) == (1, False, 0, [])
    assert {ghost["kind"]: ghost["mend"] for ghost in body["ghosts"]} == {
        "unit-edited": f"write {UNIT} on core-1 as it was deployed; what runs goes on",
        "container-without-unit": "remove the container left (f00df00df00d) on core-3",
        "key-without-unit": f"delete the key {KEY}, if it holds the same value still",
    }
    assert all(set(ghost) == {
        "kind", "machine", "subject", "expected", "seen", "remedy", "mend",
    } for ghost in body["ghosts"])  # fmt: skip


def test_fix_says_what_it_would_do_and_touches_nothing_without_a_terminal(haunted: Kit) -> None:
    code, out, err = haunted("verify", "--fix")

    assert (code, out) == (2, "")
    assert err == (
        f"would write {UNIT} on core-1 as it was deployed; what runs goes on\n"
        "would remove the container left (f00df00df00d) on core-3\n"
        f"would delete the key {KEY}, if it holds the same value still\n"
        "error: this has to be confirmed, and there is no terminal to ask on\n"
        "hint:  Add --yes.\n"
    )
    assert haunted.cluster.log == []
    assert len(kinds(haunted)) == 3


def test_fix_says_where_it_mends_nothing_of_what_was_found(deployed: Kit) -> None:
    assert "--fix" not in deployed("verify", "--fix", "--yes").out
    deployed.cluster.stops("apache@7777.service", "apache-discovery@7777.service")

    code, out, _ = deployed("verify", "--fix", "--yes")

    assert code == 1
    assert "\n\n--fix mends none of these\nnot verified: of 18 links " in out
    assert deployed.cluster.log == []
    assert "--fix" not in deployed("verify").out


def test_fix_mends_each_and_verifies_again(haunted: Kit) -> None:
    code, out, _ = haunted("verify", "--fix", "--yes")

    assert code == 0
    assert out.startswith(
        f"done: write {UNIT} on core-1 as it was deployed; what runs goes on\n"
        "done: remove the container left (f00df00df00d) on core-3\n"
        f"done: delete the key {KEY}, if it holds the same value still\n"
    )
    assert out.endswith("verified: all 18 links hold\n")
    assert haunted.cluster.log == [
        f"core-1: write {UNIT}",
        f"core-3: remove container {LEFTOVER.id}",
        f"etcd: delete {KEY}",
    ]


def test_whoever_loses_the_lock_while_mending_touches_nothing_more(
    haunted: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = haunted.cluster.apply

    def loses(change: Change) -> tuple[UnitOutcome, ...]:
        haunted.cluster.kept.keys.pop("/coreos-kit/v1/web/lock", None)
        return apply(change)

    monkeypatch.setattr(haunted.cluster, "apply", loses)

    code, out, _ = haunted("verify", "--fix", "--yes")

    assert code == 1
    assert f"done: write {UNIT} on core-1" in out
    assert out.count("the lock was lost: its lease ran out, or somebody took it away") == 2
    assert [line for line in haunted.cluster.log if "lock" not in line] == [f"core-1: write {UNIT}"]


def test_fix_in_json_says_what_was_done(haunted: Kit) -> None:
    body = haunted("verify", "--fix", "--yes", "--json").json

    assert [one["error"] for one in body["mended"]] == ["", "", ""]
    assert (body["ok"], body["ghosts"]) == (True, [])


def test_fix_of_a_healthy_cluster_asks_nothing(deployed: Kit) -> None:
    code, out, err = deployed("verify", "--fix")

    assert (code, err) == (0, "")
    assert out.endswith("verified: all 18 links hold\n")


def test_fix_leaves_what_is_not_safe(deployed: Kit) -> None:
    deployed.cluster.planted = [EtcdEntry(KEY, VALUE, 29, 30)]
    deployed.cluster.other_api.put("/services/apache/10.132.1.11", "10.132.1.11:7777")

    code, _, err = deployed("verify", "--fix")

    assert (code, err) == (1, "")
    assert kinds(deployed) == ["key-without-unit", "other-api"]
    assert deployed.cluster.log == []


def test_what_changed_while_somebody_thought_is_left(haunted: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def come_alive(question: str, *, yes: bool) -> None:
        haunted.cluster.planted = [EtcdEntry(KEY, VALUE, 30, 30)]

    monkeypatch.setattr("coreos_kit.cli.show_verify.confirm", come_alive)

    code, out, _ = haunted("verify", "--fix")

    assert code == 1
    assert f"not done: delete the key {KEY}" in out
    assert "it is not as it was seen any more, so it was left\n" in out
    assert kinds(haunted) == ["key-without-unit"]


def test_one_failure_does_not_keep_the_others_from_being_mended(
    haunted: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(key: str, value: str) -> bool:
        raise Unreachable("etcd does not answer")

    monkeypatch.setattr(haunted.cluster, "delete_if_value", refuse)

    code, out, _ = haunted("verify", "--fix", "--yes")

    assert code == 1
    assert out.count("done: ") == 3
    assert f"not done: delete the key {KEY}, if it holds the same value still: etcd does not answer\n" in out
    assert kinds(haunted) == ["key-without-unit"]


def test_an_other_api_that_can_not_be_read_is_unknown_and_exits_4(deployed: Kit) -> None:
    deployed.cluster.other_api.is_down = True

    code, out, _ = deployed("verify")

    assert code == 4
    assert "unknown: registrations in etcd's other API: etcd gives no answer: connection refused\n" in out


def test_many_ghosts_do_not_fill_the_screen(deployed: Kit) -> None:
    deployed.cluster.planted = [EtcdEntry(f"/services/apache/{n}", "\x1b[2J") for n in range(300)]

    out = deployed("verify").out

    assert out.count("GHOST: nonsense") == 50
    assert "and 250 ghosts more: coreos-kit verify --json\n" in out
    assert "\x1b" not in out
    assert len(kinds(deployed)) == 300


def test_a_deploy_says_that_there_are_ghosts_and_succeeds(deployed: Kit) -> None:
    deployed.cluster.planted = [STALE]

    code, out, _ = deployed("deploy", "--yes")

    assert code == 0
    assert out.endswith("not verified: of 18 links 0 broken, 0 unknown; 1 ghost\n")


def test_a_deploy_replaces_what_was_edited(deployed: Kit) -> None:
    edit(deployed)

    assert deployed("deploy", "--yes").code == 0
    assert kinds(deployed) == []
