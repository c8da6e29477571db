"""Asking etcd over HTTP from the workstation."""

import time

import pytest

from coreos_kit.adapters import etcd_http
from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials
from coreos_kit.adapters.etcd_v2 import V2Store
from coreos_kit.errors import Unreachable
from coreos_kit.testing.servers import dripping_server


@pytest.mark.parametrize(
    "at_once", [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
)
def test_an_etcd_that_answers_a_byte_at_a_time_is_given_up_in_time(
    at_once: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_http, "BODY_S", 0.5)
    with dripping_server(at_once) as port:
        store = V2Store(EtcdAddress("core-1", "127.0.0.1", port), EtcdCredentials(), timeout_s=0.5)
        start = time.monotonic()

        with pytest.raises(Unreachable, match="etcd core-1 gives no answer: timed out"):
            store.entries("/services")

        assert time.monotonic() - start < 10  # it drips for ever
