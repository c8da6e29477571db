"""Where secrets come from, what becomes of them, and that no message shows one."""

import json
import sys
from pathlib import Path

import pytest

from coreos_kit.adapters import secrets as reading
from coreos_kit.adapters.secrets import SecretReader
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, UnitKind
from coreos_kit.model.secret import FileNames, Secret, SecretSource, SeenFiles
from coreos_kit.planning.machine_files import agreed_key, file_changes, wanted_files
from coreos_kit.units.secret_files import (
    KEY_FILE,
    digest_of,
    env_text,
    is_the_kits,
    names_file,
    pinned_name,
    registry_text,
)

KEY, OTHER = Secret(b"k" * 32), Secret(b"o" * 32)


def read(source: SecretSource, root: Path, **environ: str) -> bytes:
    return SecretReader(root, environ)(source).reveal()


def refused(source: SecretSource, root: Path, **environ: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        read(source, root, **environ)
    assert caught.value.exit_code == 3
    assert caught.value.hint == f"Look at [secrets.{source.name}] in coreos-kit.toml."
    return str(caught.value)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_a_secret_comes_from_a_variable_a_file_or_a_command_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/db").write_bytes(b"from a file\r\n")
    command = python("print(open('secrets/db').read().replace('a file', 'a command'), end='')")

    assert read(SecretSource("db", env="DB"), tmp_path, DB="from a variable") == b"from a variable"
    assert read(SecretSource("db", file="secrets/db"), tmp_path) == b"from a file"
    assert read(SecretSource("db", command=command), tmp_path) == b"from a command"


def test_only_the_newline_at_the_end_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b" a b \n\n")

    assert read(SecretSource("db", file="db"), tmp_path) == b" a b \n"


def test_a_command_sees_no_shell(tmp_path: Path) -> None:
    assert (
        read(SecretSource("db", command=("echo", "$HOME; id")), tmp_path, PATH="/bin:/usr/bin")
        == b"$HOME; id"
    )


def test_a_secret_is_read_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    command = python("open('log', 'a').write('x'); print('secret')")
    reader = SecretReader(tmp_path, {})

    first, second = (reader(SecretSource("db", command=command)) for _ in range(2))

    assert first == second
    assert (tmp_path / "log").read_text() == "x"


def test_what_is_missing_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    path = f"{tmp_path}/no-such-program"

    assert refused(SecretSource("db", env="DB"), tmp_path) == (
        "the secret db is missing: the environment variable DB is not set"
    )
    assert refused(SecretSource("db", env="DB"), tmp_path, DB="") == (
        "the secret db is missing: the environment variable DB is empty"
    )
    assert refused(SecretSource("db", file="nowhere"), tmp_path) == (
        "the secret db is missing: the file nowhere can't be read: No such file or directory"
    )
    assert refused(SecretSource("db", file="empty"), tmp_path) == (
        "the secret db is missing: the file empty is empty"
    )
    assert refused(SecretSource("db", command=(path,)), tmp_path) == (
        f"the secret db is missing: the command {path} can't be run: No such file or directory"
    )


def test_a_command_that_fails_or_hangs_is_refused_without_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = SecretSource("db", command=python("print('hunter2'); raise SystemExit(3)"))
    hangs = SecretSource("db", command=python("print('hunter2', flush=True); import time; time.sleep(9)"))

    assert refused(fails, tmp_path).endswith("ended with code 3")
    monkeypatch.setattr(reading, "COMMAND_TIMEOUT_S", 0.5)
    assert refused(hangs, tmp_path).endswith("did not come to its end within 0.5 s")
    with pytest.raises(InvalidConfig) as caught:
        read(hangs, tmp_path)
    assert caught.value.__cause__ is None  # it would hold the output


def test_a_secret_that_is_far_too_large_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 70_000)

    assert refused(SecretSource("db", file="big"), tmp_path).endswith("has more than 64 KB")


# The files


