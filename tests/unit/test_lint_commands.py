import pytest

from coreos_kit.units.lint import lint_units
from coreos_kit.units.lint.commands import shell_script, split_command


def told(command: str) -> list[tuple[str, str, str]]:
    findings = lint_units({"a.service": f"[Service]\nExecStart={command}\n"})
    return [(finding.severity, finding.rule, finding.hint) for finding in findings]


@pytest.mark.parametrize(
    ("command", "severity", "rule", "hint"),
    [
        ("/bin/echo %e", "error", "specifier", "Write %%e for %e as it stands."),
        ("/bin/sh -c 'date +%s'", "error", "specifier", "Write %% for each %."),
        (
            "/bin/sh -c 'L=1; echo ${L}'",
            "error",
            "dollar",
            "Write $${L} where the shell is to replace it.",
        ),
        (
            "/bin/sh -c 'for M in a b; do echo ${M}; done'",
            "error",
            "dollar",
            "Write $${M} where the shell is to replace it.",
        ),
        ("/bin/sh -c 'echo ${A#.x}'", "error", "dollar", "Write $${A#.x} where the shell is to replace it."),
        ("/bin/echo ${A:-b}", "error", "dollar", "Write /bin/sh -c '…' around the command."),
        ("/bin/echo %r", "warning", "specifier", "Write %%r for %r as it stands."),
        ("/usr/bin/docker run -p $IP:80:80 web", "error", "dollar", "Write ${IP}."),
        ("/usr/bin/docker run --name=$NAME web", "error", "dollar", "Write ${NAME}."),
        ("/usr/bin/docker rm web || /bin/true", "error", "no-shell", "Write /bin/sh -c '…' around it."),
    ],
)
def test_what_systemd_does_to_a_command_unasked_is_found(
    command: str, severity: str, rule: str, hint: str
) -> None:
    assert told(command) == [(severity, rule, hint)]


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/docker run -p ${IP}:%i:80 web",
        "-/usr/bin/docker run $OPTIONS web",
        "/usr/bin/curl -w %%{http_code} -o /dev/null %{x}",
        "/bin/bash -c 'L=1; echo $L $$L $${L} $? ${COREOS_PRIVATE_IPV4} && true | cat'",
        ":/bin/echo $A/b ${x y}",
        "/bin/echo 'a && b' $$A/b",
        "/bin/sh -c 'date +%%s'",
        "/bin/sh -c 'echo ${A:-b}'",
    ],
)
def test_what_systemd_takes_as_it_is_meant_passes(command: str) -> None:
    assert told(command) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("a 'b c' \"d e\"", ["a", "b c", "d e"]),
        ("a x'b c'y", ["a", "xb cy"]),
        ("a 'it\\'s' ''", ["a", "it's", ""]),
        ('a \\"b', ["a", '"b']),
        ("", []),
    ],
)
def test_a_command_is_split_at_blanks_outside_quotes(line: str, words: list[str]) -> None:
    assert split_command(line) == words


def test_a_shells_script_is_what_follows_its_c() -> None:
    assert shell_script(["/bin/bash", "-c", "echo"]) == "echo"
    assert shell_script(["/bin/sh", "-eu", "-c", "echo"]) == "echo"
    assert shell_script(["/bin/sh", "-ec", "echo"]) == "echo"
    assert shell_script(["/bin/sh", "file"]) is None
    assert shell_script(["/usr/bin/docker", "-c", "x"]) is None
