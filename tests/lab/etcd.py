"""etcd as one without the kit reads and changes it: over HTTP, through its JSON gateway or its v2 API."""

import base64
import json
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


class AnyEtcd(ABC):
    """The keys of the member on one machine."""

    @abstractmethod
    def put(self, key: str, value: str) -> None: ...

    @abstractmethod
    def delete(self, key: str) -> None: ...

    @abstractmethod
    def below(self, folder: str) -> dict[str, str]:
        """Return every key below a folder, which ends with a slash, with its value."""

    @contextmanager
    def kept(self, folder: str) -> Iterator[None]:
        """Put back at the end whatever was changed below a folder."""
        before = self.below(folder)
        yield
        for key in self.below(folder).keys() - before.keys():
            self.delete(key)
        for key, value in before.items():
            self.put(key, value)


class Etcd(AnyEtcd):
    """Those of its v3 API."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:2379/v3/kv"

    def put(self, key: str, value: str) -> None:
        self._post("put", {"key": encoded(key), "value": encoded(value)})

    def delete(self, key: str) -> None:
        self._post("deleterange", {"key": encoded(key)})

    def below(self, folder: str) -> dict[str, str]:
        end = folder[:-1] + chr(ord(folder[-1]) + 1)
        found = self._post("range", {"key": encoded(folder), "range_end": encoded(end)})
        return {decoded(entry["key"]): decoded(entry.get("value", "")) for entry in found.get("kvs", [])}

    def _post(self, verb: str, body: dict[str, str]) -> Any:
        return _answer(urllib.request.Request(f"{self.url}/{verb}", json.dumps(body).encode(), method="POST"))


class EtcdV2(AnyEtcd):
    """Those of its v2 API."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:2379/v2/keys"

    def put(self, key: str, value: str) -> None:
        body = urllib.parse.urlencode({"value": value}).encode()
        _answer(urllib.request.Request(f"{self.url}{key}", body, method="PUT"))

    def delete(self, key: str) -> None:
        _answer(urllib.request.Request(f"{self.url}{key}", method="DELETE"))

    def below(self, folder: str) -> dict[str, str]:
        found = _answer(urllib.request.Request(f"{self.url}{folder}?recursive=true"))
        return dict(_leaves(found["node"]))


def _leaves(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not node.get("dir"):
        yield node["key"], node["value"]
    for child in node.get("nodes", []):
        yield from _leaves(child)


def _answer(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)
