"""What every `ports.Runner` promises: the fake, the workstation, and a machine over SSH."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.ssh import open_machines
from coreos_kit.errors import CommandFailed, TimedOut
from coreos_kit.ports import Runner
from coreos_kit.testing.runner import Answer, FakeRunner
from coreos_kit.testing.servers import SSHD, running_sshd

WORDS = ["a b", "", "$HOME", "`id`", "it's", '"', "\\", "*", "-n", "naïve", "a\tb", ";", "|", "%s"]


def fake_bash(args: Sequence[str], stdin: bytes) -> Answer:
    script, values = args[1], args[3:]
    if script.startswith("printf"):
        return Answer("".join(f"[{value}]" for value in values).encode() + stdin)
    if script.startswith("echo out"):
        return Answer(b"out\n", b"err\n", code=3)
    if script.startswith("tee"):
        return Answer(stdin, stdin)
    return Answer(code=127)


def fake() -> FakeRunner:
    return FakeRunner(
        programs={
            "true": lambda args, stdin: Answer(),
            "false": lambda args, stdin: Answer(code=1),
            "cat": lambda args, stdin: Answer(stdin),
            "printf": lambda args, stdin: Answer("".join(f"[{arg}]" for arg in args[1:]).encode()),
            "seq": lambda args, stdin: Answer("".join(f"{n}\n" for n in range(1, int(args[0]) + 1)).encode()),
            "sleep": lambda args, stdin: Answer(hangs=True),
            "id": lambda args, stdin: Answer(b"0\n"),
            "bash": fake_bash,
        }
    )


@pytest.fixture(params=["fake", "local", pytest.param("ssh", marks=pytest.mark.real)])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "fake":
        yield fake()
    elif request.param == "local":
        yield LocalRunner()
    else:
        if not Path(SSHD).exists():
            pytest.skip("sshd is not installed: apt-get install openssh-server")
        with running_sshd() as server, open_machines([server.entry()]) as machines:
            yield machines.runner("web1")


def test_words_arrive_as_they_were_given(runner: Runner) -> None:
    done = runner.run(["printf", "[%s]", *WORDS])

    assert done.text == "".join(f"[{word}]" for word in WORDS)


def test_a_scripts_values_arrive_as_they_were_given(runner: Runner) -> None:
    done = runner.run_script('printf "[%s]" "$@"; cat', WORDS, stdin=b"and stdin")

    assert done.text == "".join(f"[{word}]" for word in WORDS) + "and stdin"


def test_stdout_and_stderr_and_the_code_come_back_apart(runner: Runner) -> None:
    done = runner.run_script("echo out; echo err >&2; exit 3", check=False)

    assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 3)


def test_a_code_other_than_zero_is_an_error_that_names_the_command(runner: Runner) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner.run(["false"])

    assert caught.value.code == 1
    assert caught.value.machine == runner.machine
    assert str(caught.value).startswith("false ended with code 1")


def test_what_a_failed_command_said_is_in_the_details(runner: Runner) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner.run_script("echo out; echo err >&2; exit 3")

    assert caught.value.details[-1] == "err"


def test_megabytes_go_both_ways_at_once(runner: Runner) -> None:
    data = bytes(range(256)) * 12_000

    done = runner.run_script("tee /dev/stderr", stdin=data)

    assert (done.stdout, done.stderr) == (data, data)


def test_stdin_that_nobody_reads_is_no_error(runner: Runner) -> None:
    assert runner.run(["true"], stdin=bytes(5_000_000)).code == 0


def test_a_command_that_takes_too_long_is_given_up(runner: Runner) -> None:
    started = time.monotonic()

    with pytest.raises(TimedOut, match=r"did not come to its end.*within 0\.5 s"):
        runner.run(["sleep", "20"], timeout_s=0.5)

    assert time.monotonic() - started < 5


def test_a_program_that_does_not_exist_has_code_127(runner: Runner) -> None:
    assert runner.run(["no-such-program"], check=False).code == 127


def test_lines_are_handed_on_one_by_one(runner: Runner) -> None:
    lines: list[str] = []

    code = runner.stream(["seq", "20000"], lines.append, stop=threading.Event())

    assert code == 0
    assert lines == [str(number) for number in range(1, 20_001)]


def test_a_stream_ends_when_it_is_stopped(runner: Runner) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()

    code = runner.stream(["sleep", "20"], lambda line: None, stop=stop)

    assert code == 0
    assert time.monotonic() - started < 5


def test_a_streams_code_comes_back(runner: Runner) -> None:
    assert runner.stream(["false"], lambda line: None, stop=threading.Event()) == 1


def test_many_commands_at_once_don_t_mix(runner: Runner) -> None:
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        answers[number] = runner.run(["cat"], stdin=b"%d " % number * 10_000).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == {number: b"%d " % number * 10_000 for number in range(20)}


def test_root_runs_as_root(runner: Runner) -> None:
    if runner.machine == "" and shutil.which("sudo") is None and not _is_root():
        pytest.skip("neither root nor sudo here")

    assert runner.run(["id", "-u"], root=True).text == "0\n"


def test_a_forward_leads_to_the_address(runner: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_say_hello, args=(server,), daemon=True).start()

        with runner.forward("127.0.0.1", server.getsockname()[1]) as address:
            with socket.create_connection(address, timeout=5) as connection:
                assert connection.recv(5) == b"hello"


def _say_hello(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"hello")


def _is_root() -> bool:
    return LocalRunner().run(["id", "-u"]).text == "0\n"
