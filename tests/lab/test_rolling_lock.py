"""One deploy at a time: who holds the lock, who waits for it, and what a dead holder leaves."""

import time

from tests.lab import editions
from tests.lab.conftest import Kit
from tests.lab.faults import Stage, deploying

LEASE_S = 30
AT_WORK = Stage("at work", r"coreos-kit USR1 1 apache-discovery@7777\.service")  # it is held out


def test_of_deploys_at_once_one_works_one_says_who_holds_the_lock_and_one_that_waits_has_nothing_to_do(
    kit: Kit,
) -> None:
    editions.offer(kit)
    editions.choose(kit, 2)

    with deploying(kit) as first:
        first.reaches(AT_WORK)
        refused = kit("deploy", "--yes", code=7)
        holder = kit("lock", "show", "--json").json["holder"]
        waited = kit("deploy", "--yes", "--lock-wait", "120", "--json")
        worked = first.ends(within_s=180)

    assert worked.code == 0, worked.err
    assert f"process {first.process.pid}" in refused.err
    assert "--lock-wait" in refused.err
    assert holder["pid"] == first.process.pid
    assert waited.json["changed"] is False
    assert kit("lock", "show", "--json").json["holder"] is None


def test_a_killed_holder_loses_the_lock_with_its_lease_and_the_next_deploy_finishes_the_work(
    kit: Kit,
) -> None:
    editions.offer(kit)
    editions.choose(kit, 4)

    with deploying(kit) as first:
        first.reaches(AT_WORK)
        first.dies()
        died = time.monotonic()
        kit("deploy", "--yes", code=7)
        finished = kit("deploy", "--yes", "--lock-wait", str(LEASE_S + 10), "--json")
    waited = time.monotonic() - died

    print(f"\nthe next deploy was done {waited:.0f} s after the holder was killed, lease {LEASE_S} s")
    assert finished.json["changed"] is True
    assert kit("lock", "show", "--json").json["holder"] is None
    assert kit("deploy", "--yes", "--json").json["changed"] is False
    kit("verify", "--wait", "20")
