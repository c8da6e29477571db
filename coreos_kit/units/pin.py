"""Images' digests in unit texts: put in as the last, pure step, and read back from what is deployed."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from coreos_kit.units.unit_file import UnitFile

_TAG = re.compile(r":[^:/@]+\Z")


def pin_images(text: str, digests: Mapping[str, str]) -> str:
    """Replace each image's reference by the one that names its digest, e.g. `user_name/apache@sha256:…`.

    Whole words in values only. A reference's tag goes: podman refuses a tag beside a digest.
    """
    return _pinned(text, tuple(sorted(digests.items())))


def pinned_digests(text: str, references: Collection[str]) -> Mapping[str, str]:
    """Return what `pin_images` put into a text, by reference; one that is not pinned there is left out."""
    digests = {}
    for reference in references:
        word = rf"(?<![^\s\"'=]){re.escape(_repository(reference))}@(sha256:[0-9a-f]{{64}})(?![^\s\"'\\;])"
        if found := re.search(word, text):
            digests[reference] = found[1]
    return digests


@lru_cache(maxsize=256)  # instances of a template share their text
def _pinned(text: str, digests: tuple[tuple[str, str], ...]) -> str:
    unit = UnitFile.parse(text)
    for reference, digest in digests:
        if "@" not in reference:
            unit = unit.replace_word(reference, f"{_repository(reference)}@{digest}")
    return unit.text


def _repository(reference: str) -> str:
    return _TAG.sub("", reference)
