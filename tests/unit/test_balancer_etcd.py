"""What etcd answers, odd answers included, and what the watcher makes of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from coreos_kit.balancer.access import Access
from coreos_kit.balancer.etcd import EtcdV2, EtcdV3, Snapshot
from coreos_kit.balancer.following import CHECK_S, LONGEST_PAUSE_S, PACE_S, Lost, Seen, follow
from coreos_kit.balancer.pool import Pool, parse_networks
from coreos_kit.balancer.settings import Settings
from coreos_kit.balancer.wire import ANSWER_S, HURRY_S, Unreachable

PREFIX = "/services/apache"
SETTINGS = Settings("127.0.0.1", 2379, "v3", PREFIX, parse_networks("10.132.0.0/16"), "apache", 80, 10)

Answers = dict[str, tuple[int, bytes]]
Serve = Callable[[Answers], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give a function that answers on loopback: path -> status and body; 404 for all other paths."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = answers.get(self.path, (404, b"404 page not found\n"))
                self.send_response(status)
                self.send_header("X-Etcd-Index", "7")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def range_answer(*pairs: tuple[str, str]) -> tuple[int, bytes]:
    kvs = [{"key": encoded(key), "value": encoded(value)} for key, value in pairs]
    return 200, json.dumps({"header": {"revision": "12"}, "kvs": kvs}).encode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("gateway", ["/v3", "/v3beta"])
def test_the_gateway_of_either_age_is_found(serve: Serve, gateway: str) -> None:
    port = serve({f"{gateway}/kv/range": range_answer((f"{PREFIX}/a", "10.132.0.11:80"))})

    assert EtcdV3("127.0.0.1", port, PREFIX).read() == Snapshot({f"{PREFIX}/a": "10.132.0.11:80"}, 12)


def test_no_registration_is_an_empty_snapshot(serve: Serve) -> None:
    v3 = serve({"/v3/kv/range": (200, b'{"header": {"revision": "12"}}')})
    v2 = serve({f"/v2/keys{PREFIX}?quorum=true": (404, b'{"errorCode": 100, "message": "Key not found"}')})

    assert EtcdV3("127.0.0.1", v3, PREFIX).read() == Snapshot({}, 12)
    assert EtcdV2("127.0.0.1", v2, PREFIX).read() == Snapshot({}, 7)


def test_directories_under_the_prefix_are_no_registrations(serve: Serve) -> None:
    nodes = [{"key": f"{PREFIX}/a", "value": "10.132.0.11:80"}, {"key": f"{PREFIX}/d", "dir": True}]
    body = json.dumps({"node": {"dir": True, "nodes": nodes}}).encode()
    port = serve({f"/v2/keys{PREFIX}?quorum=true": (200, body)})

    assert EtcdV2("127.0.0.1", port, PREFIX).read() == Snapshot({f"{PREFIX}/a": "10.132.0.11:80"}, 7)


def test_a_value_that_is_no_text_is_there_to_be_refused(serve: Serve) -> None:
    body = {"header": {"revision": "12"}, "kvs": [{"key": encoded(f"{PREFIX}/a"), "value": "/w=="}]}
    port = serve({"/v3/kv/range": (200, json.dumps(body).encode())})

    assert EtcdV3("127.0.0.1", port, PREFIX).read().registrations == {f"{PREFIX}/a": "\\xff"}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"<html>\x1b[2J", 'HTTP 200 with "<html>\\x1b[2J" is no JSON'),
        (200, b"[" * 100_000, f'HTTP 200 with "{"[" * 60}" is no JSON'),
        (200, b"[]", "HTTP 200 with something else than an object"),
        (200, b"{}", "its answer to a range request was not understood"),
        (200, b'{"header": {"revision": "x"}}', "its answer to a range request was not understood"),
        (200, b'{"header": {"revision": 1}, "kvs": 1}', "its answer to a range request was not understood"),
        (
            200,
            b'{"header": {"revision": 1}, "kvs": [{"key": "!"}]}',
            "its answer to a range request was not understood",
        ),
        (503, b'{"error": "etcdserver: no leader"}', 'HTTP 503: "etcdserver: no leader"'),
        (404, b"404 page not found", "it does not serve the v3 API"),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_etcd_that_can_not_be_read(
    serve: Serve, status: int, body: bytes, reason: str
) -> None:
    port = serve({"/v3/kv/range": (status, body)})

    with pytest.raises(Unreachable) as unreachable:
        EtcdV3("127.0.0.1", port, PREFIX).read()

    assert str(unreachable.value) == reason


def test_an_etcd_without_v2_says_so(serve: Serve) -> None:
    with pytest.raises(Unreachable) as unreachable:
        EtcdV2("127.0.0.1", serve({}), PREFIX).read()

    assert str(unreachable.value) == "it does not serve the v2 API"


def test_an_answer_without_end_is_not_read_to_its_end(serve: Serve) -> None:
    port = serve({"/v3/kv/range": (200, b"[" * (9 * 1024 * 1024))})

    with pytest.raises(Unreachable) as unreachable:
        EtcdV3("127.0.0.1", port, PREFIX).read()

    assert str(unreachable.value) == "the answer is larger than 8388608 bytes"


def test_events_that_etcd_has_forgotten_end_the_wait(serve: Serve) -> None:
    cleared = (400, b'{"errorCode": 401, "message": "The event in requested index is outdated and cleared"}')
    port = serve({f"/v2/keys{PREFIX}?wait=true&recursive=true&waitIndex=8": cleared})

    EtcdV2("127.0.0.1", port, PREFIX).wait(Snapshot({}, 7), 5)


def test_a_compacted_revision_ends_the_wait(serve: Serve) -> None:
    lines = b'{"result":{"created":true}}\n{"result":{"canceled":true,"compact_revision":"99"}}\n'
    port = serve({"/v3/watch": (200, lines)})

    EtcdV3("127.0.0.1", port, PREFIX).wait(Snapshot({}, 12), 5)


def test_a_watch_that_is_not_created_is_a_failure(serve: Serve) -> None:
    port = serve({"/v3/watch": (401, b'{"error":"etcdserver: user name is empty"}')})

    with pytest.raises(Unreachable, match="etcdserver: user name is empty"):
        EtcdV3("127.0.0.1", port, PREFIX).wait(Snapshot({}, 12), 5)


def test_a_watch_that_is_created_and_refused_in_one_breath_is_a_failure(serve: Serve) -> None:
    refused = b"rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
    line = b'{"result":{"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"' + refused + b'"}}\n'
    port = serve({"/v3/watch": (200, line + b"\n" * 2)})

    with pytest.raises(Unreachable, match="invalid auth token"):
        EtcdV3("127.0.0.1", port, PREFIX).wait(Snapshot({}, 12), 5)


@pytest.mark.parametrize("value", ["7", "null", "[]", "{}"])
def test_a_value_of_v2_that_is_no_string_is_an_etcd_that_can_not_be_read(serve: Serve, value: str) -> None:
    nodes = f'{{"node": {{"dir": true, "nodes": [{{"key": "{PREFIX}/a", "value": {value}}}]}}}}'
    port = serve({f"/v2/keys{PREFIX}?quorum=true": (200, nodes.encode())})

    with pytest.raises(Unreachable, match="its answer to a read was not understood"):
        EtcdV2("127.0.0.1", port, PREFIX).read()


@pytest.mark.parametrize("token", ["two\r\nlines", "\u2028", ""])
def test_a_token_that_fits_in_no_header_is_a_login_that_was_not_understood(
    serve: Serve, tmp_path: Path, token: str
) -> None:
    (tmp_path / "login").write_text("kit:secret")
    port = serve({"/v3/auth/authenticate": (200, json.dumps({"token": token}).encode())})

    with pytest.raises(Unreachable, match="its answer to a login was not understood"):
        EtcdV3("127.0.0.1", port, PREFIX, Access(folder=str(tmp_path))).read()


class ScriptEndError(Exception):
    """The script of a fake store is at its end."""


class ScriptedStore:
    """A store whose reads and waits go as scripted; None is success."""

    def __init__(self, reads: list[str | None], waits: list[str | None]) -> None:
        self.reads, self.waits, self.waited = reads, waits, list[float]()
        self.patience: list[float] = []

    def read(self, patience_s: float = ANSWER_S) -> Snapshot:
        self.patience.append(patience_s)
        if not self.reads:
            raise ScriptEndError
        self._go(self.reads.pop(0))
        return Snapshot({f"{PREFIX}/a": "10.132.0.11:80"}, 1)

    def wait(self, snapshot: Snapshot, timeout_s: float) -> None:
        self.waited.append(timeout_s)
        self._go(self.waits.pop(0))

    def _go(self, problem: str | None) -> None:
        if problem:
            raise Unreachable(problem)


def followed(reads: list[str | None], waits: list[str | None]) -> tuple[list[Seen | Lost], list[float]]:
    told: list[Seen | Lost] = []
    slept: list[float] = []
    with pytest.raises(ScriptEndError):
        follow(ScriptedStore(reads, waits), SETTINGS, told.append, slept.append)
    return told, slept


def test_an_etcd_that_can_not_be_read_is_tried_again_ever_more_slowly() -> None:
    told, slept = followed(["refused"] * 8, [])

    assert told == [Lost("refused")] * 8
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]


def test_an_etcd_that_was_there_a_moment_ago_is_asked_twice_before_it_is_lost() -> None:
    store = ScriptedStore([None, "timed out", None, "timed out", "timed out", "timed out"], [None, None])
    told: list[Seen | Lost] = []

    with pytest.raises(ScriptEndError):
        follow(store, SETTINGS, told.append, lambda _: None)

    assert [isinstance(word, Seen) for word in told] == [True, True, False, False]
    assert store.patience == [ANSWER_S, HURRY_S, ANSWER_S, HURRY_S, ANSWER_S, ANSWER_S, ANSWER_S]


def test_a_broken_watch_is_no_outage_while_reading_works() -> None:
    told, slept = followed([None] * 7, ["closed"] * 6 + [None])

    pool = Pool(("10.132.0.11:80",))
    assert told == [Seen(pool)] * 3 + [Seen(pool, "closed")] * 4
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_PAUSE_S, PACE_S]


def test_etcd_is_read_every_five_seconds_though_nothing_changes() -> None:
    store = ScriptedStore([None], [None])

    with pytest.raises(ScriptEndError):
        follow(store, SETTINGS, lambda _: None, lambda _: None)

    assert store.waited == [CHECK_S] == [5.0]
