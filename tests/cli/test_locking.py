"""The lock at the command line: lock show, lock release, and what two at once are told."""

import sys
from collections.abc import Collection
from io import StringIO

import pytest

from coreos_kit.cli import asking
from coreos_kit.model.cluster import Observation
from coreos_kit.model.lock import Holder
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, UnitOutcome
from coreos_kit.testing.engine import FakeEngine
from tests.cli import conftest
from tests.cli.conftest import APACHE, Kit

KEY = "/coreos-kit/v1/web/lock"
BOB = Holder("bob\x1b[31m", "ci-2", 17, "2026-11-26T10:00:00Z", "coreos-kit deploy", "ff")
SHOWN = "bob\\x1b[31m on ci-2 (process 17) with coreos-kit deploy, since 2026-11-26T10:00:00Z by its clock"


def held(kit: Kit) -> Kit:
    assert kit.cluster.kept.create(KEY, BOB.text(), 30)
    return kit


def test_a_lock_that_nobody_holds_is_shown_as_such(deployed: Kit) -> None:
    assert deployed("lock", "show") == (0, "nobody holds the lock\n", "")
    assert deployed("lock", "show", "--json").json == {
        "schema": "coreos-kit/lock-show/v1", "cluster": "lab", "held": False, "holder": None,
    }  # fmt: skip


def test_a_lock_is_shown_with_its_holder_and_what_its_lease_has_left(deployed: Kit) -> None:
    code, out, err = held(deployed)("lock", "show")

    assert (code, err) == (0, "")
    assert out == f"held by {SHOWN}\nits lease has 30 s left; a holder that lives renews it\n"
    assert deployed("lock", "show", "--json").json["holder"] == {
        "owner": BOB.owner, "host": "ci-2", "pid": 17, "since": "2026-11-26T10:00:00Z",
        "command": "coreos-kit deploy", "ttl_left_s": 30,
    }  # fmt: skip


