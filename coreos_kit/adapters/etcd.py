"""Which etcd is asked: configured endpoints, or the machines' own over SSH; the next when one is silent."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from coreos_kit.adapters.etcd_access import (
    CLIENT_PORT,
    EtcdAddress,
    EtcdCredentials,
    EtcdWay,
    HungUp,
    parse_endpoint,
)
from coreos_kit.adapters.etcd_http import http_ask
from coreos_kit.adapters.etcd_v2 import V2Store
from coreos_kit.errors import InvalidConfig, Refused, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi, EtcdSettings
from coreos_kit.ports import EtcdStore, Runner

_T = TypeVar("_T")

_LOOPBACK = "127.0.0.1"


class _Member(Protocol):
    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]: ...
    def entry(self, key: str) -> EtcdEntry | None: ...
    def put(self, key: str, value: str) -> None: ...
    def create(self, key: str, value: str, ttl_s: int) -> str | None: ...
    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool: ...
    def delete_if_value(self, key: str, value: str) -> bool: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Open:
    """The member that answered last, and what has to be closed with it."""

    member: _Member
    stack: ExitStack


@contextlib.contextmanager
def open_store(
    settings: EtcdSettings,
    api: EtcdApi,
    runners: Mapping[str, Runner],
    *,
    port: int = CLIENT_PORT,
    timeout_s: float = 5,
) -> Iterator[EtcdStore]:
    """Hand out a cluster's etcd. Nothing opens before the first question; all is closed at the end."""
    credentials = EtcdCredentials.load(settings)
    store = ClusterStore(api, _ways(settings, credentials, runners, port), credentials, timeout_s)
    try:
        yield store
    finally:
        store.close()


def _ways(
    settings: EtcdSettings, credentials: EtcdCredentials, runners: Mapping[str, Runner], port: int
) -> list[EtcdWay]:
    if settings.endpoints:
        return [_direct(parse_endpoint(endpoint)) for endpoint in settings.endpoints]
    return [_through(runner, port, is_secure=credentials.wants_tls) for runner in runners.values()]


def _direct(address: EtcdAddress) -> EtcdWay:
    return EtcdWay(address.name, lambda: contextlib.nullcontext(address))


def _through(runner: Runner, port: int, *, is_secure: bool) -> EtcdWay:
    name = f"on {runner.machine}"

    @contextlib.contextmanager
    def open_tunnel() -> Iterator[EtcdAddress]:
        with runner.forward(_LOOPBACK, port) as (host, local_port):
            yield EtcdAddress(name, host, local_port, is_secure)

    return EtcdWay(name, open_tunnel)


class ClusterStore:
    """etcd as a whole: any member answers for all, so the first that does is asked until it stops.

    A question whose answer got lost is put to the next member, so each has to be safe to repeat.
    """

    def __init__(
        self, api: EtcdApi, ways: list[EtcdWay], credentials: EtcdCredentials, timeout_s: float
    ) -> None:
        self._api = api
        self._ways = ways
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._open: _Open | None = None

    @property
    def api(self) -> EtcdApi:
        """The keyspace of this store."""
        return self._api

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """Return every key below `prefix`, from the first member that answers."""
        return self._ask_any(lambda member: member.entries(prefix))

    def entry(self, key: str) -> EtcdEntry | None:
        """Return one key, from the first member that answers."""
        return self._ask_any(lambda member: member.entry(key))

    def put(self, key: str, value: str) -> None:
        """Write a key, through the first member that answers."""
        self._ask_any(lambda member: member.put(key, value))

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """Write a key that is not there, through the first member that answers."""
        return self._ask_any(lambda member: member.create(key, value, ttl_s))

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """Give a key its whole time again, through the first member that answers."""
        return self._ask_any(lambda member: member.renew(key, value, lease, ttl_s))

    def delete_if_value(self, key: str, value: str) -> bool:
        """Compare and delete, through the first member that answers."""
        return self._ask_any(lambda member: member.delete_if_value(key, value))

    def _ask_any(self, question: Callable[[_Member], _T]) -> _T:
        if not self._ways:
            raise InvalidConfig(
                "there is no etcd to ask: the cluster has neither machines nor etcd.endpoints"
            )
        with self._lock:
            if self._open is not None:
                # Its tunnel may have died, or its login run out, since the last question.
                with contextlib.suppress(Unreachable):
                    return question(self._open.member)
                self._forget()
            failures: list[Unreachable] = []
            for way in self._ways:
                try:
                    return self._ask(way, question)
                except Unreachable as failure:
                    failures.append(failure)
        raise _none_answers(failures)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._forget()

    def _ask(self, way: EtcdWay, question: Callable[[_Member], _T]) -> _T:
        with ExitStack() as stack:
            address = stack.enter_context(way.open())
            try:
                member = self._member(address)
                stack.callback(member.close)
                answer = question(member)
            except HungUp:
                self._refuse_too_old(address)
                raise
            self._open = _Open(member, stack.pop_all())  # kept for the next question
        return answer

    def _refuse_too_old(self, address: EtcdAddress) -> None:
        """Tell what is wrong where gRPC only says that its connection broke: asked over HTTP, etcd says more.

        `Unreachable` has the reason; `Refused` is for one that is too old to speak v3.
        """
        version = _version(address, self._credentials, self._timeout_s)
        if version.startswith(("0.", "2.")):
            hint = 'Set etcd.api = "v2" for this cluster.'
            raise Refused(f"etcd {address.name} is {version} and does not serve the v3 API", hint=hint)

    def _member(self, address: EtcdAddress) -> _Member:
        if self._api is EtcdApi.V2:
            return V2Store(address, self._credentials, self._timeout_s)
        from coreos_kit.adapters.etcd_v3 import V3Store

        return V3Store(address, self._credentials, self._timeout_s)

    def _forget(self) -> None:
        if self._open is not None:
            self._open.stack.close()
            self._open = None


def _version(address: EtcdAddress, credentials: EtcdCredentials, timeout_s: float) -> str:
    status, body = http_ask("GET", address, replace(credentials, username=""), "/version", timeout_s)
    try:
        answer = json.loads(body)
        return str(answer["etcdserver"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"what answers as etcd {address.name} is not etcd (status {status})") from error


def _none_answers(failures: list[Unreachable]) -> Unreachable:
    if len(failures) == 1:
        return failures[0]
    return Unreachable(
        "no etcd of this cluster answers",
        hint=next((failure.hint for failure in failures if failure.hint), ""),
        details=[str(failure) for failure in failures],
    )
