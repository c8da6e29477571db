"""Ways to etcd and what stands in them: real etcds and an sshd on loopback."""

import base64
import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coreos_kit.adapters import etcd_v2, etcd_v3
from coreos_kit.adapters.etcd import open_store
from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.project import EtcdApi, EtcdSettings
from coreos_kit.ports import EtcdStore
from coreos_kit.testing.runner import FakeRunner
from coreos_kit.testing.servers import (
    ETCD,
    SSHD,
    EtcdServer,
    free_port,
    make_certificates,
    running_etcd,
    running_sshd,
)

pytestmark = pytest.mark.real

BOTH = pytest.mark.parametrize("api", list(EtcdApi))


@pytest.fixture(autouse=True)
def _there() -> None:
    if not Path(ETCD).exists() or not Path(SSHD).exists():
        pytest.skip("apt-get install etcd-server etcd-client openssh-server")


@pytest.fixture
def server() -> Iterator[EtcdServer]:
    with running_etcd() as running:
        yield running


def put(server: EtcdServer, api: EtcdApi, key: str, value: str) -> None:
    words = ["set", key, value] if api is EtcdApi.V2 else ["put", key, value]
    server.ctl(*words, api=api.value.removeprefix("v"))


def read(store: EtcdStore, prefix: str = "/services") -> list[str]:
    return [entry.value for entry in store.entries(prefix)]


# Through SSH


@BOTH
def test_etcd_on_a_machine_is_read_through_ssh(server: EtcdServer, api: EtcdApi) -> None:
    put(server, api, "/services/a", "over ssh")
    with running_sshd() as sshd, open_machines([sshd.entry()]) as machines:
        runners = {"web1": machines.runner("web1")}
        with open_store(EtcdSettings(), api, runners, port=server.port) as store:
            assert read(store) == ["over ssh"]


@BOTH
def test_the_next_machine_is_asked_when_one_is_down_or_its_etcd_is(server: EtcdServer, api: EtcdApi) -> None:
    put(server, api, "/services/a", "from the third")
    runners = {
        "web1": FakeRunner("web1", is_down=True),
        "web2": FakeRunner("web2", forwards={("127.0.0.1", server.port): ("127.0.0.1", free_port())}),
        "web3": FakeRunner("web3"),
    }

    with open_store(EtcdSettings(), api, runners, port=server.port) as store:
        assert read(store) == ["from the third"]


@BOTH
def test_when_none_answers_each_says_why(api: EtcdApi) -> None:
    runners = {"web1": FakeRunner("web1", is_down=True), "web2": FakeRunner("web2")}

    with open_store(EtcdSettings(), api, runners, port=free_port()) as store:
        with pytest.raises(Unreachable, match="no etcd of this cluster answers") as caught:
            store.entries("/services")

    assert caught.value.details == (
        "web1 can't be reached: connection refused",
        "etcd on web2 gives no answer: connection refused",
    )


def test_nothing_is_opened_before_the_first_question() -> None:
    down = FakeRunner("web1", is_down=True)

    with open_store(EtcdSettings(), EtcdApi.V3, {"web1": down}) as store:
        assert store.api is EtcdApi.V3


@BOTH
def test_an_etcd_that_comes_back_is_read_again_at_once(server: EtcdServer, api: EtcdApi) -> None:
    put(server, api, "/services/a", "still here")
    with open_store(EtcdSettings(endpoints=(server.url,)), api, {}, timeout_s=2) as store:
        assert read(store) == ["still here"]
        server.stop()
        with pytest.raises(Unreachable):
            store.entries("/services")
        server.start()

        assert read(store) == ["still here"]