def test_a_deploy_under_anothers_lock_ends_in_7_and_touches_nothing(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    code, _, err = held(deployed)("deploy", "--yes")

    assert code == 7
    assert f"error: the lock is held by {SHOWN}; nothing was touched\n" in err
    assert "hint:  Wait for it with --lock-wait 600." in err
    assert deployed.cluster.log == []


@pytest.mark.parametrize("args", [("deploy",), ("rollback", "1"), ("drain", "core-1")])
def test_who_would_not_wait_for_the_lock_is_told_before_there_is_a_plan_and_a_question(
    deployed: Kit, args: tuple[str, ...]
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    assert deployed("deploy", "--yes").code == 0

    code, out, err = held(deployed)(*args)

    assert (code, out) == (7, "")
    assert err.startswith(f"error: the lock is held by {SHOWN}; nothing was touched\n")


def test_a_lock_that_somebody_takes_while_the_plan_is_read_counts_as_well(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    create = deployed.cluster.create

    def is_late(key: str, value: str, ttl_s: int) -> str | None:
        held(deployed)
        return create(key, value, ttl_s)

    monkeypatch.setattr(deployed.cluster, "create", is_late)
    deployed.cluster.log.clear()

    code, out, err = deployed("deploy", "--yes")

    assert code == 7
    assert "~ replace apache@7777.service on core-1" in out
    assert f"error: the lock is held by {SHOWN}; nothing was touched\n" in err
    assert deployed.cluster.log == []


def test_a_deploy_that_waits_goes_on_when_the_lock_is_free(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    held(deployed)
    kept, sleep = deployed.cluster.kept, deployed.clock.sleep
    monkeypatch.setattr(
        type(deployed.clock),
        "sleep",
        lambda _, seconds: (kept.pass_time(seconds), sleep.__func__(deployed.clock, seconds)),
    )

    code, _, err = deployed("deploy", "--yes", "--lock-wait", "60")

    assert code == 0
    assert f"waiting for the lock: {SHOWN} has it\n" in err
    assert KEY not in kept.keys


def test_with_nothing_to_do_and_a_free_lock_the_cluster_is_looked_at_once(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Observation] = []
    observe = deployed.cluster.observe
    monkeypatch.setattr(deployed.cluster, "observe", lambda names: looks.append(observe(names)) or looks[-1])

    assert deployed("deploy", "--yes").code == 0

    assert len(looks) == 1


def test_a_look_that_was_taken_while_another_was_at_work_is_taken_again_though_the_lock_is_free_by_then(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(deployed)
    create = deployed.cluster.create

    def comes_to_its_end(key: str, value: str, ttl_s: int) -> str | None:
        if deployed.cluster.kept.keys.pop(KEY, None):
            deployed.cluster.stops("apache-discovery@8888.service")
        return create(key, value, ttl_s)

    monkeypatch.setattr(deployed.cluster, "create", comes_to_its_end)

    code, out, _ = deployed("deploy", "--yes", "--lock-wait", "60")

    assert code == 0
    assert "! restart apache-discovery@8888.service on core-2" in out


def test_without_etcd_a_deploy_touches_nothing_and_ends_in_4(deployed: Kit) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    deployed.cluster.etcd_is_down = True

    code, _, err = deployed("deploy", "--yes")

    assert code == 4
    assert f"error: the lock {KEY} can't be taken, so nothing was touched\n" in err
    assert deployed.cluster.log == []


def test_a_plan_that_is_another_under_the_lock_is_refused_where_it_was_confirmed(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    changes_while_it_is_read(deployed, monkeypatch)

    code, _, err = deployed("deploy")

    assert code == 3
    assert "error: the cluster has changed since this was planned, so nothing was touched\n" in err
    assert "       now: replace apache@7777.service on core-1\n" in err
    assert "hint:  Run it again: it plans afresh.\n" in err
    assert deployed.cluster.log == []


def test_a_plan_that_is_another_under_the_lock_is_shown_and_carried_out_with_yes(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    create = deployed.cluster.create

    def created(key: str, value: str, ttl_s: int) -> str | None:
        deployed.cluster.stops("apache-discovery@8888.service")
        return create(key, value, ttl_s)

    monkeypatch.setattr(deployed.cluster, "create", created)

    code, out, err = deployed("deploy", "--yes")

    assert code == 0
    assert "the cluster has changed since this was planned; now the plan is:\n" in err
    assert "! restart apache-discovery@8888.service on core-2" in out


def test_a_lost_lock_stops_a_deploy_at_its_next_step(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")
    apply = deployed.cluster.apply

    def loses(change: Change) -> tuple[UnitOutcome, ...]:
        deployed.cluster.kept.keys.pop(KEY, None)
        return apply(change)

    monkeypatch.setattr(deployed.cluster, "apply", loses)

    code, _, err = deployed("deploy", "--yes")

    assert code == 6
    assert "the lock was lost: its lease ran out, or somebody took it away\n" in err
    assert all("core-2: write" not in line for line in deployed.cluster.log)


def test_a_lock_that_is_lost_while_a_hook_runs_stops_before_its_instance_is_touched(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (deployed.workspace / "hooks").mkdir()
    hook = deployed.workspace / "hooks" / "pre-instance"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    deployed.edit("coreos-kit.toml", "FOREGROUND", "BACKGROUND")

    def slow(*args: object, **more: object) -> int:
        deployed.cluster.kept.keys.pop(KEY, None)
        return 0

    monkeypatch.setattr(conftest, "run_hook", slow)

    code, _, err = deployed("deploy", "--yes")

    assert code == 6
    assert "the lock was lost: its lease ran out, or somebody took it away\n" in err
    assert not any("hold out" in line or "write" in line for line in deployed.cluster.log)


def test_a_lock_that_is_lost_while_images_are_pulled_stops_before_a_machine_is_changed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = FakeEngine.pull

    def slow(self: FakeEngine, reference: str) -> str:
        if "@" in reference:
            kit.cluster.kept.keys.pop(KEY, None)
        return pull(self, reference)

    monkeypatch.setattr(FakeEngine, "pull", slow)

    code, _, err = kit("deploy", "--yes")

    assert code == 6
    assert "the lock was lost: its lease ran out, or somebody took it away\n" in err
    assert all("pull" in line for line in kit.cluster.log if line.startswith("core-"))
    assert kit.cluster.files.log == []


def test_a_lock_that_is_lost_while_the_plan_is_made_lets_nobody_in(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.cluster.machines["core-1"].held_out = {UnitName.parse("apache-discovery@7777.service")}
    held(deployed)
    kept, sleep, observe = deployed.cluster.kept, deployed.clock.sleep, deployed.cluster.observe
    monkeypatch.setattr(
        type(deployed.clock),
        "sleep",
        lambda _, seconds: (kept.pass_time(seconds), sleep.__func__(deployed.clock, seconds)),
    )

    def slow(names: Collection[UnitName]) -> Observation:
        if KEY in kept.keys and "anna" in kept.keys[KEY].value:
            del kept.keys[KEY]
        return observe(names)

    monkeypatch.setattr(deployed.cluster, "observe", slow)

    code, _, err = deployed("deploy", "--yes", "--lock-wait", "60")

    assert code == 6
    assert "the lock was lost" in err
    assert not any("let in" in line for line in deployed.cluster.log)


def test_a_lock_is_released_once_it_was_confirmed(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    held(deployed)
    answers(monkeypatch, "y\n")

    code, out, err = deployed("lock", "release")

    assert (code, out) == (0, f"released: it was held by {SHOWN}\n")
    assert err == f"Release the lock of {SHOWN}? [y/N] "
    assert KEY not in deployed.cluster.kept.keys


def test_a_lock_stays_where_the_answer_is_no(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    held(deployed)
    answers(monkeypatch, "n\n")

    assert deployed("lock", "release").code == 130
    assert KEY in deployed.cluster.kept.keys


def test_releasing_a_lock_needs_a_terminal_or_force(deployed: Kit) -> None:
    held(deployed)

    code, out, err = deployed("lock", "release")
    forced = deployed("lock", "release", "--force", "--json")

    assert (code, out) == (2, "")
    assert err.endswith("hint:  Add --force.\n")
    assert (forced.code, forced.json["released"], forced.json["holder"]["host"]) == (0, True, "ci-2")
    assert KEY not in deployed.cluster.kept.keys


def test_releasing_what_nobody_holds_is_no_error_and_asks_nothing(deployed: Kit) -> None:
    assert deployed("lock", "release") == (0, "nobody holds the lock\n", "")


def test_a_lock_whose_holder_changes_before_the_answer_stays(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(deployed)
    kept = deployed.cluster.kept

    class Slow(StringIO):
        def readline(self, size: int = -1, /) -> str:
            del kept.keys[KEY]
            assert kept.create(KEY, BOB.text().replace("ff", "aa"), 30)
            return super().readline(size)

    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", Slow("y\n"))

    code, _, err = deployed("lock", "release")

    assert code == 1
    assert "the lock was not released: its holder is not the one that was shown any more" in err
    assert KEY in kept.keys


def test_fixing_what_verify_finds_takes_the_lock(deployed: Kit) -> None:
    held(deployed)
    deployed.cluster.kept.put("/services/apache/10.132.1.99", "10.132.1.99:7777")

    code, _, err = deployed("verify", "--fix", "--yes")

    assert code == 7
    assert f"the lock is held by {SHOWN}" in err


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", StringIO(text))


def changes_while_it_is_read(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the image change between the plan and the answer to the question."""

    class Slow(StringIO):
        def readline(self, size: int = -1, /) -> str:
            kit.cluster.images["user_name/apache"] = APACHE.replace("a", "c")
            return super().readline(size)

    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", Slow("y\n"))
