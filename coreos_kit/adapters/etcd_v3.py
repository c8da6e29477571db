"""Keys of etcd's v3 API with python-etcd3: one range, then every lease's time at once.

The only module that imports etcd3 and grpc. Traps of that library which this avoids: without a timeout a
silent etcd hangs for ever; a plain client refuses a node for 300 s after one failed call; lease times asked
one by one cost a round trip each.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before grpc is imported: it writes to stderr whenever a connection fails or the process forks.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import etcd3
import etcd3.exceptions
import grpc
from etcd3 import etcdrpc

from coreos_kit.adapters.etcd_access import EtcdAddress, EtcdCredentials, HungUp, LoginRefused
from coreos_kit.adapters.limits import MAX_KEYS, MAX_OUTPUT_BYTES
from coreos_kit.errors import KitError, Refused, Unreachable
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import EtcdApi

_AT_A_TIME = 1000
_OPTIONS = (
    # 4 MB otherwise: some 40,000 registrations.
    ("grpc.max_receive_message_length", MAX_OUTPUT_BYTES),
    # etcd is not asked through a web proxy, a tunnel's end on loopback least of all.
    ("grpc.enable_http_proxy", 0),
    # A new store starts afresh, not in the back-off of the one that failed.
    ("grpc.use_local_subchannel_pool", 1),
)


class V3Store:
    """The v3 keys of one etcd, over one connection."""

    def __init__(self, address: EtcdAddress, credentials: EtcdCredentials, timeout_s: float = 5) -> None:
        self._address = address
        self._timeout_s = timeout_s
        with _translated(address):
            self._client = _connect(address, credentials, timeout_s)

    @property
    def api(self) -> EtcdApi:
        """Always v3."""
        return EtcdApi.V3

    def entries(self, prefix: str) -> tuple[EtcdEntry, ...]:
        """Return every key below `prefix` in order; one whose lease ran out in between is left out."""
        folder = prefix.rstrip("/") + "/"
        with _translated(self._address):
            answer = self._client.get_prefix_response(folder, limit=MAX_KEYS + 1, sort_order="ascend")
            if len(answer.kvs) > MAX_KEYS:
                raise KitError(f"more than {MAX_KEYS} keys below {prefix}")
            times = self._lease_times({pair.lease for pair in answer.kvs if pair.lease})
        return tuple(_entries(answer.kvs, times))

    def entry(self, key: str) -> EtcdEntry | None:
        """Return one key; one whose lease ran out in between is none."""
        with _translated(self._address):
            answer = self._client.get_response(key)
            times = self._lease_times({pair.lease for pair in answer.kvs if pair.lease})
        return next(_entries(answer.kvs, times), None)

    def put(self, key: str, value: str) -> None:
        """Write a key; a lease that it had is not its own any more."""
        with _translated(self._address):
            self._client.put(key, value)

    def create(self, key: str, value: str, ttl_s: int) -> str | None:
        """Write a key that is not there, in one transaction, under a lease of its own."""
        with _translated(self._address):
            lease = self._client.lease(ttl_s).id
            is_created, answers = self._client.transaction(
                compare=[self._client.transactions.version(key) == 0],
                success=[self._client.transactions.put(key, value, lease)],
                failure=[self._client.transactions.get(key)],
            )
            if is_created:
                return str(lease)
            self._client.revoke_lease(lease)
        return next(
            (str(pair.lease_id) for held, pair in answers[0] if _text(held) == value and pair.lease_id), None
        )

    def renew(self, key: str, value: str, lease: str, ttl_s: int) -> bool:
        """Renew the lease, whose time it keeps, and look whether the key is still there under it."""
        del ttl_s
        with _translated(self._address):
            answers = list(self._client.refresh_lease(int(lease)))
            if not any(answer.TTL > 0 for answer in answers):
                return False
            pairs = self._client.get_response(key).kvs
        return any((_text(pair.value), pair.lease) == (value, int(lease)) for pair in pairs)

    def delete_if_value(self, key: str, value: str) -> bool:
        """Compare and delete in one transaction."""
        with _translated(self._address):
            is_deleted, _ = self._client.transaction(
                compare=[self._client.transactions.value(key) == value],
                success=[self._client.transactions.delete(key)],
                failure=[],
            )
        return bool(is_deleted)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _lease_times(self, leases: Iterable[int]) -> dict[int, tuple[float, float]]:
        """Return what each lease has left and was granted, in seconds; a lease that is gone has -1 left.

        etcd has no question for several leases, so all are asked at once: 1000 take 0.2 s, one by one 0.6 s,
        and 7.6 s through a tunnel.
        """
        waiting = list(leases)
        times: dict[int, tuple[float, float]] = {}
        for start in range(0, len(waiting), _AT_A_TIME):
            asked = {
                lease: self._client.leasestub.LeaseTimeToLive.future(
                    etcdrpc.LeaseTimeToLiveRequest(ID=lease),
                    self._timeout_s,
                    metadata=self._client.metadata,
                )
                for lease in waiting[start : start + _AT_A_TIME]
            }
            for lease, future in asked.items():
                answer = future.result()
                times[lease] = (float(answer.TTL), float(answer.grantedTTL))
        return times


def _connect(address: EtcdAddress, credentials: EtcdCredentials, timeout_s: float) -> Any:
    creds = None
    if address.is_secure:
        creds = grpc.ssl_channel_credentials(
            *(_content(path) for path in (credentials.ca, credentials.key, credentials.cert))
        )
    endpoint = etcd3.Endpoint(
        f"[{address.host}]" if ":" in address.host else address.host,
        address.port,
        secure=address.is_secure,
        creds=creds,
        time_retry=0,
        opts=_OPTIONS,
    )
    try:
        client = etcd3.MultiEndpointEtcd3Client(
            [endpoint],
            timeout=timeout_s,
            user=credentials.username or None,
            password=credentials.password or None,
        )
    except BaseException:
        endpoint.close()
        raise
    # The token goes along as metadata already; as call credentials grpc refuses to send it without TLS.
    client.call_credentials = None
    return client


def _content(path: str) -> bytes | None:
    if not path:
        return None
    return Path(path).read_bytes()


def _entries(pairs: Iterable[Any], times: Mapping[int, tuple[float, float]]) -> Iterator[EtcdEntry]:
    for pair in pairs:
        left, granted = times.get(pair.lease, (None, None))
        if left is None or left >= 0:
            yield EtcdEntry(_text(pair.key), _text(pair.value), left, granted)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


REASONS: Mapping[type[BaseException], str] = {
    etcd3.exceptions.Etcd3Exception: "it failed",
    etcd3.exceptions.ConnectionFailedError: "connection refused",
    etcd3.exceptions.ConnectionTimeoutError: "timed out",
    etcd3.exceptions.InternalServerError: "it failed inside",
    etcd3.exceptions.NoServerAvailableError: "no member answers",
    etcd3.exceptions.PreconditionFailedError: "it refuses the question as it stands",
    etcd3.exceptions.RevisionCompactedError: "the revision has been compacted",
    etcd3.exceptions.WatchTimedOut: "the watch timed out",
    grpc.FutureTimeoutError: "timed out",
    grpc.FutureCancelledError: "the question was given up",
    grpc.RpcError: "it failed",
}

BY_CODE: Mapping[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("connection refused", ""),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("timed out", "Look at its journal: has it a leader?"),
    grpc.StatusCode.UNAUTHENTICATED: ("it wants a login", "Set etcd.username and etcd.password_file."),
    grpc.StatusCode.PERMISSION_DENIED: (
        "this user may not do that there",
        "The user's role needs read and write below the registrations' prefixes and below /coreos-kit/.",
    ),
    grpc.StatusCode.INVALID_ARGUMENT: ("it refuses the login", "Check etcd.username and etcd.password_file."),
    grpc.StatusCode.FAILED_PRECONDITION: (
        "it knows no logins",
        "Leave etcd.username out, or switch auth on.",
    ),
    grpc.StatusCode.UNIMPLEMENTED: ("it does not speak the v3 API", 'Set etcd.api = "v2" for this cluster.'),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        "its answer is too large",
        "Something else writes below this prefix.",
    ),
}
# etcd's own limit for a request, 1.5 MB, or gRPC's for a message.
_TOO_LARGE = re.compile(r"request is too large|(received|send) message larger than max")
_LOGIN_CODES = {
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,  # what etcd answers to a wrong password, and to no name
}


@contextmanager
def _translated(address: EtcdAddress) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise _from_rpc(error, address) from error
    except etcd3.exceptions.ConnectionFailedError as error:
        raise HungUp(f"etcd {address.name} gives no answer: {_reason(error)}") from error
    except (etcd3.exceptions.Etcd3Exception, grpc.FutureTimeoutError, grpc.FutureCancelledError) as error:
        raise Unreachable(f"etcd {address.name} gives no answer: {_reason(error)}") from error
    except (OSError, ValueError) as error:  # unreadable certificates; a node that the library gave up
        raise Unreachable(f"etcd {address.name} can't be asked: {error}") from error


def _from_rpc(error: grpc.RpcError, address: EtcdAddress) -> KitError:
    call: Any = error  # every error of a call is one; grpc has no types for it
    code, said = call.code(), call.details() or ""
    if _TOO_LARGE.search(said):
        return Refused(f"etcd {address.name} takes no value of that size", details=[f"{code.name}: {said}"])
    if "space exceeded" in said:
        hint = "Compact and defragment it, then take its alarm off: etcdctl alarm disarm"
        return Unreachable(f"etcd {address.name} takes no more: its disk quota is full", hint=hint)
    reason, hint = BY_CODE.get(code, ("it failed", ""))
    kind = LoginRefused if code in _LOGIN_CODES else Unreachable
    return kind(
        f"etcd {address.name} gives no answer: {reason}",
        hint=hint,
        details=[f"{code.name}: {said}"] if said else [],
    )


def _reason(error: BaseException) -> str:
    return next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), str(error))