@BOTH
def test_an_etcd_that_says_nothing_costs_its_timeout(api: EtcdApi, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()

        with open_store(EtcdSettings(endpoints=(endpoint,)), api, {}, timeout_s=0.5) as store:
            with pytest.raises(Unreachable, match="gives no answer: timed out"):
                store.entries("/services")

    assert time.monotonic() - started < 2
    assert capfd.readouterr().err == ""


# What is not served


def test_a_v2_that_is_switched_off_is_refused_by_name() -> None:
    with running_etcd(arguments=()) as server:
        settings = EtcdSettings(endpoints=(server.url,))
        with open_store(settings, EtcdApi.V2, {}) as store:
            with pytest.raises(Refused, match="does not serve the v2 API") as caught:
                store.entries("/services")

    assert "--enable-v2" in caught.value.hint


def test_an_etcd_too_old_for_v3_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as old:
        threading.Thread(target=_answer_as_etcd_2, args=(old,), daemon=True).start()
        settings = EtcdSettings(endpoints=(f"http://127.0.0.1:{old.getsockname()[1]}",))

        with open_store(settings, EtcdApi.V3, {}, timeout_s=2) as store:
            with pytest.raises(Refused, match=r"is 2\.3\.8 and does not serve the v3 API"):
                store.entries("/services")


def _answer_as_etcd_2(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            is_version = connection.recv(65536).startswith(b"GET /version")
            body = b'{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}' if is_version else b"404 page not found\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


# Large and hostile


@BOTH
def test_more_keys_than_can_be_right_are_refused(
    server: EtcdServer, api: EtcdApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_v2, "MAX_KEYS", 3)
    monkeypatch.setattr(etcd_v3, "MAX_KEYS", 3)
    for number in range(4):
        put(server, api, f"/services/{number}", "x")

    with open_store(EtcdSettings(endpoints=(server.url,)), api, {}) as store:
        with pytest.raises(KitError, match="more than 3 keys below /services"):
            store.entries("/services")


def test_thousands_of_registrations_of_v3_come_with_their_leases(server: EtcdServer) -> None:
    leases = [json.loads(_post(server, "lease/grant", {"TTL": "60"}))["ID"] for _ in range(20)]
    value = _b64("x" * 2000)
    for start in range(0, 3000, 100):
        puts = [
            {"requestPut": {"key": _b64(f"/services/{number}"), "value": value, "lease": leases[number % 9]}}
            for number in range(start, start + 100)
        ]  # fmt: skip
        _post(server, "kv/txn", {"success": puts})

    with open_store(EtcdSettings(endpoints=(server.url,)), EtcdApi.V3, {}) as store:
        entries = store.entries("/services")

    assert len(entries) == 3000  # 6 MB: more than a gRPC message may have by default
    assert {entry.ttl_granted_s for entry in entries} == {60}


def test_values_that_are_not_utf_8_are_readable(server: EtcdServer) -> None:
    _post(server, "kv/put", {"key": _b64("/services/a"), "value": base64.b64encode(b"\xff\xfe").decode()})

    with open_store(EtcdSettings(endpoints=(server.url,)), EtcdApi.V3, {}) as store:
        assert read(store) == ["\ufffd\ufffd"]


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _post(server: EtcdServer, call: str, words: dict[str, object]) -> bytes:
    with urllib.request.urlopen(f"{server.url}/v3/{call}", json.dumps(words).encode(), timeout=20) as answer:
        body: bytes = answer.read()
        return body


# Writing


@BOTH
def test_a_value_that_etcd_does_not_take_is_refused(server: EtcdServer, api: EtcdApi) -> None:
    with open_store(EtcdSettings(endpoints=(server.url,)), api, {}) as store:
        with pytest.raises(Refused, match="takes no value of that size"):
            store.put("/coreos-kit/v1/web/a", "x" * 12_000_000)
        assert store.entry("/coreos-kit/v1/web/a") is None


def test_v3_takes_a_request_of_a_megabyte_and_a_half_and_refuses_more(server: EtcdServer) -> None:
    with open_store(EtcdSettings(endpoints=(server.url,)), EtcdApi.V3, {}) as store:
        store.put("/coreos-kit/v1/web/a", "x" * 1_500_000)
        with pytest.raises(Refused, match="takes no value of that size"):
            store.put("/coreos-kit/v1/web/a", "x" * 1_600_000)


@BOTH
def test_a_key_where_v2_has_a_folder_is_refused_and_v3_has_no_folders(
    server: EtcdServer, api: EtcdApi
) -> None:
    put(server, api, "/coreos-kit/v1/web/releases/1", "x")

    with open_store(EtcdSettings(endpoints=(server.url,)), api, {}) as store:
        if api is EtcdApi.V2:
            assert store.create("/coreos-kit/v1/web/releases", "mine", 60) is None
            with pytest.raises(Refused, match="has a folder where a key should be"):
                store.put("/coreos-kit/v1/web/releases", "x")
        else:
            assert store.create("/coreos-kit/v1/web/releases", "mine", 60)


@BOTH
def test_a_key_whose_creation_was_never_confirmed_is_known_again_at_the_next_member(
    server: EtcdServer, api: EtcdApi
) -> None:
    with deaf_relay(server) as relay:
        settings = EtcdSettings(endpoints=(relay, server.url))
        with open_store(settings, api, {}, timeout_s=2) as store:
            lease = store.create("/coreos-kit/v1/web/lock", "mine: 1f", 60)
            assert lease
            assert store.renew("/coreos-kit/v1/web/lock", "mine: 1f", lease, 60) is True
            assert store.create("/coreos-kit/v1/web/lock", "another's: 2e", 60) is None


@contextmanager
def deaf_relay(server: EtcdServer) -> Iterator[str]:
    """An etcd of which every question arrives, and whose answers stop at the first that confirms a creation.

    It passes on all that it hears, and hangs up as soon as the key is in etcd.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    ends, threads = [listener], []

    def pump(source: socket.socket, target: socket.socket, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer:
                    time.sleep(0.1)  # for what was asked to be done
                    if _is_created(server):
                        break
                target.sendall(data)
        hang_up(source, target)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", server.port))
                ends.extend((near, far))
                for pair, is_answer in (((near, far), False), ((far, near), True)):
                    threads.append(threading.Thread(target=pump, args=pair, kwargs={"is_answer": is_answer}))
                    threads[-1].start()

    def hang_up(*sockets: socket.socket) -> None:
        for end in sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    threads.append(threading.Thread(target=serve))
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        hang_up(*ends)
        for thread in threads:
            thread.join(5)
        for end in ends:
            end.close()


def _is_created(server: EtcdServer) -> bool:
    settings = EtcdSettings(endpoints=(server.url,))
    for api in EtcdApi:
        with open_store(settings, api, {}) as store:
            if store.entry("/coreos-kit/v1/web/lock") is not None:
                return True
    return False


# Logins and certificates


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("secret\n")
    return str(path)


def _demand_logins(server: EtcdServer, api: EtcdApi) -> None:
    if api is EtcdApi.V3:
        server.ctl("user", "add", "root:secret")
        server.ctl("user", "grant-role", "root", "root")
        server.ctl("auth", "enable")
        return
    for path, words in (
        ("users/root", {"user": "root", "password": "secret"}),
        ("enable", {}),
    ):
        request = urllib.request.Request(
            f"{server.url}/v2/auth/{path}", json.dumps(words).encode(),
            {"Content-Type": "application/json"}, method="PUT",
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=5).close()
    request = urllib.request.Request(
        f"{server.url}/v2/auth/roles/guest",
        headers={"Authorization": f"Basic {_b64('root:secret')}"},
        method="DELETE",
    )
    urllib.request.urlopen(request, timeout=5).close()


@BOTH
def test_a_login_is_shown_where_one_is_wanted(server: EtcdServer, api: EtcdApi, password_file: str) -> None:
    put(server, api, "/services/a", "for root only")
    _demand_logins(server, api)
    right = EtcdSettings(endpoints=(server.url,), username="root", password_file=password_file)

    with open_store(right, api, {}) as store:
        assert read(store) == ["for root only"]


@BOTH
def test_a_login_that_is_missing_or_wrong_is_named(
    server: EtcdServer, api: EtcdApi, password_file: str
) -> None:
    _demand_logins(server, api)
    Path(password_file).write_text("wrong")

    for settings in (
        EtcdSettings(endpoints=(server.url,)),
        EtcdSettings(endpoints=(server.url,), username="root", password_file=password_file),
    ):
        with open_store(settings, api, {}) as store:
            with pytest.raises(Unreachable) as caught:
                store.entries("/services")
            assert "etcd.username" in caught.value.hint
            assert "wrong" not in str(caught.value) + str(caught.value.details)


@BOTH
def test_https_with_a_client_certificate(tmp_path: Path, api: EtcdApi) -> None:
    make_certificates(tmp_path)
    arguments = [
        "--enable-v2", "--cert-file", f"{tmp_path}/server.crt", "--key-file", f"{tmp_path}/server.key",
        "--client-cert-auth", "--trusted-ca-file", f"{tmp_path}/ca.crt",
    ]  # fmt: skip
    with running_etcd(arguments, scheme="https") as server:
        known = EtcdSettings(
            endpoints=(server.url,), ca=f"{tmp_path}/ca.crt",
            cert=f"{tmp_path}/client.crt", key=f"{tmp_path}/client.key",
        )  # fmt: skip
        with open_store(known, api, {}) as store:
            assert read(store) == []
        for stranger in (
            EtcdSettings(endpoints=(server.url,), ca=f"{tmp_path}/ca.crt"),
            EtcdSettings(endpoints=(server.url,)),
        ):
            with open_store(stranger, api, {}, timeout_s=2) as store:
                with pytest.raises(Unreachable):
                    store.entries("/services")
