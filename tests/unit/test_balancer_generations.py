"""Configurations staged, tested and swapped, with a test of Nginx that always passes; time is a number."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from threading import Thread

import pytest

from coreos_kit.balancer import generations
from coreos_kit.balancer.generations import POLL_S, RETRY_S, Generations
from coreos_kit.balancer.manifest import differing
from coreos_kit.balancer.pool import parse_networks
from coreos_kit.balancer.settings import Paths, Settings

REPOSITORY = Path(__file__).parents[2]
SETTINGS = Settings(
    "192.0.2.1", 2379, "v3", "/services/apache", parse_networks("192.0.2.0/24"), "apache", 80, 10
)


class Box:
    """The container's files, and Nginx as far as a generation has to do with it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(str(root))
        self.hand_written = Path(self.paths.hand_written)
        (self.hand_written / "conf.d").mkdir(parents=True)
        Path(self.paths.library).mkdir(parents=True)
        shutil.copy(REPOSITORY / "images/nginx_lb/kit/nginx.conf", self.paths.library)
        monkeypatch.setattr(generations, "nginx_test", lambda conf: ["test", "-e", conf])
        self.said: list[str] = []
        self.now = 0.0
        self.generations = Generations(SETTINGS, self.paths, self.said.append)

    @property
    def _generations(self) -> Path:
        return Path(self.paths.generations)

    @property
    def folders(self) -> list[str]:
        return sorted(entry.name for entry in self._generations.iterdir() if entry.name != "live")

    @property
    def live(self) -> str:
        return (self._generations / "live").resolve().name

    def begin(self) -> None:
        self.generations.begin(self.now)

    def settle(self) -> bool:
        """Go on until no test runs any more; return whether another generation became the live one."""
        deadline = time.monotonic() + 10
        swapped = False
        while self.generations.testing:
            assert time.monotonic() < deadline
            swapped |= self.generations.step(self.now)
        return swapped

    def later(self, seconds: float) -> bool:
        """Let time pass, in the steps of the watcher's loop; return the same."""
        end, swapped = self.now + seconds, False
        while self.now < end:
            self.now += POLL_S / 2
            swapped |= self.generations.step(self.now)
            swapped |= self.settle()
        return swapped


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(tmp_path, monkeypatch)
    made.begin()
    assert made.settle()
    return made


def test_the_first_generation_is_the_live_one(box: Box) -> None:
    assert (box.live, box.folders, box.generations.problem) == ("1", ["1"], "")
    assert not box.later(10 * POLL_S)


def test_what_is_written_by_hand_becomes_live_once_it_stands_still(box: Box) -> None:
    (box.hand_written / "conf.d/by-hand.conf").write_text("# mine\n")

    assert box.later(3 * POLL_S)
    assert box.live == "2"


def test_what_is_written_in_a_folder_that_a_link_leads_to_is_picked_up(box: Box, tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    (sites / "by-hand.conf").write_text("# mine\n")
    (box.hand_written / "sites-enabled").symlink_to(sites)
    box.later(3 * POLL_S)

    (sites / "by-hand.conf").write_text("# mine, and changed\n")

    assert box.later(3 * POLL_S)
    copy = Path(box.paths.generations) / "live/sites-enabled/by-hand.conf"
    assert copy.read_text() == "# mine, and changed\n"


def test_what_can_not_be_staged_leaves_nothing_behind_however_often_it_is_tried(box: Box) -> None:
    os.mkfifo(box.hand_written / "conf.d/pipe")

    assert not box.later(5 * RETRY_S)

    assert box.generations.problem.startswith(f"staging: `{box.hand_written}"[:40])
    assert len([line for line in box.said if "staging" in line]) == 1
    assert (box.live, box.folders) == ("1", ["1"])


def test_what_nginx_runs_is_kept_however_often_it_does_not_take_another(box: Box) -> None:
    (box.hand_written / "conf.d/by-hand.conf").write_text("# passes the test, and is not taken\n")
    for number in range(2, 8):
        assert box.later(RETRY_S + 2 * POLL_S)
        assert box.live == str(number)

        box.generations.not_taken("1", box.now)

        assert (box.live, box.generations.problem.endswith("it runs configuration 1")) == ("1", True)
        assert Path(box.generations.conf).exists()


def test_what_can_not_be_read_to_an_end_is_not_read_when_files_are_compared(box: Box) -> None:
    os.mkfifo(box.hand_written / "conf.d/pipe")
    told: list[list[str]] = []
    live = str(Path(box.paths.generations) / "live")

    comparing = Thread(target=lambda: told.append(differing(live, box.paths.hand_written)), daemon=True)
    comparing.start()
    comparing.join(5)

    assert told == [[]]
