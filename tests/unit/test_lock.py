"""The lock: one at a time, by whom it is held, and what happens to whoever loses it."""

from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config import load_project
from coreos_kit.errors import KitError, LockHeld, LockLost, Unreachable
from coreos_kit.model.keys import lock_key
from coreos_kit.model.lock import LEASE_S, Author, Holder
from coreos_kit.model.plan import Step
from coreos_kit.model.project import EtcdApi
from coreos_kit.ops.lock import Lock, held_lock, release, who_holds
from coreos_kit.ops.session import Session
from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.testing.etcd import FakeEtcdStore
from coreos_kit.testing.machine_files import FakeMachineFiles, FakeSecrets

KEY = "/coreos-kit/v1/web/lock"
ALICE = Author("alice", "ci-1", 4711)
STEP = Step("core-1", ())


class Ticking(FakeClock):
    """A clock whose sleep lets leases run as well."""

    def __init__(self, etcd: FakeEtcdStore) -> None:
        super().__init__()
        self.etcd = etcd

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.etcd.pass_time(seconds)


@pytest.fixture(params=list(EtcdApi))
def etcd(request: pytest.FixtureRequest) -> FakeEtcdStore:
    return FakeEtcdStore(request.param)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def session(etcd: FakeEtcdStore, said: list[str]) -> Session:
    project = load_project(Path(__file__).parents[2])
    cluster = replace(project.clusters["lab"], lab="", machines=())
    fake = FakeCluster(cluster)
    return Session(
        project=project, cluster=cluster, sources={}, driver=fake, prober=fake, runners={}, engines={},
        files=FakeMachineFiles({}), read_secret=FakeSecrets(), store=lambda: etcd, clock=Ticking(etcd),
        progress=said.append, author=ALICE,
    )  # fmt: skip


def others(etcd: FakeEtcdStore, ttl_s: int = LEASE_S) -> Holder:
    """Let somebody else have the lock."""
    holder = Holder("bob", "ci-2", 17, "2026-11-26T10:00:00Z", "coreos-kit deploy", "ff")
    assert etcd.create(KEY, holder.text(), ttl_s)
    return holder


def test_a_held_lock_says_by_whom_from_where_since_when_and_for_what(
    session: Session, etcd: FakeEtcdStore
) -> None:
    with held_lock(session, "coreos-kit deploy"):
        held = who_holds(session)

    assert held is not None
    assert replace(held.holder, nonce="") == Holder(
        "alice", "ci-1", 4711, "2026-09-21T14:13:20Z", "coreos-kit deploy", ""
    )
    assert held.ttl_left_s == LEASE_S
    assert etcd.keys == {}


def test_the_lock_is_given_back_when_the_work_fails(session: Session, etcd: FakeEtcdStore) -> None:
    with pytest.raises(KitError, match="it broke"), held_lock(session, "coreos-kit deploy"):
        raise KitError("it broke")

    assert etcd.keys == {}


def test_whoever_comes_second_is_told_who_is_at_work_and_how_to_wait(
    session: Session, etcd: FakeEtcdStore
) -> None:
    others(etcd)

    with pytest.raises(LockHeld) as refused, held_lock(session, "coreos-kit deploy"):
        pytest.fail("two at once")

    assert str(refused.value) == (
        "the lock is held by bob on ci-2 (process 17) with coreos-kit deploy, since 2026-11-26T10:00:00Z"
        " by its clock; nothing was touched"
    )
    assert refused.value.hint == (
        "Wait for it with --lock-wait 600. If that process is dead, the lock is free within 30 s;"
        " by hand: coreos-kit lock release"
    )
    assert refused.value.exit_code == 7


def test_a_holder_that_was_killed_loses_the_lock_with_its_lease(
    session: Session, etcd: FakeEtcdStore, said: list[str]
) -> None:
    others(etcd)

    with held_lock(session, "coreos-kit deploy", wait_s=60):
        pass

    assert session.clock.now() == LEASE_S
    (told,) = said
    assert told.startswith(
        "waiting for the lock: bob on ci-2 (process 17) with coreos-kit deploy, since 2026-"
    )


def test_waiting_for_the_lock_comes_to_its_end(session: Session, etcd: FakeEtcdStore) -> None:
    others(etcd, ttl_s=600)

    with pytest.raises(LockHeld), held_lock(session, "coreos-kit deploy", wait_s=5):
        pytest.fail("two at once")

    assert session.clock.now() == 5


