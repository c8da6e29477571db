import pytest

from coreos_kit.errors import InvalidUnit
from coreos_kit.units.unit_file import Problem, UnitFile

APACHE = """\
# The web server.
[Unit]
Description=Apache on port %i
After=etcd.service
After=docker.service

[Service]
; first pull, then run
ExecStartPre=-/usr/bin/docker pull user_name/apache
ExecStart=/usr/bin/docker run --name apache.%i \\
  # the port is the instance
  -p 80:%i \\
  user_name/apache user_name/apache-extra
Environment=A=b=c
[Unit]
Requires=docker.service
[X-Fleet]
Conflicts=apache@*.service
"""


def test_options_are_read_in_order_with_their_lines() -> None:
    unit = UnitFile.parse(APACHE)

    assert unit.sections == ("Unit", "Service", "X-Fleet")
    assert [(option.name, option.line) for option in unit.options("Unit")] == [
        ("Description", 3), ("After", 4), ("After", 5), ("Requires", 16),
    ]  # fmt: skip
    assert unit.values("Unit", "After") == ("etcd.service", "docker.service")
    assert unit.value("Service", "Environment") == "A=b=c"
    assert unit.value("Service", "Restart") is None


def test_a_continued_value_is_joined_by_spaces_and_loses_its_comments() -> None:
    unit = UnitFile.parse(APACHE)

    assert unit.value("Service", "ExecStart") == (
        "/usr/bin/docker run --name apache.%i    -p 80:%i    user_name/apache user_name/apache-extra"
    )


def test_an_escaped_backslash_continues_nothing() -> None:
    unit = UnitFile.parse("[Service]\nExecStart=a \\\\\nExecStop=b\n")

    assert unit.value("Service", "ExecStart") == "a \\\\"
    assert unit.value("Service", "ExecStop") == "b"


def test_a_blank_line_ends_a_continuation() -> None:
    unit = UnitFile.parse("[Service]\nExecStart=a \\\n\nExecStop=b\n")

    assert [option.name for option in unit.options("Service")] == ["ExecStart", "ExecStop"]


@pytest.mark.parametrize(
    "text",
    [
        "[Unit]\r\nA=1\r\nB=2 \\\r\n3\r\n",
        "\ufeff[Unit]\nA=1\nB=2 \\\n3\n",
        "  [Unit]  \n\tA = 1  \nB=2 \\\n3",
    ],
    ids=["carriage returns", "byte order mark", "blanks, and no newline at the end"],
)
def test_what_systemd_forgives_is_forgiven(text: str) -> None:
    unit = UnitFile.parse(text)

    assert str(unit) == text
    assert [(option.name, option.value) for option in unit.options("Unit")] == [("A", "1"), ("B", "2  3")]
    assert unit.problems == ()


def test_an_empty_value_is_a_value() -> None:
    unit = UnitFile.parse("[Service]\nExecStart=a\nExecStart=\nExecStart=b\nExecStart=c\n")

    assert unit.values("Service", "ExecStart") == ("a", "", "b", "c")


def test_what_systemd_complains_of_is_named_with_its_line() -> None:
    unit = UnitFile.parse("A=1\n[Unit]\nnonsense\n=2\n[Service\nB=3\n")

    assert unit.problems == (
        Problem(1, "A= stands before the first section; ignored"),
        Problem(3, "no '=' in 'nonsense'; systemd ignores the line"),
        Problem(4, "nothing before '=' in '=2'; systemd ignores the line"),
        Problem(5, "invalid section header '[Service'", fatal=True),
    )


def test_a_new_section_goes_to_the_end() -> None:
    new = [("B", "2")]

    assert (
        str(UnitFile.parse("[Unit]\nA=1").with_section("Install", new)) == "[Unit]\nA=1\n\n[Install]\nB=2\n"
    )
    assert str(UnitFile.parse("").with_section("Install", new)) == "[Install]\nB=2\n"


def test_a_section_is_replaced_where_it_stands_and_doing_it_twice_changes_nothing() -> None:
    unit = UnitFile.parse("[X-CoreosKit]\nProject=old\n\n[Unit]\nA=1\n[X-CoreosKit]\nService=old\n")

    once = unit.with_section("X-CoreosKit", [("Project", "web"), ("Service", "apache")])

    assert str(once) == "[X-CoreosKit]\nProject=web\nService=apache\n\n[Unit]\nA=1\n"
    assert once.with_section("X-CoreosKit", [("Project", "web"), ("Service", "apache")]) == once


@pytest.mark.parametrize("end", ["ExecStart=a \\", "ExecStart=a \\\n", "ExecStart=a \\\n\n", "# note \\\n"])
def test_what_is_added_is_not_swallowed_by_a_dangling_backslash(end: str) -> None:
    unit = UnitFile.parse(f"[Service]\n{end}").with_section("X-CoreosKit", [("Project", "web")])

    assert unit.value("X-CoreosKit", "Project") == "web"


@pytest.mark.parametrize("value", ["a\nExecStart=evil", "a\rb", "a\0b", "a\\"])
def test_a_value_cannot_smuggle_a_line(value: str) -> None:
    with pytest.raises(InvalidUnit):
        UnitFile.parse(APACHE).with_section("Service", [("Environment", value)])


def test_a_word_is_replaced_in_values_whole_and_nowhere_else() -> None:
    unit = UnitFile.parse("# user_name/apache\n" + APACHE).replace_word(
        "user_name/apache", "user_name/apache@sha256:0"
    )

    assert str(unit) == "# user_name/apache\n" + APACHE.replace(
        "docker pull user_name/apache\n", "docker pull user_name/apache@sha256:0\n"
    ).replace("  user_name/apache user", "  user_name/apache@sha256:0 user")


def test_replacing_a_word_that_is_not_there_changes_nothing() -> None:
    unit = UnitFile.parse(APACHE)

    assert unit.replace_word("nginx", "x") is unit
