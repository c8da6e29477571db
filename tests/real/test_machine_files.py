"""The scripts that look at and change root's files on a machine, run here."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.machine_files import SshMachineFiles
from coreos_kit.adapters.scripts import script
from coreos_kit.errors import CommandFailed, KitError
from coreos_kit.model.secret import Secret, SeenFiles
from coreos_kit.ports import Completed, FileChange
from coreos_kit.testing.machine_files import FakeMachineFiles
from coreos_kit.units.secret_files import KEY_FILE, digest_of

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0, reason="the files have to be root's"),
]

KEY = Secret(bytes(range(32)))
ALL = {
    KEY_FILE: Secret(KEY.reveal().hex().encode()),
    "web.0123456789abcdef.env": Secret(b"DB=hunter2\n"),
    "etcd/login": Secret(b"kit:hunter2"),
    "etcd/key.pem": Secret(bytes(range(256)) * 300),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "coreos-kit/web"


@pytest.fixture
def files(folder: Path) -> SshMachineFiles:
    return SshMachineFiles(str(folder), {"core-1": LocalRunner()})


def look(files: SshMachineFiles) -> SeenFiles:
    seen = files.look()["core-1"]
    assert isinstance(seen, SeenFiles)
    return seen


def change(files: SshMachineFiles, write: dict[str, Secret], *remove: str) -> KitError | None:
    return files.change({"core-1": FileChange(write, remove)}).get("core-1")


def test_a_machine_without_the_folder_has_nothing(files: SshMachineFiles, folder: Path) -> None:
    assert look(files) == SeenFiles(None, {})
    assert not folder.exists()


def test_digests_are_hmac_sha256_and_those_of_the_fake(files: SshMachineFiles) -> None:
    fake = FakeMachineFiles({"core-1": {}})

    assert change(files, ALL) is None
    fake.change({"core-1": FileChange(ALL)})

    assert look(files) == fake.look()["core-1"]
    assert look(files).key == KEY
    assert look(files).digests == {
        name: digest_of(KEY, content) for name, content in ALL.items() if name != KEY_FILE
    }


@pytest.mark.parametrize("byte", [0x00, 0x25, 0x36, 0x5C, 0xFF])
def test_no_byte_of_a_key_is_lost_on_the_way(files: SshMachineFiles, byte: int) -> None:
    key, content = Secret(bytes([byte]) * 32), Secret(b"%s\\n\0x")
    change(files, {KEY_FILE: Secret(key.reveal().hex().encode()), "a": content})

    assert look(files).digests == {"a": digest_of(key, content)}


def test_files_and_folders_are_roots_alone(files: SshMachineFiles, folder: Path) -> None:
    folder.parent.mkdir(mode=0o755)
    change(files, ALL)

    modes = {path.relative_to(folder).as_posix(): oct(path.stat().st_mode) for path in folder.rglob("*")}

    assert modes == {**dict.fromkeys(ALL, "0o100600"), "etcd": "0o40700"}
    assert oct(folder.stat().st_mode) == "0o40700"
    assert oct(folder.parent.stat().st_mode) == "0o40755"


@pytest.mark.parametrize("spoil", ["chmod 0640", "chown 1"])
def test_a_file_that_others_may_read_is_never_the_right_one(
    files: SshMachineFiles, folder: Path, spoil: str
) -> None:
    change(files, ALL)
    subprocess.run([*spoil.split(), f"{folder}/etcd/login"], check=True)

    assert look(files).digests["etcd/login"] == ""


def test_a_key_that_others_may_read_is_none(files: SshMachineFiles, folder: Path) -> None:
    change(files, ALL)
    (folder / KEY_FILE).chmod(0o644)

    seen = look(files)

    assert seen.key is None
    assert set(seen.digests.values()) == {""}


def test_a_link_is_replaced_and_not_written_through(
    files: SshMachineFiles, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "a").symlink_to(tmp_path / "elsewhere")

    change(files, {"a": Secret(b"hunter2")})

    assert not (tmp_path / "elsewhere").exists()
    assert (folder / "a").read_bytes() == b"hunter2"


def test_removing_the_last_file_removes_the_folders_and_again_is_no_error(
    files: SshMachineFiles, folder: Path
) -> None:
    change(files, ALL)

    assert change(files, {}, *ALL) is None
    assert not folder.exists()
    assert change(files, {}, *ALL) is None
    assert folder.parent.exists()


def test_what_a_killed_run_left_is_cleared(files: SshMachineFiles, folder: Path) -> None:
    change(files, ALL)
    (folder / ".new.abc").mkdir()
    (folder / ".new.abc/web.env").write_text("hunter2")
    (folder / "etcd/.new.xyz").write_text("hunter2")
    assert ".new" not in str(look(files))

    change(files, {"a": Secret(b"x")})

    assert [path for path in folder.rglob("*") if ".new" in path.name] == []


def test_a_full_disk_leaves_the_old_file_whole_and_is_said_without_the_content(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        files = SshMachineFiles(str(small / "web"), {"core-1": LocalRunner()})
        change(files, {KEY_FILE: ALL[KEY_FILE], "a": Secret(b"old")})

        failed = change(files, {"a": Secret(b"hunter2" * 20_000)})

        assert isinstance(failed, CommandFailed)
        assert "tar: a: Wrote only" in "".join(failed.details)
        assert "hunter2" not in "".join([str(failed), *failed.details, failed.output])
        assert look(files).digests == {"a": digest_of(KEY, Secret(b"old"))}
    finally:
        subprocess.run(["umount", small], check=True)


def test_an_answer_that_breaks_off_does_not_show_the_key_that_it_began_with(folder: Path) -> None:
    class BreakingOff(LocalRunner):
        def run_script(
            self,
            script: str,
            args: Sequence[str] = (),
            *,
            stdin: bytes = b"",
            root: bool = False,
            timeout_s: float = 30,
            check: bool = True,
        ) -> Completed:
            cut = script.replace("\necho end", "")
            return super().run_script(cut, args, stdin=stdin, root=root, timeout_s=timeout_s, check=check)

    change(SshMachineFiles(str(folder), {"core-1": LocalRunner()}), ALL)

    failed = SshMachineFiles(str(folder), {"core-1": BreakingOff()}).look()["core-1"]

    assert isinstance(failed, CommandFailed)
    assert KEY.reveal().hex() not in "".join([str(failed), *failed.details, failed.output])


def test_neither_the_key_nor_a_secret_is_ever_an_argument(files: SshMachineFiles, tmp_path: Path) -> None:
    change(files, ALL)
    watched = tmp_path / "strace"
    if subprocess.run(["which", "strace"], check=False, capture_output=True).returncode:
        pytest.skip("apt-get install strace")
    argv = ["strace", "-f", "-e", "trace=execve", "-s", "4096", "-o", str(watched)]
    subprocess.run(
        [*argv, "bash", "-c", script("files_look"), "coreos-kit", files.folder],
        check=True,
        capture_output=True,
    )

    said = watched.read_text()

    assert "sha256sum" in said
    assert KEY.reveal().hex() not in said
    assert "hunter2" not in said
