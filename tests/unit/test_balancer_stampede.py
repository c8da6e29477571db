"""Most of the pool leaves etcd at once: what stays in the pool, for how long, and what is never held."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.balancer.keeping import Kept
from coreos_kit.balancer.stampede import LONGEST_WINDOWS

HOLD_S = 12.0
A, B, C, D = (f"10.132.0.1{number}:80" for number in (1, 2, 3, 4))


def connected(*servers: str) -> Kept:
    """Etcd was there long ago, and has `servers`."""
    return Kept((), hold_s=HOLD_S).saw(servers, -1000).settled(0)


def test_one_of_two_leaves_at_once() -> None:
    assert connected(A, B).saw((B,), 1).servers == (B,)


def test_the_only_one_leaves_at_once() -> None:
    assert connected(A).saw((), 1).servers == ()


def test_both_of_two_stay_while_nobody_knows_that_they_are_down() -> None:
    kept = connected(A, B).saw((), 1)

    assert (kept.servers, kept.held, kept.leavers.stampede) == ((A, B), (A, B), True)


def test_one_that_left_just_before_the_stampede_comes_back_into_the_pool() -> None:
    one_left = connected(A, B).saw((B,), 1)

    assert one_left.servers == (B,)
    assert one_left.saw((), 8).servers == (A, B)


def test_leaving_one_after_the_other_over_more_than_a_renewal_is_no_stampede() -> None:
    assert connected(A, B).saw((B,), 1).saw((), 13).servers == ()


def test_a_server_that_refuses_connections_leaves_at_once() -> None:
    stampede = connected(A, B).saw((), 1)

    assert stampede.asked((A,), (B,), 1.1).servers == (A,)
    assert stampede.asked((), (A, B), 1.1).servers == ()


def test_a_server_that_refuses_connections_is_no_part_of_a_stampede() -> None:
    killed = connected(A, B).saw((B,), 1).asked((), (A,), 1.1)

    assert killed.saw((), 2).servers == ()


def test_a_machine_that_goes_with_all_its_servers_is_no_stampede() -> None:
    same, other = "10.132.0.11:81", "10.132.0.11:82"

    assert connected(A, same, other, B).saw((B,), 1).servers == (B,)


def test_a_server_that_is_silent_for_a_whole_renewal_leaves() -> None:
    stampede = connected(A, B).saw((), 1).asked((A,), (), 5)

    assert stampede.settled(12.9).servers == (A, B)
    assert stampede.settled(13).servers == (A,)


def test_servers_that_take_connections_stay_for_five_minutes_and_no_longer() -> None:
    stampede = connected(A, B).saw((), 0)
    for second in range(300):
        stampede = stampede.asked((A, B), (), second).settled(second + 0.5)
        assert stampede.servers == (A, B)

    assert stampede.settled(300).servers == ()


def test_the_stampede_is_over_when_half_of_them_are_back() -> None:
    stampede = connected(A, B, C, D).saw((), 1)

    assert stampede.saw((A,), 5).servers == (A, B, C, D)
    assert stampede.saw((A, B), 6).servers == (A, B)
    assert stampede.saw((A, B), 6).leavers.stampede is False


def test_servers_that_come_and_go_under_load_do_not_empty_the_pool() -> None:
    kept = connected(A, B).saw((), 1)
    for second in range(2, 100, 4):
        kept = kept.saw((A,), second).asked((B,), (), second + 1).saw((), second + 2).asked((A,), (), second)
        assert kept.servers == (A, B)


def test_an_etcd_that_lost_its_keys_without_being_missed_empties_no_pool() -> None:
    emptied = connected(A, B, C).saw((), 1)

    assert emptied.servers == (A, B, C)
    assert emptied.saw((A, B, C), 4).held == ()


def test_sidekicks_that_are_not_back_a_renewal_after_an_outage_empty_no_pool() -> None:
    back = connected(A, B).lost(10).saw((), 20).asked((A, B), (), 31)

    assert back.settled(32).servers == (A, B)


def test_an_outage_in_a_stampede_removes_nothing() -> None:
    lost = connected(A, B).saw((), 1).lost(2)

    assert lost.asked((), (A,), 3).settled(1000).servers == (A, B)


# Properties. Events come in seconds; what etcd has is any set of servers on up to five machines.
_SERVERS = st.sampled_from([f"10.132.0.{machine}:{port}" for machine in range(11, 16) for port in (80, 81)])
_SETS = st.frozensets(_SERVERS).map(lambda servers: tuple(sorted(servers)))
_EVENTS = st.lists(
    st.tuples(
        st.floats(0, 20),
        st.one_of(
            st.tuples(st.just("saw"), _SETS),
            st.tuples(st.just("lost"), st.just(())),
            st.tuples(st.just("took"), _SETS),
            st.tuples(st.just("refused"), _SETS),
        ),
    ),
    max_size=30,
)


def _history(events: list[tuple[float, tuple[str, tuple[str, ...]]]]) -> list[tuple[float, Kept]]:
    now, kept = 0.0, Kept((), hold_s=HOLD_S).saw((), 0)
    history = [(now, kept)]
    for pause, (what, servers) in events:
        now += pause
        if what == "saw":
            kept = kept.saw(servers, now)
        elif what == "lost":
            kept = kept.lost(now)
        else:
            kept = kept.asked(*((servers, ()) if what == "took" else ((), servers)), now)
        history.append((now, kept))
    return history


@given(_EVENTS)
def test_a_server_that_etcd_has_is_always_in_the_pool(events: list) -> None:
    for _, kept in _history(events):
        assert not kept.connected or set(kept.seen) <= set(kept.servers)


@given(_EVENTS)
def test_a_server_that_etcd_never_had_is_never_in_the_pool(events: list) -> None:
    ever = {server for _, (what, servers) in events if what == "saw" for server in servers}

    for _, kept in _history(events):
        assert set(kept.servers) <= ever


@given(_EVENTS)
def test_the_pool_has_every_server_once_and_in_order(events: list) -> None:
    for _, kept in _history(events):
        assert list(kept.servers) == sorted(set(kept.servers))


@given(_EVENTS)
def test_in_the_end_the_pool_is_what_etcd_has(events: list) -> None:
    now, kept = _history(events)[-1]
    last = kept.saw(kept.seen, now)
    for _ in range(3):  # an outage's wait, then a stampede's
        now += LONGEST_WINDOWS * HOLD_S
        last = last.asked(last.leavers.servers, (), now).settled(now)

    assert last.servers == last.seen


@given(_EVENTS)
def test_without_an_outage_a_server_that_leaves_alone_leaves_at_once(events: list) -> None:
    now, kept = _history([event for event in events if event[1][0] != "lost"])[-1]
    quiet = kept.settled(now + 1000).settled(now + 2000)

    for server in quiet.servers:
        rest = tuple(other for other in quiet.servers if other != server)
        assert quiet.saw(rest, now + 2000).servers == rest


@given(st.permutations([f"10.132.0.{number}:80" for number in range(11, 21)]), st.lists(st.floats(0, 1)))
def test_when_all_leave_within_a_renewal_never_less_than_half_of_the_pool_is_left(
    order: list[str], pauses: list[float]
) -> None:
    now, kept, stay = 0.0, connected(*sorted(order)), set(order)
    sizes = [len(kept.servers)]
    for number, server in enumerate(order):
        now += pauses[number] if number < len(pauses) else 0.0
        stay.remove(server)
        kept = kept.saw(tuple(sorted(stay)), now)
        sizes.append(len(kept.servers))

    assert min(sizes) >= len(order) / 2
    assert sizes[-1] == len(order)
    assert all(after >= before - 1 for before, after in pairwise(sizes))