def test_an_environment_file_has_a_line_for_each_variable_with_the_value_as_it_is() -> None:
    values = {"B": ("b", Secret(b' "$x" #')), "A": ("a", Secret("ä=1".encode()))}

    assert env_text("web", values).reveal().decode() == 'A=ä=1\nB= "$x" #\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"one\ntwo", "has several lines, and an environment file can't hold a newline"),
        (b"a\0b", "holds a control character"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_what_an_environment_file_can_not_hold_is_refused_and_not_shown(content: bytes, problem: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        env_text("web", {"DB": ("db", Secret(content))})

    assert str(caught.value) == f"the secret db can't be DB of web: it {problem}"


@pytest.mark.parametrize(
    ("prefix", "registry"),
    [
        ("user_name", "https://index.docker.io/v1/"),
        ("", "https://index.docker.io/v1/"),
        ("registry.example:5000/team", "registry.example:5000"),
    ],
)
def test_the_login_is_for_the_registry_that_the_images_come_from(prefix: str, registry: str) -> None:
    text = registry_text(prefix, "ci", Secret(b"p:w"))

    assert json.loads(text.reveal()) == {"auths": {registry: {"auth": "Y2k6cDp3"}}}


def test_a_digest_needs_the_key_and_tells_one_secret_from_another() -> None:
    digests = {digest_of(key, Secret(value)) for key in (KEY, OTHER) for value in (b"1234", b"1235")}

    assert len(digests) == 4


def test_only_files_of_the_kits_making_are_its_to_remove() -> None:
    assert is_the_kits("web.0123456789abcdef.env")
    assert is_the_kits("etcd/login")
    assert not is_the_kits("web.env")
    assert not is_the_kits("etcd/notes")
    assert not is_the_kits("../host.env")


# What each machine needs


def unit(name: str, text: str) -> DesiredUnit:
    return DesiredUnit(UnitName.parse(name), text, "web", UnitKind.MAIN)


WEB = unit(
    "web@1.service", "[Service]\nExecStart=/x --env-file /etc/coreos-kit/shop/web.0123456789abcdef.env\n"
)
LB = unit("lb.service", "[Service]\nExecStart=/x -v /etc/coreos-kit/shop/etcd:/etc/coreos-kit/etcd:ro\n")
PATHS = ("web.0123456789abcdef.env", "etcd/ca.pem", "etcd/login", "registry/config.json")


def test_a_file_is_named_by_its_path_or_by_its_folder() -> None:
    named = {path for path in PATHS for each in (WEB, LB) if names_file(each.text, "shop", path)}

    assert named == {"web.0123456789abcdef.env", "etcd/ca.pem", "etcd/login"}
    assert not any(names_file(WEB.text, "shop2", path) for path in PATHS)


def test_a_machine_gets_the_files_that_its_own_units_name() -> None:
    placements = {WEB.name: ("m1",), LB.name: ("m2",)}

    wanted = wanted_files("shop", [WEB, LB], placements, PATHS, ["m1", "m2", "m3"], everywhere=False)

    assert wanted == {
        "m1": {KEY_FILE, "web.0123456789abcdef.env"},
        "m2": {KEY_FILE, "etcd/ca.pem", "etcd/login"},
        "m3": frozenset(),
    }


def test_where_units_move_by_themselves_every_machine_gets_every_file() -> None:
    wanted = wanted_files("shop", [WEB, LB], {WEB.name: ("m1",)}, PATHS, ["m1", "m2"], everywhere=True)

    assert wanted["m1"] == wanted["m2"] == {KEY_FILE, *PATHS[:3]}


def test_what_is_missing_or_differs_is_written_and_what_nobody_names_is_removed() -> None:
    wanted = {"m1": frozenset({KEY_FILE, "a", "b"}), "m2": frozenset({KEY_FILE, "a", "b"})}
    digests = {KEY_FILE: "-", "a": "1", "b": "2"}
    seen = {
        "m1": SeenFiles(KEY, {"a": "1", "b": "", "web.0123456789abcdef.env": "3", "notes": "4"}),
        "m2": SeenFiles(KEY, {"a": "1", "b": "2"}),
    }

    assert file_changes(wanted, digests, KEY, seen) == {
        "m1": FileNames(("b",), ("web.0123456789abcdef.env",))
    }


def test_a_machine_with_another_key_is_written_anew() -> None:
    wanted, digests = {"m1": frozenset({KEY_FILE, "a"})}, {KEY_FILE: "-", "a": "1"}

    changes = file_changes(wanted, digests, KEY, {"m1": SeenFiles(OTHER, {"a": "1"})})

    assert changes == {"m1": FileNames(("a", KEY_FILE))}


def test_the_last_file_takes_the_key_along() -> None:
    seen = {"m1": SeenFiles(KEY, {"etcd/login": "1"})}

    assert file_changes({"m1": frozenset()}, {}, KEY, seen) == {"m1": FileNames((), (KEY_FILE, "etcd/login"))}


def test_the_key_is_the_one_that_most_machines_have() -> None:
    assert agreed_key([SeenFiles(OTHER), SeenFiles(), SeenFiles(KEY), SeenFiles(KEY)]) == KEY
    assert agreed_key([SeenFiles(OTHER), SeenFiles(KEY)]) == KEY  # either, but always the same
    assert agreed_key([SeenFiles()]) is None


def test_a_name_shows_some_of_the_digest() -> None:
    assert pinned_name("web", "0123456789abcdef" * 4) == "web.0123456789abcdef.env"
