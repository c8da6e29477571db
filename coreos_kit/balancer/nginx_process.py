"""Nginx as a child of the container's first process: started, told to reload, ended gracefully, reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import Collection, Optional

from .nginx_conf import nginx_run

GRACE_S = 1.5  # for requests under way; the whole stop stays within two seconds
_AFTER_GRACE_S = 0.3


class NginxProcess:
    """The one Nginx master of this container."""

    def __init__(self, conf: str, socket_path: str) -> None:
        # One that was killed leaves its socket behind, and the next could not bind it.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket_path)
        # A group of its own: the workers of a master that was killed go on listening, and must be found.
        self._process = subprocess.Popen(nginx_run(conf), stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self) -> int:
        """The master's process id."""
        return self._process.pid

    def try_exit(self) -> Optional[int]:
        """Return how Nginx ended, or None while it lives."""
        return self._process.poll()

    def reload(self) -> None:
        """Ask for the live configuration; whether it was taken is seen at the door."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it: gracefully, then firmly, then by force."""
        for how, patience_s in ((signal.SIGQUIT, GRACE_S), (signal.SIGTERM, _AFTER_GRACE_S)):
            self._process.send_signal(how)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    return
                time.sleep(0.01)
        self._process.kill()
        self._process.wait()
        self.end_orphans()

    def end_orphans(self) -> None:
        """End the workers that are left when the master has died."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def reap_strangers(own: Collection[int]) -> None:
    """Collect dead processes whose parents are gone: that is the first process's duty.

    Children in `own` are left to those who started them and want their exit codes.
    """
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in own:
            return
        os.waitpid(dead.si_pid, 0)
