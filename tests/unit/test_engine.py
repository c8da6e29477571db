"""docker and podman: what they are asked, and what their complaints mean."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from coreos_kit.adapters.engine import MachineEngine, find_engine
from coreos_kit.adapters.engine_sayings import explain
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.errors import CommandFailed
from coreos_kit.model.secret import Secret
from coreos_kit.testing.runner import Answer, FakeRunner

DIGEST = f"sha256:{'a' * 64}"


def machine(**programs: Answer) -> FakeRunner:
    def answering(answer: Answer) -> "object":
        def program(args: Sequence[str], stdin: bytes) -> Answer:
            return answer

        return program

    return FakeRunner("core-1", {name: answering(answer) for name, answer in programs.items()})  # type: ignore[misc]


NO_DAEMON = Answer(b"", b"Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n", 1)
WORKS = Answer(b"20.10.24\n")


def test_docker_is_taken_where_it_works() -> None:
    assert find_engine(machine(docker=WORKS, podman=WORKS)).program == "docker"


def test_podman_is_taken_where_docker_is_missing_or_down() -> None:
    assert find_engine(machine(podman=WORKS)).program == "podman"
    assert find_engine(machine(docker=NO_DAEMON, podman=WORKS)).program == "podman"


def test_a_docker_without_a_daemon_is_told_from_no_docker() -> None:
    with pytest.raises(
        CommandFailed, match="no container engine works on core-1: its docker daemon is not running"
    ):
        find_engine(machine(docker=NO_DAEMON))
    with pytest.raises(CommandFailed, match="there is neither docker nor podman on core-1") as caught:
        find_engine(machine())

    assert "apt-get install docker.io" in caught.value.hint
    assert caught.value.exit_code == 1


def test_a_pull_is_one_question_and_gives_the_digest_of_its_repository() -> None:
    digests = [f"other/apache@sha256:{'b' * 64}", f"user_name/apache@{DIGEST}"]
    runner = machine(bash=Answer(json.dumps(digests).encode()))

    assert MachineEngine(runner, "/usr/bin/docker").pull("user_name/apache") == DIGEST
    assert len(runner.log) == 1
    assert runner.log[0][0] == "#"
    assert runner.log[0][-2:] == ("/usr/bin/docker", "user_name/apache")


def test_podman_is_given_the_whole_name() -> None:
    runner = machine(bash=Answer(json.dumps([f"docker.io/user_name/apache@{DIGEST}"]).encode()))

    assert MachineEngine(runner, "/usr/bin/podman").pull("user_name/apache") == DIGEST
    assert runner.log[0][-1] == "docker.io/user_name/apache"


@pytest.mark.parametrize(("there", "pulled"), [("true", ""), ("false", f"user_name/apache@{DIGEST}\n")])
def test_an_image_of_a_digest_that_is_there_is_not_asked_of_its_registry(
    tmp_path: Path, there: str, pulled: str
) -> None:
    engine, log = tmp_path / "docker", tmp_path / "pulled"
    engine.write_text(f'#!/bin/bash\nif [ "$1" = image ]; then {there}; else echo "$3" >> {log}; fi\n')
    engine.chmod(0o755)
    log.touch()

    digest = MachineEngine(LocalRunner(), str(engine), root=False).pull(f"user_name/apache@{DIGEST}")

    assert (digest, log.read_text()) == (DIGEST, pulled)


def test_of_two_digests_the_one_that_the_registry_has_is_taken() -> None:
    here, there = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    digests = [f"docker.io/user_name/apache@{here}", f"docker.io/user_name/apache@{there}"]
    runner = machine(bash=Answer(json.dumps(digests).encode()))
    runner.programs["podman"] = lambda args, stdin: Answer(code=0 if args[-1].endswith(there) else 125)

    assert MachineEngine(runner, "podman").pull("user_name/apache") == there


def test_an_image_that_never_was_in_a_registry_has_no_digest() -> None:
    with pytest.raises(CommandFailed, match="pulling user_name/apache on core-1 failed: it has no digest"):
        MachineEngine(machine(bash=Answer(b"null\n")), "docker").pull("user_name/apache")


def test_a_build_streams_its_lines_and_gives_the_id() -> None:
    lines: list[str] = []
    runner = machine(docker=Answer(b"sha256:abc\n"))

    assert MachineEngine(runner, "docker").build(b"tar", "user_name/apache", lines.append) == "sha256:abc"
    assert runner.log[0] == ("#", "docker", "build", "-t", "user_name/apache", "-")
    assert lines == ["sha256:abc"]


def test_a_push_under_another_name_tags_first_and_reports_the_digest() -> None:
    runner = machine(docker=Answer(f"latest: digest: {DIGEST} size: 1569\n".encode()))

    digest = MachineEngine(runner, "docker").push("a/b", "registry.example/a/b", lambda line: None)

    assert digest == DIGEST
    assert runner.log == [
        ("#", "docker", "tag", "a/b", "registry.example/a/b"),
        ("#", "docker", "push", "registry.example/a/b"),
    ]


def test_a_push_that_reports_no_digest_has_failed_even_with_code_0() -> None:
    runner = machine(docker=Answer(b"errorDetail: unauthorized: authentication required\n"))

    with pytest.raises(CommandFailed, match="pushing a/b on core-1 failed: the registry wants a login"):
        MachineEngine(runner, "docker").push("a/b", "a/b", lambda line: None)


# What docker 20.10 and podman 4.3 said, whose Docker Hub had a mirror and was itself nowhere. docker says the
# same whether the mirror has no such image or is down.
DOCKER_MIRRORED = (
    'Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp 127.0.0.1:443: connect: '
    "connection refused"
)
DOCKER_DOWN = (
    'Error response from daemon: Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: '
    "connection refused"
)
DOCKER_MISSING = (
    "Error response from daemon: manifest for 127.0.0.1:5000/user_name/apache:latest not found: "
    "manifest unknown: manifest unknown"
)
PODMAN_MIRRORED = (
    "Error: initializing source docker://user_name/apache:latest: (Mirrors also failed: "
    "[127.0.0.1:5000/user_name/apache:latest: reading manifest latest in 127.0.0.1:5000/user_name/apache: "
    "manifest unknown: manifest unknown]): docker.io/user_name/apache:latest: pinging container registry "
    'registry-1.docker.io: Get "https://registry-1.docker.io/v2/": dial tcp 127.0.0.1:443: connect: '
    "connection refused"
)
PODMAN_DOWN = (
    "Error: initializing source docker://user_name/apache:latest: (Mirrors also failed: "
    "[127.0.0.1:5000/user_name/apache:latest: pinging container registry 127.0.0.1:5000: "
    'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused]): '
    "docker.io/user_name/apache:latest: pinging container registry registry-1.docker.io: "
    'Get "https://registry-1.docker.io/v2/": dial tcp 127.0.0.1:443: connect: connection refused'
)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("pull access denied for a/b, repository does not exist", "the registry does not have it"),
        ("manifest for a/b:latest not found: manifest unknown", "the registry does not have it"),
        ("authentication required", "the registry wants a login, or this login may not do it"),
        ("http: server gave HTTP response to HTTPS client", "the registry speaks plain HTTP"),
        ("dial tcp: lookup registry.example: no such host", "the registry can't be reached"),
        ("dial tcp 198.51.100.1:443: connect: connection refused", "the registry can't be reached"),
        (DOCKER_MIRRORED, "Docker Hub can't be reached, and no mirror of it helped"),
        (DOCKER_DOWN, "the registry can't be reached"),
        (DOCKER_MISSING, "the registry does not have it"),
        (PODMAN_MIRRORED, "the registry does not have it"),
        (PODMAN_DOWN, "Docker Hub can't be reached, and no mirror of it helped"),
        ("x509: certificate signed by unknown authority", "the registry's certificate is not trusted"),
        ("write /x: no space left on device", "its disk is full"),
        ("permission denied while trying to connect to the Docker daemon", "this user may not use docker"),
        ("An image does not exist locally with the tag: a/b", "it has not been built there"),
        ("Step 1\nThe command returned a non-zero code: 1", "The command returned a non-zero code: 1"),
    ],
)  # fmt: skip
def test_a_complaint_says_what_it_means(said: str, meaning: str) -> None:
    assert explain(said, 1, "docker", "core-1")[0] == meaning


PUSH_FIRST = "Build and push it first: coreos-kit image build && coreos-kit image push"


@pytest.mark.parametrize(
    ("said", "machine", "hint"),
    [
        (DOCKER_MISSING, "", PUSH_FIRST),
        (
            DOCKER_MISSING,
            "core-1",
            f"{PUSH_FIRST}, both with --on core-1 where this workstation has no docker",
        ),
        ("An image does not exist locally", "", "Build it first: coreos-kit image build"),
        ("An image does not exist locally", "core-1", "Build it first: coreos-kit image build --on core-1"),
    ],
)
def test_a_remedy_names_the_machine_whose_engine_it_is(said: str, machine: str, hint: str) -> None:
    assert explain(said, 1, "docker", machine)[1] == hint


def test_a_missing_engine_is_named_with_and_without_sudo() -> None:
    assert explain("", 127, "podman", "core-1")[0] == "there is no podman there"
    assert explain("sudo: podman: command not found", 1, "podman", "core-1")[0] == "there is no podman there"


def test_a_pull_with_a_login_has_it_on_stdin_and_not_among_the_arguments() -> None:
    heard: list[bytes] = []

    def bash(args: Sequence[str], stdin: bytes) -> Answer:
        heard.append(stdin)
        return Answer(json.dumps([f"user_name/apache@{DIGEST}"]).encode())

    runner = FakeRunner("core-1", {"bash": bash})
    engine = MachineEngine(runner, "/usr/bin/docker", login=lambda: Secret(b'{"auths": "hunter2"}'))

    assert engine.pull("user_name/apache") == DIGEST
    assert heard == [b'{"auths": "hunter2"}']
    assert "hunter2" not in str(runner.log)


def test_the_login_of_a_pull_lies_in_memory_roots_alone_and_is_gone_afterwards(tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text(
        "#!/bin/bash\n"
        'if [ "$1" = pull ]; then\n'
        f'  stat -c "%a %n" "$DOCKER_CONFIG" "$REGISTRY_AUTH_FILE" > {tmp_path}/seen\n'
        f'  cat "$DOCKER_CONFIG/config.json" > {tmp_path}/login\n'
        "else\n"
        f"  echo '[\"user_name/apache@{DIGEST}\"]'\n"
        "fi\n"
    )
    engine.chmod(0o755)
    if not os.access("/run", os.W_OK):
        pytest.skip("root's /run is not to be written here")

    digest = MachineEngine(LocalRunner(), str(engine), root=False, login=lambda: Secret(b"{}")).pull(
        "user_name/apache"
    )

    folder, file = (line.split() for line in (tmp_path / "seen").read_text().splitlines())
    assert (digest, (tmp_path / "login").read_text()) == (DIGEST, "{}")
    assert (folder[0], file[0]) == ("700", "600")
    assert not Path(folder[1]).exists()
