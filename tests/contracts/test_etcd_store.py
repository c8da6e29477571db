"""What every `ports.EtcdStore` promises: the fake, and both APIs of a real etcd."""

import json
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
    """A store, a way to write what it reads, and a way to take etcd away."""

    store: EtcdStore
    put: Put
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
        yield Stand(fake, fake.put, lambda: setattr(fake, "is_down", True))
        return
    if not Path(ETCD).exists():
        pytest.skip("etcd is not installed: apt-get install etcd-server etcd-client")
    with running_etcd() as server:
        put = _put_v2(server) if request.param == "v2" else _put_v3(server)
        settings = EtcdSettings(endpoints=(server.url,))
        with open_store(settings, EtcdApi(request.param), {}, timeout_s=2) as store:
            yield Stand(store, put, server.stop)


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
