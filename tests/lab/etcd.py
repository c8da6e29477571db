"""etcd as somebody without the kit would read and change it: through its JSON gateway."""

import base64
import json
import urllib.request
from typing import Any


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


class Etcd:
    """The keys of the member on one machine."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:2379/v3/kv"

    def put(self, key: str, value: str) -> None:
        self._post("put", {"key": encoded(key), "value": encoded(value)})

    def delete(self, key: str) -> None:
        self._post("deleterange", {"key": encoded(key)})

    def below(self, folder: str) -> dict[str, str]:
        """Return every key below a folder with its value."""
        end = folder[:-1] + chr(ord(folder[-1]) + 1)
        found = self._post("range", {"key": encoded(folder), "range_end": encoded(end)})
        return {decoded(entry["key"]): decoded(entry.get("value", "")) for entry in found.get("kvs", [])}

    def _post(self, verb: str, body: dict[str, str]) -> Any:
        request = urllib.request.Request(f"{self.url}/{verb}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)