def test_a_lock_without_a_lease_is_not_said_to_go_by_itself(session: Session, etcd: FakeEtcdStore) -> None:
    etcd.put(KEY, "nonsense")

    with pytest.raises(LockHeld) as refused, held_lock(session, "coreos-kit deploy"):
        pytest.fail("two at once")

    assert "held by unknown on unknown (process 0)" in str(refused.value)
    assert "It has no lease and stays until somebody takes it away" in refused.value.hint


def test_without_etcd_nothing_is_begun(session: Session, etcd: FakeEtcdStore) -> None:
    etcd.is_down = True

    with pytest.raises(Unreachable, match=f"the lock {KEY} can't be taken, so nothing was touched"):
        with held_lock(session, "coreos-kit deploy"):
            pytest.fail("without the lock")


def test_renewing_keeps_the_lock_longer_than_its_lease(session: Session, etcd: FakeEtcdStore) -> None:
    with held_lock(session, "coreos-kit deploy") as lock:
        for _ in range(5):
            session.clock.sleep(20)
            assert lock.renew()
        lock.before_step(STEP)

        assert KEY in etcd.keys


def test_a_lock_that_was_taken_away_stops_the_next_step_and_stays_anothers(
    session: Session, etcd: FakeEtcdStore
) -> None:
    with held_lock(session, "coreos-kit deploy") as lock:
        release(session, who_holds(session))
        bob = others(etcd)

        with pytest.raises(LockLost) as lost:
            lock.before_step(STEP)
        with pytest.raises(LockLost):
            lock.before_step(STEP)

    assert str(lost.value) == "the lock was lost: its lease ran out, or somebody took it away"
    assert lost.value.exit_code == 6
    assert etcd.keys[KEY].value == bob.text()


def test_a_silent_etcd_is_borne_for_the_length_of_the_lease_and_no_longer(
    session: Session, etcd: FakeEtcdStore, said: list[str]
) -> None:
    with held_lock(session, "coreos-kit deploy") as lock:
        etcd.is_down = True
        session.clock.sleep(LEASE_S - 1)
        lock.before_step(STEP)
        session.clock.sleep(1)

        with pytest.raises(LockLost, match="it could not be renewed for 30 s: etcd gives no answer"):
            lock.before_step(STEP)

    assert said == [
        "the lock could not be given back, and goes within 30 s: etcd gives no answer: connection refused"
    ]


def test_an_answer_that_came_late_does_not_make_the_lease_longer(
    session: Session, etcd: FakeEtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = etcd.create

    def late(self: FakeEtcdStore, *args: str) -> str | None:
        lease = create(*args)  # type: ignore[arg-type]
        session.clock.sleep(9)
        return lease

    monkeypatch.setattr(FakeEtcdStore, "create", late)

    with held_lock(session, "coreos-kit deploy") as lock:
        etcd.is_down = True
        session.clock.sleep(LEASE_S - 9)

        with pytest.raises(LockLost):
            lock.before_step(STEP)


def test_a_lock_whose_holder_has_changed_is_not_released(session: Session, etcd: FakeEtcdStore) -> None:
    others(etcd)
    seen = who_holds(session)
    etcd.pass_time(LEASE_S)
    with held_lock(session, "coreos-kit deploy"):
        with pytest.raises(KitError, match="its holder is not the one that was shown any more"):
            release(session, seen)

        assert etcd.keys[KEY].value != (seen and seen.value)


def test_a_lock_that_goes_just_before_it_is_read_is_tried_again(
    session: Session, etcd: FakeEtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    others(etcd)
    entry = etcd.entry

    def goes(key: str) -> object:
        etcd.keys.clear()
        return entry(key)

    monkeypatch.setattr(type(etcd), "entry", lambda self, key: goes(key))

    with held_lock(session, "coreos-kit deploy") as lock:
        assert isinstance(lock, Lock)


@pytest.mark.parametrize(
    "value", ["", "[]", "null", "[" * 100_000, '{"owner": 1, "pid": "x"}', '{"pid": 1e999}']
)
def test_whatever_stands_in_etcd_for_the_lock_is_shown_and_no_traceback(value: str) -> None:
    holder = Holder.parse(value)

    assert (holder.owner, holder.pid) == ("unknown", 0)


def test_what_is_written_is_read_again() -> None:
    holder = Holder("älice", "ci", 1, "2026-11-26T10:00:00Z", "coreos-kit deploy", "0f")

    assert Holder.parse(holder.text()) == holder


def test_the_key_is_the_projects() -> None:
    assert lock_key("web") == KEY
