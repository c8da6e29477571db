"""What probe.sh printed, and what it says of the requests that were sent."""

import base64
from collections.abc import Sequence

import pytest

from coreos_kit.adapters.answers import Line
from coreos_kit.adapters.probe import read_probe
from coreos_kit.ports import Probe

TIME = "[25/Nov/2026:10:00:00 +0000] 127.0.0.1"


def seen(codes: Sequence[str], passed_to: Sequence[str]) -> Probe:
    """Read what comes of requests that were answered with these codes and logged for these servers."""
    log = "\n".join(
        f"{TIME} passed to: {servers}: GET /?coreos-kit-verify=nonce&n={number} HTTP/1.1"
        for number, servers in enumerate(passed_to, 1)
    )
    lines = [*(Line("code", (code,)) for code in codes)]
    return read_probe((*lines, Line("log", (base64.b64encode(log.encode()).decode(),))), "nonce")


def test_of_several_servers_the_last_one_answered() -> None:
    probe = seen(["200", "404"], ["10.132.0.11:80", "10.132.0.11:80, 10.132.0.12:80"])

    assert probe.served == {"10.132.0.11:80": 1, "10.132.0.12:80": 1}


@pytest.mark.parametrize("code", ["502", "504", "000"])
def test_a_server_that_was_asked_and_did_not_answer_has_served_nothing(code: str) -> None:
    probe = seen([code, "200", code], ["10.132.0.11:80, 10.132.0.12:80", "10.132.0.13:80", "10.132.0.11:80"])

    assert probe.served == {"10.132.0.13:80": 1}


def test_a_503_with_a_server_in_the_log_is_that_servers_own() -> None:
    assert seen(["503"], ["10.132.0.11:80"]).served == {"10.132.0.11:80": 1}
