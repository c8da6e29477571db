"""A machine in memory that keeps the promises of `ports.Runner`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from coreos_kit.errors import CommandFailed, TimedOut, Unreachable
from coreos_kit.ports import Completed


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program of a `FakeRunner` does. One that `hangs` takes longer than anybody waits."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int = 0
    hangs: bool = False


Program = Callable[[Sequence[str], bytes], Answer]
"""Arguments without the program's name, and stdin."""


@dataclass(slots=True)
class FakeRunner:
    """Runs `programs` by name; `log` holds every command line that was asked for, root's after a ``#``.

    A script of `run_script` goes to the program ``bash``: ``-c``, the script, ``coreos-kit`` and its values.
    """

    machine: str = "web1"
    programs: dict[str, Program] = field(default_factory=dict)
    is_down: bool = False
    log: list[tuple[str, ...]] = field(default_factory=list)
    forwards: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        root: bool = False,
        timeout_s: float = 30,
        check: bool = True,
    ) -> Completed:
        """See `ports.Runner.run`."""
        answer = self._answer(argv, stdin, root=root)
        if answer.hangs:
            raise TimedOut(f"{argv[0]} did not come to its end on {self.machine} within {timeout_s:g} s")
        if check and answer.code != 0:
            raise CommandFailed(
                f"{argv[0]} ended with code {answer.code} on {self.machine}",
                machine=self.machine,
                argv=argv,
                code=answer.code,
                output=answer.stderr.decode("utf-8", "replace"),
            )
        return Completed(tuple(argv), answer.code, answer.stdout, answer.stderr)

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
        """See `ports.Runner.run_script`."""
        argv = ["bash", "-c", script, "coreos-kit", *args]
        return self.run(argv, stdin=stdin, root=root, timeout_s=timeout_s, check=check)

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        *,
        stop: Event,
        stdin: bytes = b"",
        root: bool = False,
    ) -> int:
        """See `ports.Runner.stream`."""
        answer = self._answer(argv, stdin, root=root)
        for line in (answer.stdout + answer.stderr).decode("utf-8", "replace").splitlines():
            on_line(line)
        if answer.hangs:
            stop.wait()
            return 0
        return answer.code

    def interactive(self, argv: Sequence[str]) -> int:
        """See `ports.Runner.interactive`."""
        return self._answer(argv or ["sh"], b"", root=False).code

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """See `ports.Runner.forward`; `forwards` says where it leads, else it leads to the address itself."""
        self._up()
        yield self.forwards.get((host, port), (host, port))

    def _answer(self, argv: Sequence[str], stdin: bytes, *, root: bool) -> Answer:
        self._up()
        self.log.append(("#", *argv) if root else tuple(argv))
        program = self.programs.get(argv[0])
        if program is None:
            return Answer(stderr=f"{argv[0]}: command not found\n".encode(), code=127)
        return program(argv[1:], stdin)

    def _up(self) -> None:
        if self.is_down:
            raise Unreachable(f"{self.machine} can't be reached: connection refused", machine=self.machine)
