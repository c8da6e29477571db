"""When a server leaves the pool."""

from __future__ import annotations

from coreos_kit.balancer.keeping import Kept

A, B, C = "10.132.0.11:7777", "10.132.0.12:8888", "10.132.0.13:9999"


def connected(*servers: str) -> Kept:
    """Etcd was there from the start, at time 0, and has `servers`."""
    return Kept((), hold_s=12).saw(servers, 0)


def test_what_comes_and_goes_in_a_connected_etcd_counts_at_once() -> None:
    kept = connected(A)

    assert kept.saw((A, B), 1).servers == (A, B)
    assert kept.saw((A, B), 1).saw((B,), 2).servers == (B,)
    assert kept.saw((), 2).servers == ()


def test_the_pool_stays_through_an_outage_however_long() -> None:
    kept = connected(A, B).lost(10).settled(100_000)

    assert (kept.servers, kept.connected) == ((A, B), False)


def test_after_an_outage_what_is_missing_stays_for_one_renewal() -> None:
    back = connected(A, B).lost(10).saw((A,), 20)

    assert (back.servers, back.held) == ((A, B), (B,))
    assert back.settled(31.9).servers == (A, B)
    assert back.settled(32).servers == (A,)


def test_after_an_outage_what_is_new_counts_at_once() -> None:
    assert connected(A).lost(10).saw((A, C), 20).servers == (A, C)


def test_what_renewed_after_an_outage_leaves_at_once_when_it_is_deregistered() -> None:
    back = connected(A, B).lost(10).saw((), 20)

    renewed = back.saw((A,), 25)

    assert renewed.servers == (A, B)
    assert renewed.saw((), 26).servers == (B,)


def test_what_expires_just_after_a_leader_was_elected_is_waited_for() -> None:
    back = connected(A, B).lost(10).saw((A, B), 20)

    expired = back.saw((), 20.5)

    assert expired.servers == (A, B)
    assert expired.saw((A,), 25).settled(32).servers == (A,)


def test_a_second_outage_starts_the_waiting_anew() -> None:
    kept = connected(A, B).lost(10).saw((A,), 20).lost(25).saw((A,), 30)

    assert kept.settled(41.9).servers == (A, B)
    assert kept.settled(42).servers == (A,)


def test_an_outage_shorter_than_a_renewal_costs_nobody_his_key_and_is_not_waited_for() -> None:
    kept = connected(A, B).lost(6)

    assert kept.servers == (A, B)
    assert kept.saw((A,), 9.9).servers == (A,)


def test_an_etcd_that_is_away_for_a_moment_again_and_again_does_not_keep_what_is_gone_for_ever() -> None:
    """As where one of its members is down, and every third connection goes to that one."""
    kept = connected(A, B).lost(10).saw((A, B), 20)
    for number in range(3, 6):
        kept = kept.saw((A,), 10 * number).lost(10 * number + 5).saw((A,), 10 * number + 8)

    assert kept.settled(60).servers == (A,)


def test_the_pool_of_before_a_restart_is_kept_like_one_of_before_an_outage() -> None:
    started = Kept((A, B), hold_s=12)

    assert started.settled(1).servers == (A, B)
    assert started.saw((A,), 5).servers == (A, B)
    assert started.saw((A,), 5).settled(17).servers == (A,)


def test_a_new_container_waits_for_nothing() -> None:
    assert connected(A).saw((), 1).servers == ()


def test_losing_etcd_twice_is_losing_it_once() -> None:
    lost = connected(A).lost(10)

    assert lost.lost(20) == lost
