"""Nginx's configuration apart from the pool: staged, tested, swapped atomically; the last good one is kept.

A *generation* is a whole copy of /etc/nginx with the kit's nginx.conf in it, so what has been tested can't
change under Nginx. What is written by hand there (conf.d, sites-enabled) is picked up when it changes; when
it is broken, that is said and tried again, and Nginx stays as it is, or starts without it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import Callable, List, Optional, Tuple

from .files import replace_link
from .manifest import write_manifest
from .nginx_conf import nginx_test, render_nginx_conf
from .pool import shown
from .settings import Paths, Settings

POLL_S = 2.0
RETRY_S = 60.0
_TEST_S = 20.0
_KEPT_GENERATIONS = 3

_Signature = Tuple[Tuple[str, int, int, int], ...]


class NothingToRun(Exception):
    """Not even the kit's own configuration passes Nginx's test."""


class Generations:
    """One step at a time, never waiting: the caller's loop has a pool to keep meanwhile."""

    def __init__(self, settings: Settings, paths: Paths, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._paths = paths
        self._say = say
        self.live = ""  # the generation that Nginx runs, or has been told to
        self.problem = ""  # why what is in /etc/nginx now is not live
        self._test: Optional[_Test] = None
        self._fallbacks: List[Callable[[], str]] = []
        self._tried: _Signature = ()
        self._polled: _Signature = ()
        self._next_poll = 0.0
        self._retry_at = 0.0

    @property
    def conf(self) -> str:
        """The file that Nginx runs from: the live generation's, whichever that is."""
        return os.path.join(self._paths.generations, "live", "nginx.conf")

    @property
    def testing(self) -> bool:
        """Whether a test is running, so that it pays to look again soon."""
        return self._test is not None

    @property
    def tester(self) -> Optional[int]:
        """The process id of the running test."""
        return self._test.process.pid if self._test else None

    def begin(self, now: float) -> None:
        """Stage what is there and start to test it; `step` goes on."""
        self._tried = self._polled = self._signature()
        self._next_poll = now + POLL_S
        if not self.live:
            self._fallbacks = [lambda: self._stage(hand_written=False)]
            if os.path.exists(self.conf):
                self._fallbacks.insert(0, self._left_from_before)
        self._start_test(lambda: self._stage(hand_written=True), now)

    def step(self, now: float) -> bool:
        """Go on; return whether another generation became the live one just now.

        Raises `NothingToRun` when there is none and none can be made.
        """
        if self._test is None:
            if self._due(now):
                self.begin(now)
            return False
        problem = self._test.try_result(now)
        if problem is None:
            return False
        folder, self._test = self._test.folder, None
        if problem:
            shutil.rmtree(folder)
            self._failed(problem, now)
            return False
        fell_back = bool(self.problem) and not self.live
        self._drop_old()  # while `live` is what Nginx runs, and goes on to run if it takes no other
        self.live = os.path.basename(folder)
        replace_link(os.path.join(self._paths.generations, "live"), self.live)
        if not fell_back:
            self.problem = ""
        return True

    def not_taken(self, running: str, now: float) -> None:
        """Nginx passed its own test and still runs the generation `running`: a restart must find that one."""
        self._failed(f"nginx did not take it, see its log; it runs configuration {running}", now)
        self.live = running
        replace_link(os.path.join(self._paths.generations, "live"), running)

    def abandon(self) -> None:
        """End a running test."""
        if self._test is not None:
            self._test.end()
            self._test = None

    def _due(self, now: float) -> bool:
        if now < self._next_poll:
            return False
        self._next_poll = now + POLL_S
        before, self._polled = self._polled, self._signature()
        # Twice the same: nobody is in the middle of writing.
        changed = self._polled != self._tried and self._polled == before
        return changed or (bool(self.problem) and now >= self._retry_at)

    def _start_test(self, stage: Callable[[], str], now: float) -> None:
        try:
            self._test = _Test(stage(), now)
        except shutil.Error as error:  # a list of what could not be copied, and why
            self._failed(f"staging: {shown(str(error.args[0][0][2]))}", now)
        except (OSError, ValueError) as error:
            self._failed(f"staging: {shown(str(error))}", now)

    def _failed(self, problem: str, now: float) -> None:
        self._retry_at = now + RETRY_S
        if problem != self.problem:
            then = "nginx stays as it is" if self.live else "starting without it"
            self._say(f"the configuration in {self._paths.hand_written} is not usable: {problem}; {then}")
        self.problem = problem
        if self.live:
            return
        if not self._fallbacks:
            raise NothingToRun(problem)
        self._start_test(self._fallbacks.pop(0), now)

    def _stage(self, *, hand_written: bool) -> str:
        name = str(max(self._numbers(), default=0) + 1)
        folder = os.path.join(self._paths.generations, name)
        try:
            self._fill(folder, name, hand_written=hand_written)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # it is tried again and again
            raise
        return folder

    def _fill(self, folder: str, name: str, *, hand_written: bool) -> None:
        shutil.copytree(self._paths.hand_written, folder, ignore_dangling_symlinks=True)
        with open(os.path.join(self._paths.library, "nginx.conf"), encoding="utf-8") as file:
            template = file.read()
        text = render_nginx_conf(
            template, self._settings, self._paths, name, ipv6=has_ipv6(), hand_written=hand_written
        )
        with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(text)
        write_manifest(folder)

    def _left_from_before(self) -> str:
        return os.path.realpath(os.path.dirname(self.conf))

    def _numbers(self) -> List[int]:
        os.makedirs(self._paths.generations, mode=0o700, exist_ok=True)
        return sorted(int(name) for name in os.listdir(self._paths.generations) if name.isdigit())

    def _drop_old(self) -> None:
        for number in self._numbers()[:-_KEPT_GENERATIONS]:
            if str(number) != self.live:
                shutil.rmtree(os.path.join(self._paths.generations, str(number)))

    def _signature(self) -> _Signature:
        found = []
        for folder, _, names in os.walk(self._paths.hand_written, followlinks=True):  # as staging does
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except OSError:  # it vanished, or its target did: that is a change, too
                    found.append((path, 0, 0, 0))
                else:
                    found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(sorted(found))


class _Test:
    """One run of ``nginx -t`` on a staged file."""

    def __init__(self, folder: str, now: float) -> None:
        self.folder = folder
        self._deadline = now + _TEST_S
        self._output = os.path.join(folder, "nginx-t.out")
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(
                nginx_test(os.path.join(folder, "nginx.conf")),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def try_result(self, now: float) -> Optional[str]:
        """Return None while it runs, then what is wrong, empty if nothing is."""
        code = self.process.poll()
        if code is None:
            if now < self._deadline:
                return None
            self.end()
            return f"nginx -t did not end within {_TEST_S:.0f} s"
        if code == 0:
            return ""
        with open(self._output, encoding="utf-8", errors="replace") as output:
            lines = [line.strip() for line in output.read(4096).splitlines() if "[emerg]" in line]
        said = lines[0].partition("[emerg] ")[2] if lines else f"exit code {code}"
        # Folders of a generation have a number that changes with every try: name what people edit.
        return said.replace(self.folder + "/", "")[:300].encode("ascii", "backslashreplace").decode("ascii")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def has_ipv6() -> bool:
    """Whether this container can listen on an IPv6 address; where it can't, Nginx would not start."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
