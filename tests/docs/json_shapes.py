"""The README's notation for what --json prints: `cluster units[unit machine] notes[] digests{} error?`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.docs.readme import blocks

_TOKEN = re.compile(r"[a-z_]+\??|[\[\]{}]")


@dataclass
class Shape:
    """A key: a plain value, or ("[", "{") an array or object; without keys of its own its items are plain."""

    bracket: str = ""
    keys: dict[str, "Shape"] = field(default_factory=dict)
    is_optional: bool = False


def documented() -> dict[str, Shape]:
    """Return the shape of every schema that the README lists."""
    text = next(block.text for block in blocks() if block.what == "json")
    lines = re.sub(r"\n +", " ", text).splitlines()
    return {line.split()[0]: Shape("{", _keys(_tokens(line.split(None, 1)[1]))) for line in lines}


def _tokens(text: str) -> Iterator[str]:
    assert not _TOKEN.sub("", text).strip(), f"not in the notation: {text}"
    return iter(_TOKEN.findall(text))


def _keys(tokens: Iterator[str]) -> dict[str, Shape]:
    keys: dict[str, Shape] = {}
    last = Shape()
    for token in tokens:
        if token in "]}":
            break
        if token in "[{":
            last.bracket, last.keys = token, _keys(tokens)
        else:
            last = keys.setdefault(token.rstrip("?"), Shape(is_optional=token.endswith("?")))
    return keys


def differences(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Yield every key that is there and not documented, or documented and not there."""
    if value is None:
        return
    if shape.bracket == "[":
        if not isinstance(value, list):
            yield f"{path} is no array"
        elif shape.keys:
            for item in value:
                yield from differences(Shape("{", shape.keys), item, f"{path}[]")
        elif any(isinstance(item, dict) for item in value):
            yield f"{path} holds objects"
    elif shape.bracket == "{":
        if not isinstance(value, dict):
            yield f"{path} is no object"
        elif shape.keys:
            yield from (f"{path}.{key} is not documented" for key in value if key not in shape.keys)
            for key, below in shape.keys.items():
                if key in value:
                    yield from differences(below, value[key], f"{path}.{key}")
                elif not below.is_optional:
                    yield f"{path}.{key} is documented and not there"
    elif isinstance(value, dict | list):
        yield f"{path} is no plain value"


def assert_documented(answer: Any, shapes: dict[str, Shape]) -> None:
    """Assert that an answer has the keys that the README says its schema has."""
    name = answer["schema"].removeprefix("coreos-kit/").removesuffix("/v1")
    body = {key: value for key, value in answer.items() if key != "schema"}
    assert list(differences(shapes[name], body, name)) == []
