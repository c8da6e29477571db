"""What a generation was when it was staged, so that `--show` can name the files that are so no more."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Dict, List

from .pool import shown

_NAME = ".coreos-kit-manifest"
_KITS_OWN = ("nginx.conf", "nginx-t.out", _NAME)  # not from /etc/nginx; only the first is Nginx's to read
_MOST = 20


def write_manifest(folder: str) -> None:
    """Record every file of a generation, before Nginx tests it."""
    with open(os.path.join(folder, _NAME), "w", encoding="utf-8") as file:
        json.dump(_digests(folder), file)


def differing(live: str, hand_written: str) -> List[str]:
    """Name the files that changed since the live generation was staged: in it, or where people write.

    What people write is picked up within seconds: it stays here only if that fails, or nobody looks.
    """
    with open(os.path.join(live, _NAME), encoding="utf-8") as file:
        staged: Dict[str, str] = json.load(file)
    in_live, by_hand = _digests(live), _digests(hand_written)
    names = [f"generation {os.path.basename(live)}/{name}" for name in _unlike(staged, in_live)]
    written = {name: digest for name, digest in staged.items() if name not in _KITS_OWN}
    by_hand = {name: digest for name, digest in by_hand.items() if name not in _KITS_OWN}
    names += _unlike(written, by_hand)
    more = [f"and {len(names) - _MOST} more"] if len(names) > _MOST else []
    return [shown(name) for name in names[:_MOST]] + more


def _unlike(before: Dict[str, str], after: Dict[str, str]) -> List[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _digests(folder: str) -> Dict[str, str]:
    """Return the digest of every file below a folder; links are followed, as staging does."""
    found = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = os.path.join(parent, name)
            relative = os.path.relpath(path, folder)
            if relative in ("nginx-t.out", _NAME) or not os.path.isfile(path):  # a pipe has no end
                continue
            try:
                with open(path, "rb") as file:
                    found[relative] = hashlib.sha256(file.read()).hexdigest()
            except OSError:  # a link to nowhere: staging leaves it out, too
                continue
    return found
