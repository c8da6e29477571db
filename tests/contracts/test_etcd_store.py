"""What every `ports.EtcdStore` promises: the fake, and both APIs of a real etcd."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coreos_kit.adapters.etcd import open_store
from coreos_kit.errors import Unreachable
from coreos_kit.model.project import EtcdApi, EtcdSettings
from coreos_kit.ports import EtcdStore
from coreos_kit.testing.etcd import FakeEtcdStore
from coreos_kit.testing.servers import ETCD, EtcdServer, running_etcd

Put = Callable[..., None]


@dataclass
class Stand:
    """A store, a way to write what it reads, a way to let time pass, and a way to take etcd away."""

    store: EtcdStore
    put: Put
    wait: Callable[[float], None]
    take_away: Callable[[], object]


@pytest.fixture(
    params=[
        "fake-v2",
        "fake-v3",
        pytest.param("v2", marks=pytest.mark.real),
        pytest.param("v3", marks=pytest.mark.real),
    ]
)
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    if str(request.param).startswith("fake"):
        fake = FakeEtcdStore(EtcdApi(request.param.removeprefix("fake-")))
        yield Stand(fake, fake.put, fake.pass_time, lambda: setattr(fake, "is_down", True))
        return
    if not Path(ETCD).exists():
        pytest.skip("etcd is not installed: apt-get install etcd-server etcd-client")
    with running_etcd() as server:
        put = _put_v2(server) if request.param == "v2" else _put_v3(server)
        settings = EtcdSettings(endpoints=(server.url,))
        with open_store(settings, EtcdApi(request.param), {}, timeout_s=10) as store:
            yield Stand(store, put, time.sleep, server.stop)


def _put_v2(server: EtcdServer) -> Put:
    def put(key: str, value: str, ttl_s: int | None = None) -> None:
        words = {"value": value} | ({"ttl": str(ttl_s)} if ttl_s else {})
        body = urllib.parse.urlencode(words).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/v2/keys{urllib.parse.quote(key)}", body, method="PUT"),
            timeout=5,
        ).close()

    return put


def _put_v3(server: EtcdServer) -> Put:
    def put(key: str, value: str, ttl_s: int | None = None) -> None:
        lease = []
        if ttl_s:
            granted = json.loads(server.ctl("lease", "grant", str(ttl_s), "-w", "json"))
            lease = [f"--lease={granted['ID']:x}"]
        server.ctl("put", *lease, "--", key, value)

    return put


def test_a_prefix_that_holds_nothing_gives_nothing(stand: Stand) -> None:
    assert stand.store.entries("/services/apache") == ()


def test_keys_come_in_order_with_their_values(stand: Stand) -> None:
    stand.put("/services/apache/192.0.2.12", "192.0.2.12:8888")
    stand.put("/services/apache/192.0.2.11", "192.0.2.11:7777")

    assert [(entry.key, entry.value) for entry in stand.store.entries("/services/apache")] == [
        ("/services/apache/192.0.2.11", "192.0.2.11:7777"),
        ("/services/apache/192.0.2.12", "192.0.2.12:8888"),
    ]


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(stand: Stand) -> None:
    stand.put("/services/apache/192.0.2.11", "in")
    stand.put("/services/apache2/192.0.2.11", "out")
    stand.put("/services/apacheness", "out")

    assert [entry.value for entry in stand.store.entries("/services/apache")] == ["in"]
    assert [entry.value for entry in stand.store.entries("/services/apache/")] == ["in"]


def test_keys_in_folders_below_are_included(stand: Stand) -> None:
    stand.put("/services/apache/fra/192.0.2.11", "deep")

    assert [entry.key for entry in stand.store.entries("/services")] == ["/services/apache/fra/192.0.2.11"]


def test_a_key_under_a_ttl_has_time_left_and_another_has_none(stand: Stand) -> None:
    stand.put("/services/apache/a", "registered", 60)
    stand.put("/services/apache/b", "for ever")

    registered, forever = stand.store.entries("/services/apache")

    assert registered.ttl_left_s is not None
    assert 50 < registered.ttl_left_s <= 60
    assert forever.ttl_left_s is None


def test_v3_says_what_was_granted_and_v2_does_not(stand: Stand) -> None:
    stand.put("/services/apache/a", "registered", 60)

    (entry,) = stand.store.entries("/services/apache")

    assert entry.ttl_granted_s == (60 if stand.store.api is EtcdApi.V3 else None)


def test_keys_and_values_may_hold_any_character(stand: Stand) -> None:
    stand.put("/services/apache/ä b%?#", "ö\n<&>\"' $HOME")

    assert [(entry.key, entry.value) for entry in stand.store.entries("/services/apache")] == [
        ("/services/apache/ä b%?#", "ö\n<&>\"' $HOME")
    ]


def test_a_key_is_deleted_only_while_it_holds_the_value_that_was_seen(stand: Stand) -> None:
    stand.put("/services/apache/a", "192.0.2.11:7777")

    assert stand.store.delete_if_value("/services/apache/a", "192.0.2.11:8888") is False
    assert [entry.key for entry in stand.store.entries("/services/apache")] == ["/services/apache/a"]
    assert stand.store.delete_if_value("/services/apache/a", "192.0.2.11:7777") is True
    assert stand.store.entries("/services/apache") == ()


def test_deleting_a_key_that_is_gone_is_no_error(stand: Stand) -> None:
    assert stand.store.delete_if_value("/services/apache/a", "192.0.2.11:7777") is False


def test_a_folder_and_what_begins_like_the_key_stay(stand: Stand) -> None:
    stand.put("/services/apache/a/b", "x")
    stand.put("/services/apache/ab", "x")

    assert stand.store.delete_if_value("/services/apache/a", "x") is False
    assert len(stand.store.entries("/services/apache")) == 2


@pytest.mark.parametrize("value", ["", "ö\n<&>\"' $HOME", "x" * 100_000])
def test_any_value_can_be_compared(stand: Stand, value: str) -> None:
    stand.put("/services/apache/ä b%?#", value)

    assert stand.store.delete_if_value("/services/apache/ä b%?#", f"{value}.") is False
    assert stand.store.delete_if_value("/services/apache/ä b%?#", value) is True


def test_deleting_in_an_etcd_that_is_gone_is_unreachable(stand: Stand) -> None:
    stand.take_away()

    with pytest.raises(Unreachable, match=r"etcd .*gives no answer"):
        stand.store.delete_if_value("/services/apache/a", "x")


def test_an_etcd_that_is_gone_is_unreachable(stand: Stand) -> None:
    stand.store.entries("/services/apache")
    stand.take_away()

    with pytest.raises(Unreachable, match=r"etcd .*gives no answer"):
        stand.store.entries("/services/apache")


# What is written


def test_one_key_is_read_alone(stand: Stand) -> None:
    stand.put("/coreos-kit/v1/web/lock", "held", 60)
    stand.put("/coreos-kit/v1/web/lock2", "another")

    entry = stand.store.entry("/coreos-kit/v1/web/lock")

    assert entry is not None
    assert (entry.key, entry.value) == ("/coreos-kit/v1/web/lock", "held")
    assert entry.ttl_left_s is not None
    assert 50 < entry.ttl_left_s <= 60


def test_a_key_that_is_not_there_and_a_folder_are_none(stand: Stand) -> None:
    stand.put("/coreos-kit/v1/web/releases/00000001", "x")

    assert stand.store.entry("/coreos-kit/v1/web/lock") is None
    assert stand.store.entry("/coreos-kit/v1/web/releases") is None


@pytest.mark.parametrize("value", ["", "ö\n<&>\"' $HOME +%41", "x" * 1_400_000])
def test_any_value_that_fits_is_written_and_written_over(stand: Stand, value: str) -> None:
    key = "/coreos-kit/v1/ä b%?#"
    stand.put(key, "before", 60)

    stand.store.put(key, value)
    stand.store.put(key, value)

    entry = stand.store.entry(key)
    assert entry is not None
    assert (entry.key, entry.value, entry.ttl_left_s) == (key, value, None)


def test_a_key_is_created_once_for_a_time(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"

    first = stand.store.create(key, "mine: 1f", 60)
    second = stand.store.create(key, "another's: 2e", 60)

    entry = stand.store.entry(key)
    assert first
    assert second is None
    assert entry is not None
    assert entry.value == "mine: 1f"
    assert entry.ttl_left_s is not None
    assert 50 < entry.ttl_left_s <= 60


def test_a_created_key_is_known_again_by_its_value_when_the_answer_got_lost(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"
    lease = stand.store.create(key, "mine: 1f", 60)

    again = stand.store.create(key, "mine: 1f", 60)

    assert lease
    assert again == lease
    assert stand.store.renew(key, "mine: 1f", again, 60) is True


def test_what_somebody_put_there_without_a_ttl_is_not_created_over(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"
    stand.put(key, "for ever")

    assert stand.store.create(key, "mine: 1f", 60) is None


def test_renewing_gives_the_whole_time_again(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"
    lease = stand.store.create(key, "mine: 1f", 60)
    assert lease
    stand.wait(4.1)

    assert stand.store.renew(key, "mine: 1f", lease, 60) is True

    entry = stand.store.entry(key)
    assert entry is not None
    assert entry.ttl_left_s is not None
    assert 56 < entry.ttl_left_s <= 60  # without that it would be 56 at most


def test_a_key_that_is_gone_or_anothers_is_not_renewed(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"
    lease = stand.store.create(key, "mine: 1f", 60)
    assert lease
    assert stand.store.delete_if_value(key, "mine: 1f") is True

    gone = stand.store.renew(key, "mine: 1f", lease, 60)
    others = stand.store.create(key, "another's: 2e", 60)
    taken = stand.store.renew(key, "mine: 1f", lease, 60)

    entry = stand.store.entry(key)
    assert (gone, taken) == (False, False)
    assert others
    assert entry is not None
    assert entry.value == "another's: 2e"


def test_a_created_key_goes_after_its_time_and_is_not_renewed_then(stand: Stand) -> None:
    key = "/coreos-kit/v1/web/lock"
    lease = stand.store.create(key, "mine: 1f", 2)
    assert lease
    stand.wait(5)

    assert stand.store.entry(key) is None
    assert stand.store.renew(key, "mine: 1f", lease, 2) is False
    assert stand.store.create(key, "another's: 2e", 60)


def test_writing_into_an_etcd_that_is_gone_is_unreachable(stand: Stand) -> None:
    lease = stand.store.create("/coreos-kit/v1/web/lock", "mine: 1f", 60)
    assert lease
    stand.take_away()

    for question in (
        lambda: stand.store.put("/coreos-kit/v1/web/a", "x"),
        lambda: stand.store.create("/coreos-kit/v1/web/lock", "another's", 60),
        lambda: stand.store.renew("/coreos-kit/v1/web/lock", "mine: 1f", lease, 60),
        lambda: stand.store.entry("/coreos-kit/v1/web/lock"),
    ):
        with pytest.raises(Unreachable, match=r"etcd .*gives no answer"):
            question()
