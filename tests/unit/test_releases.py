"""What a release holds, how it is read back whoever wrote it, and which are kept."""

import json
from dataclasses import replace

import pytest

from coreos_kit.errors import KitError, Refused
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import UnitKind
from coreos_kit.model.release import (
    LARGEST_BYTES,
    Outcome,
    Release,
    ReleasedText,
    ReleasedUnit,
    Revision,
    digest_of,
)
from coreos_kit.ops.releases import Damaged, History, Recorded, kept_of, refuse_too_large

APACHE = ReleasedText(digest_of("apache"), "apache", UnitKind.MAIN, ("user_name/apache",))
SIDEKICK = ReleasedText(digest_of("sidekick"), "apache", UnitKind.SIDEKICK)
RELEASE = Release(
    number=3,
    outcome=Outcome.DEPLOYED,
    at="2026-11-26T10:00:00Z",
    owner="älice",
    host="ci-1",
    kit="0.1.0",
    command="coreos-kit deploy",
    revision=Revision("0123456789abcdef0123456789abcdef01234567", is_dirty=True),
    configuration=digest_of("configuration"),
    units=(
        ReleasedUnit(UnitName.parse("apache@7777.service"), APACHE, ("core-1",)),
        ReleasedUnit(UnitName.parse("apache-discovery@7777.service"), SIDEKICK, ("core-1",)),
        ReleasedUnit(UnitName.parse("apache@8888.service"), APACHE, ("core-2", "core-3")),
    ),
    digests={"user_name/apache": f"sha256:{'a' * 64}"},
    back_to=1,
    error="",
)  # fmt: skip


def recorded(number: int, outcome: Outcome = Outcome.DEPLOYED) -> Recorded:
    release = replace(RELEASE, number=number, outcome=outcome)
    return Recorded(release, release.manifest())


def test_a_manifest_is_read_back_as_it_was_written_units_in_their_order() -> None:
    assert Release.parse(3, RELEASE.manifest()) == RELEASE
    assert Release.parse(3, RELEASE.manifest()).manifest() == RELEASE.manifest()


def test_a_text_that_many_units_share_is_named_once() -> None:
    manifest = json.loads(RELEASE.manifest())

    assert [text[0] for text in manifest["texts"]] == [APACHE.digest, SIDEKICK.digest]
    assert [unit[1] for unit in manifest["units"]] == [0, 1, 0]


def test_ten_thousand_units_fit_into_a_manifest() -> None:
    units = tuple(
        ReleasedUnit(
            UnitName.parse(f"some-service-{n % 100}@{10000 + n}.service"), APACHE, (f"core-{n % 999}",)
        )
        for n in range(10_000)
    )

    assert len(replace(RELEASE, units=units).manifest()) < LARGEST_BYTES


def without(key: str) -> str:
    words = json.loads(RELEASE.manifest())
    del words[key]
    return json.dumps(words)


def altered(**changes: object) -> str:
    return json.dumps(json.loads(RELEASE.manifest()) | changes)


@pytest.mark.parametrize(
    "manifest",
    [
        "", "null", "[]", "7", '"x"', "{}", "[" * 100_000, "\ud800",
        without("units"), without("configuration"), without("back_to"),
        altered(number=4), altered(number="3"), altered(schema="coreos-kit/release/v2"),
        altered(outcome="never"), altered(owner=None), altered(units=[["apache@1.service", 9, []]]),
        altered(units=[["apache@1.service", -1, []]]), altered(units=[["../x", 0, []]]),
        altered(units=[["a.service", True, []]]), altered(units=7), altered(texts=[["x"]]),
        altered(texts=[["x", "y", "no kind", []]]), altered(digests=[]), altered(back_to="1"),
        altered(units=[["apache@1.service", 0, [7]]]), altered(error=[]),
    ],
)  # fmt: skip
def test_whatever_stands_in_etcd_is_a_release_or_a_reason(manifest: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as refused:
        Release.parse(3, manifest)

    assert type(refused.value) in (ValueError, json.JSONDecodeError)


def test_the_last_ten_releases_are_kept_and_the_attempts_since_the_first_of_them() -> None:
    failed = {2, 5, 9}
    everything = [
        recorded(number, Outcome.FAILED if number in failed else Outcome.DEPLOYED) for number in range(1, 15)
    ]

    assert [one.number for one in kept_of(everything)] == list(range(3, 15))  # 5 and 9 have failed


def test_attempts_do_not_pile_up() -> None:
    everything = [recorded(1), *(recorded(number, Outcome.ROLLED_BACK) for number in range(2, 30))]

    assert [one.number for one in kept_of(everything)] == [1, *range(20, 30)]


def test_the_current_release_is_the_last_that_came_to_its_end() -> None:
    history = History((recorded(1), recorded(2), recorded(3, Outcome.FAILED)), (Damaged(4, "x", "no JSON"),))

    assert history.current is not None
    assert history.current.number == 2
    assert history.last_number == 4


def test_a_release_that_is_not_there_or_not_readable_is_named() -> None:
    history = History((recorded(1), recorded(2)), (Damaged(4, "x", "no JSON"),))

    with pytest.raises(KitError, match="there is no release 7") as missing:
        history.find(7)
    with pytest.raises(KitError, match="release 4 can't be read: no JSON"):
        history.find(4)
    with pytest.raises(KitError, match="there is no release 1") as empty:
        History().find(1)

    assert missing.value.hint == "There are 1, 2."
    assert empty.value.hint == "There is none: coreos-kit deploy"


def test_what_etcd_would_not_take_is_refused_with_its_size() -> None:
    refuse_too_large(RELEASE, ["x" * LARGEST_BYTES])

    with pytest.raises(Refused, match="too large to be recorded in etcd") as refused:
        refuse_too_large(RELEASE, ["x" * (LARGEST_BYTES + 1)])

    assert refused.value.details == (f"the text that begins with '{'x' * 40}': 1500001 bytes",)
