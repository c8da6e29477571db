import pytest

from coreos_kit.units.pin import pin_images, pinned_digests

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
UNIT = """[Service]
# user_name/apache is built by image build
ExecStartPre=-/usr/bin/docker pull user_name/apache
ExecStart=/usr/bin/docker run --name apache.%i -e OF=user_name/apache2 \\
-e IMAGE=user_name/apache-old \\
user_name/apache /usr/sbin/apache2ctl -D FOREGROUND
"""


def test_a_reference_is_pinned_wherever_it_is_a_whole_word_of_a_value() -> None:
    pinned = pin_images(UNIT, {"user_name/apache": DIGEST})

    assert pinned == UNIT.replace("pull user_name/apache\n", f"pull user_name/apache@{DIGEST}\n").replace(
        "user_name/apache /usr", f"user_name/apache@{DIGEST} /usr"
    )


def test_what_is_deployed_says_its_digests() -> None:
    pinned = pin_images(UNIT, {"user_name/apache": DIGEST})

    assert pinned_digests(pinned, ["user_name/apache", "user_name/nginx_lb"]) == {"user_name/apache": DIGEST}
    assert pinned_digests(UNIT, ["user_name/apache"]) == {}


@pytest.mark.parametrize(
    ("reference", "pinned"),
    [
        ("apache", f"apache@{DIGEST}"),
        ("team/app:1.2", f"team/app@{DIGEST}"),
        ("registry.example:5000/team/app", f"registry.example:5000/team/app@{DIGEST}"),
        ("registry.example:5000/team/app:1.2", f"registry.example:5000/team/app@{DIGEST}"),
        (f"team/app@{OTHER}", f"team/app@{OTHER}"),
    ],
)
def test_a_tag_gives_way_to_the_digest_and_a_port_does_not(reference: str, pinned: str) -> None:
    text = f"[Service]\nExecStart=/usr/bin/docker run {reference} sh\n"

    result = pin_images(text, {reference: DIGEST})

    assert result == f"[Service]\nExecStart=/usr/bin/docker run {pinned} sh\n"
    assert reference.count("@") or pinned_digests(result, [reference]) == {reference: DIGEST}


def test_pinning_twice_changes_nothing_more() -> None:
    once = pin_images(UNIT, {"user_name/apache": DIGEST})

    assert pin_images(once, {"user_name/apache": OTHER}) == once
    assert pin_images(UNIT, {}) == UNIT
