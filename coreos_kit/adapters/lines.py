"""Bytes cut into lines as they come."""

from collections.abc import Callable

_LONGEST = 1024 * 1024


class Lines:
    """Cuts one stream into lines; stdout and stderr have one each, so that neither tears the other's."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Hand on every line that is complete; one that never ends comes in pieces of a megabyte."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._on_line(line.removesuffix(b"\r").decode("utf-8", "replace"))
        if len(self._rest) > _LONGEST:
            self.finish()

    def finish(self) -> None:
        """Hand on what was left without a line end."""
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
