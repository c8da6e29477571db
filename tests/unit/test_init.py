import os
import stat
from pathlib import Path

import pytest

from coreos_kit.config import load_project
from coreos_kit.errors import KitError, Refused
from coreos_kit.ops.files import read_text_inside, write_atomically
from coreos_kit.ops.workspace import example_files, init

CHECKOUT = Path(__file__).parents[2]


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_example_is_the_checkouts_own_sources() -> None:
    example = example_files()

    assert example["coreos-kit.toml"] == (CHECKOUT / "coreos-kit.toml").read_bytes()
    assert {name.split("/")[0] for name in example} <= {"coreos-kit.toml", "unit_templates", "images"}
    assert list(example) == sorted(example)


def test_an_empty_folder_becomes_a_workspace_that_loads(tmp_path: Path) -> None:
    result = init(tmp_path / "new" / "web")

    assert result.written == tuple(example_files())
    assert files(result.root) == set(result.written)
    assert load_project(result.root).name == "web"


def test_scripts_can_be_run_and_nothing_else_can(tmp_path: Path) -> None:
    root = init(tmp_path).root

    for name, data in example_files().items():
        assert stat.S_IMODE((root / name).stat().st_mode) == (0o755 if data.startswith(b"#!") else 0o644)


def test_a_second_init_writes_nothing(tmp_path: Path) -> None:
    init(tmp_path)

    again = init(tmp_path)

    assert (again.written, again.unchanged) == ((), tuple(example_files()))


def test_what_is_missing_is_written_beside_what_is_there(tmp_path: Path) -> None:
    init(tmp_path)
    (tmp_path / "coreos-kit.toml").unlink()
    (tmp_path / "notes.txt").write_text("mine")

    assert init(tmp_path).written == ("coreos-kit.toml",)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_files_that_differ_are_all_named_and_none_is_touched(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").write_text("mine")
    (tmp_path / "images").write_text("a file")

    with pytest.raises(Refused) as caught:
        init(tmp_path)

    assert "in the way of a new workspace in" in str(caught.value)
    assert str(caught.value).endswith("; nothing was written")
    assert set(caught.value.details) == {"coreos-kit.toml differs", "images is not a folder"}
    assert caught.value.hint == "Move them away, or write the workspace elsewhere: coreos-kit init DIR"
    assert files(tmp_path) == {"coreos-kit.toml", "images"}
    assert (tmp_path / "coreos-kit.toml").read_text() == "mine"


def test_a_file_is_no_place_for_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refused) as caught:
        init(tmp_path / "file")

    assert str(caught.value) == f"{tmp_path}/file is not a folder"
    assert caught.value.hint == "Name another: coreos-kit init DIR"


@pytest.mark.parametrize("name", ["coreos-kit.toml", "images"])
def test_no_symlink_is_followed_out_of_the_workspace(tmp_path: Path, name: str) -> None:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    root.mkdir()
    (root / name).symlink_to(outside)

    with pytest.raises(Refused) as caught:
        init(root)

    assert set(caught.value.details) == {f"{name} leads out of it"}
    assert not outside.exists()


def test_a_symlink_to_nothing_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").symlink_to("elsewhere.toml")

    with pytest.raises(Refused) as caught:
        init(tmp_path)

    assert caught.value.details == ("coreos-kit.toml is a symlink to nothing",)


def test_a_folder_in_a_files_place_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "coreos-kit.toml").mkdir()

    with pytest.raises(Refused) as caught:
        init(tmp_path)

    assert caught.value.details == ("coreos-kit.toml is not a file",)


# Files


def test_a_file_is_written_whole_with_its_mode_and_nothing_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"

    write_atomically(path, "é\n", root=tmp_path, mode=0o600)
    write_atomically(path, b"second", root=tmp_path, mode=0o640)

    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_symlink_in_a_files_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(outside)

    write_atomically(root / "file", "mine", root=root)

    assert outside.read_text() == "theirs"
    assert not (root / "file").is_symlink()
    assert (root / "file").read_text() == "mine"


def test_a_folder_that_leads_out_is_refused_with_the_way_to_mend_it(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "static").symlink_to(outside)

    with pytest.raises(Refused) as caught:
        write_atomically(root / "static" / "deep" / "file", "x", root=root)

    assert str(caught.value) == f"{root}/static leads out of {root}"
    assert caught.value.hint == f"Replace it by a folder: rm {root}/static && mkdir {root}/static"
    assert list(outside.iterdir()) == []


def test_dots_do_not_lead_out_either(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()

    with pytest.raises(Refused, match="leads out of"):
        write_atomically(tmp_path / "root" / ".." / "file", "x", root=tmp_path / "root")


def test_a_link_inside_the_workspace_is_a_folder_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "static").symlink_to("real")

    write_atomically(tmp_path / "static" / "file", "x", root=tmp_path)

    assert (tmp_path / "real" / "file").read_text() == "x"


def test_a_write_that_fails_says_why_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KitError) as caught:
        write_atomically(tmp_path / "file", "after", root=tmp_path)

    assert str(caught.value) == f"{tmp_path}/file can't be written: No space left on device"
    assert caught.value.hint
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]


def test_a_text_is_read_only_from_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "in").write_text("é")
    (root / "out").symlink_to("/etc/hostname")
    (root / "loop").symlink_to("loop")
    (root / "bytes").write_bytes(b"a\xff")

    assert read_text_inside(root, root / "in") == "é"
    with pytest.raises(Refused, match="out leads out of"):
        read_text_inside(root, root / "out")
    with pytest.raises(Refused, match="bytes is not UTF-8: byte 1"):
        read_text_inside(root, root / "bytes")
    with pytest.raises(KitError, match="loop can't be read"):
        read_text_inside(root, root / "loop")
