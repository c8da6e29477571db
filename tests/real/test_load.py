"""The load that the lab's tests put on the balancer: it misses no failure, and has an end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab.load import Aim, load

Answer = Callable[["Handler", int], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answer: Answer

    def setup(self) -> None:
        super().setup()
        self.number = 0

    def do_GET(self) -> None:
        self.number += 1
        type(self).answer(self, self.number)

    def say(self, status: int, text: str = "hello", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """Serve on loopback; `answer` is handed the request's number on its connection."""
    handler = type("Answering", (Handler,), {"answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def well(request: Handler, number: int) -> None:
    request.say(200)


def test_every_request_is_counted_on_both_kinds_of_connections() -> None:
    with serving(well) as port, load(Aim("127.0.0.1", port, 100, 100, most=200)) as running:
        running.reaches(200)
        report = running.end()

    assert report.served == {"new": 100, "kept": 100}
    assert report.failures == ()
    assert report.answers == {"hello": 200}


def test_the_rate_is_constant_and_ends_when_the_block_says_so() -> None:
    with serving(well) as port, load(Aim("127.0.0.1", port, 100, 100)) as running:
        report = running.reaches(400)
        ended = running.end()

    assert 1.8 <= report.seconds <= 4
    assert ended.sent < 800


def test_a_status_that_is_not_200_is_a_failure_with_its_time() -> None:
    def every_fifth(request: Handler, number: int) -> None:
        request.say(503 if number % 5 == 0 else 200)

    before = time.time()
    with serving(every_fifth) as port, load(Aim("127.0.0.1", port, 0, 100, clients=1, most=100)) as running:
        running.reaches(100)
        report = running.end()

    assert report.failed == 20
    assert {failure.reason for failure in report.failures} == {"status 503"}
    assert all(before <= failure.at <= time.time() for failure in report.failures)


def test_a_kept_connection_closed_under_its_clients_hands_costs_a_request_that_is_not_sent_again() -> None:
    asked = []

    def three_then_gone(request: Handler, number: int) -> None:
        asked.append(number)
        if number < 4:
            request.say(200)
        else:
            request.close_connection = True

    aim = Aim("127.0.0.1", 0, 0, 100, clients=2, most=100)
    with serving(three_then_gone) as port, load(Aim(**{**vars(aim), "port": port})) as running:
        running.reaches(100)
        report = running.end()

    assert 24 <= report.failed <= 25
    assert {failure.way for failure in report.failures} == {"kept"}
    assert all("RemoteDisconnected" in failure.reason for failure in report.failures)
    assert len(asked) == 100


def test_a_connection_that_idles_and_is_closed_meanwhile_costs_a_request_too() -> None:
    def then_closed(request: Handler, number: int) -> None:
        request.say(200)  # nothing says that it will be the last
        request.close_connection = True

    with serving(then_closed) as port, load(Aim("127.0.0.1", port, 0, 20, clients=1, most=20)) as running:
        running.reaches(20)
        report = running.end()

    assert report.failed == 10


def test_a_close_that_was_announced_costs_nothing() -> None:
    def last(request: Handler, number: int) -> None:
        request.say(200, Connection="close")

    with serving(last) as port, load(Aim("127.0.0.1", port, 0, 50, clients=2, most=50)) as running:
        running.reaches(50)
        report = running.end()

    assert (report.served, report.failed) == ({"kept": 50}, 0)


def test_a_refused_connection_is_a_failure_of_each_request() -> None:
    with serving(well) as port:
        pass
    with load(Aim("127.0.0.1", port, 50, 50, most=40)) as running:
        running.reaches(40)
        report = running.end()

    assert (report.sent, report.failed) == (40, 40)
    assert all("Refused" in failure.reason for failure in report.failures)


def test_requests_that_hang_hold_up_none_of_the_others_and_fail_in_the_end() -> None:
    stuck = threading.Semaphore(3)
    released = threading.Event()

    def three_hang(request: Handler, number: int) -> None:
        if stuck.acquire(blocking=False):
            released.wait(20)
        request.say(200)

    with (
        serving(three_hang) as port,
        load(Aim("127.0.0.1", port, 100, 0, most=150, patience_s=3)) as running,
    ):
        report = running.reaches(150)
        released.set()

    assert report.failed == 3
    assert {failure.reason for failure in report.failures} == {"TimeoutError: timed out"}
    assert report.seconds < 6


def test_a_load_that_nobody_ends_ends_by_its_time() -> None:
    with serving(well) as port, load(Aim("127.0.0.1", port, 50, 50, longest_s=0.5)) as running:
        sent = [0]
        while sent[-1] == 0 or sent[-1] != sent[-2]:
            time.sleep(1)
            sent.append(running.report().sent)

    assert 0 < sent[-1] <= 50


def test_what_came_after_a_mark_is_told_apart() -> None:
    broken = threading.Event()

    def until_broken(request: Handler, number: int) -> None:
        request.say(500 if broken.is_set() else 200)

    with serving(until_broken) as port, load(Aim("127.0.0.1", port, 50, 50)) as running:
        mark = running.reaches(30)
        broken.set()
        time.sleep(0.5)
        after = running.end().since(mark)

    assert mark.failed == 0
    assert after.failed > 10
    assert str(after).startswith(f"{after.failed} of {after.sent} requests failed")
