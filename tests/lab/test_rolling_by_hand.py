"""Whoever can write etcd can't thereby write root's units: a release by hand is not rolled back to."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Kit
from tests.lab.etcd import AnyEtcd, Etcd

PROJECT = "/coreos-kit/v1/web/"
UNIT = "apache@7777.service"
MARK = "/root/written-by-somebody"


@pytest.fixture
def etcd(kit: Kit) -> Iterator[Etcd]:
    """Give etcd; whatever is changed in it below the project's folder is put back."""
    made = Etcd(kit.address_of("core-1"))
    with made.kept(PROJECT):
        yield made


def newest(etcd: AnyEtcd) -> tuple[str, str]:
    """Return the last release's key and manifest."""
    return max(etcd.below(f"{PROJECT}releases/").items())


def forged_text(etcd: AnyEtcd, manifest: str) -> tuple[str, str]:
    """Return the digest of a unit's text in a release, and that text with a line of somebody's."""
    words = json.loads(manifest)
    place = next(place for name, place, _ in words["units"] if name == UNIT)
    digest = words["texts"][place][0]
    text = etcd.below(f"{PROJECT}texts/")[f"{PROJECT}texts/{digest}"]
    return digest, text.replace("[Service]", f"[Service]\nExecStartPre=/usr/bin/touch {MARK}")


def assert_refused(kit: Kit, number: int, reason: str) -> None:
    refused = kit("rollback", str(number), "--yes", code=3)

    assert reason in refused.err
    assert kit("plan", "--json").json["changes"] == []
    for machine in ("core-1", "core-2", "core-3", "core-4"):
        assert kit.machine(machine, f"ls {MARK} 2> /dev/null || echo none") == "none\n"


def test_a_release_that_somebody_wrote_is_not_rolled_back_to(kit: Kit, etcd: AnyEtcd) -> None:
    key, manifest = newest(etcd)
    number = int(key.rpartition("/")[2]) + 1
    digest, text = forged_text(etcd, manifest)
    forged = hashlib.sha256(text.encode()).hexdigest()
    words = json.loads(manifest.replace(digest, forged))
    etcd.put(f"{PROJECT}texts/{forged}", text)
    etcd.put(f"{PROJECT}releases/{number:08}", json.dumps({**words, "number": number}))

    assert_refused(kit, number, "is not what was deployed, as far as the machines know")


def test_a_release_that_somebody_changed_is_not_rolled_back_to(kit: Kit, etcd: AnyEtcd) -> None:
    key, manifest = newest(etcd)
    digest, text = forged_text(etcd, manifest)
    forged = hashlib.sha256(text.encode()).hexdigest()
    etcd.put(f"{PROJECT}texts/{forged}", text)
    etcd.put(key, manifest.replace(digest, forged))

    assert_refused(kit, int(key.rpartition("/")[2]), "is not what was deployed, as far as the machines know")


def test_a_release_of_which_somebody_changed_a_text_is_not_rolled_back_to(kit: Kit, etcd: AnyEtcd) -> None:
    key, manifest = newest(etcd)
    digest, text = forged_text(etcd, manifest)
    etcd.put(f"{PROJECT}texts/{digest}", text)

    assert_refused(kit, int(key.rpartition("/")[2]), "is not the one that was deployed")
