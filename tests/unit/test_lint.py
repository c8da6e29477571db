import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.units.lint import Finding, Severity, lint_units

CONTRACT = Path(__file__).parents[1] / "contract" / "fleet-hashes.json"
GUIDE = {
    case["title"].removeprefix("guide: "): case["text"]
    for case in json.loads(CONTRACT.read_text())
    if case["title"].startswith("guide: ")
}
LATE = "renewed every 20 s with a TTL of 30 s: one late renewal and the key is gone"
UNKILLED = "with KillMode=none what ExecStop= leaves running is never killed; today's systemd warns"
SERVICE = "[Service]\nExecStart=/bin/true\n"


def x_fleet(*lines: str) -> tuple[Finding, ...]:
    return lint_units(
        {"web@.service": "\n".join(["[Service]", "ExecStart=/bin/true %i", "[X-Fleet]", *lines, ""])}
    )


def brief(findings: tuple[Finding, ...]) -> list[tuple[str, int, str]]:
    return [(finding.severity, finding.line, finding.rule) for finding in findings]


def test_the_guides_units_have_no_errors_and_the_warnings_that_they_deserve() -> None:
    findings = lint_units(GUIDE)

    assert [str(finding).partition(": warning: ")[::2] for finding in findings] == [
        ("apache-discovery@.service:15", f"{LATE} [sidekick-ttl]"),
        ("apache@.service:16", f"{UNKILLED} [kill-mode-none]"),
        ("nginx_lb.service:12", f"{UNKILLED} [kill-mode-none]"),
    ]


def test_a_rule_can_be_left_out() -> None:
    assert [f.rule for f in lint_units(GUIDE, without={"kill-mode-none"})] == ["sidekick-ttl"]


def test_instances_that_are_their_template_are_not_told_the_same_again() -> None:
    linked = {f"instances/{name.replace('@', '@7777')}": text for name, text in GUIDE.items() if "@" in name}

    assert lint_units({**GUIDE, **linked}) == lint_units(GUIDE)


def test_copies_of_an_absent_template_are_told_once_and_one_that_differs_by_itself() -> None:
    text = SERVICE + "KillMode=none\n"
    files = {"a@1.service": text, "a@2.service": text, "a@3.service": text + "# mine\n"}

    assert [finding.path for finding in lint_units(files)] == ["a@1.service", "a@3.service"]


def test_a_file_without_a_units_name_is_an_error() -> None:
    (finding,) = lint_units({"static/web.conf": SERVICE})

    assert str(finding) == (
        "static/web.conf:1: error: 'web.conf' is not a unit name: invalid unit type: \"conf\" [name]"
    )


def test_what_systemd_refuses_and_what_it_ignores_is_found() -> None:
    findings = lint_units({"a.service": "A=1\n[Service\nExecStart=/bin/true\n"})

    assert ("error", 2, "parse") in brief(findings)
    assert ("warning", 1, "parse") in brief(findings)


def test_a_comment_inside_a_continuation_is_refused_as_fleet_does() -> None:
    (finding,) = lint_units({"a.service": "[Service]\nExecStart=/bin/sh -c 'a; \\\n# note\nb'\n"})

    assert (finding.severity, finding.line, finding.rule) == (Severity.ERROR, 4, "parse")
    assert (
        finding.message == "fleet refuses the file: unexpected newline encountered while parsing option name"
    )
    assert finding.hint == "Move comments out of the continued lines: to fleet they are part of the value."


def test_a_line_too_long_for_fleet_is_named() -> None:
    (finding,) = lint_units({"a.service": SERVICE + f"Environment=A={'x' * 2048}\n"})

    assert (finding.line, finding.message) == (3, "fleet refuses the file: line too long (max 2048 bytes)")


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\n# a comment \\\nExecStart=/bin/true\nExecStop=/bin/true\n",
        "[Service]\r\nExecStart=/bin/echo \\\r\na=b\r\n",
    ],
    ids=["a comment that is continued", "carriage returns"],
)
def test_a_file_that_systemd_and_fleet_read_differently_is_warned_of(text: str) -> None:
    assert ("warning", "two-readings") in [(f.severity, f.rule) for f in lint_units({"a.service": text})]


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        ("Services", "Did you mean [Service]?"),
        ("X-fleet", "Did you mean [X-Fleet]?"),
        ("Fleet", "Did you mean [X-Fleet]?"),
        ("Timer", ""),
    ],
)
def test_a_section_that_would_be_ignored_is_an_error(section: str, hint: str) -> None:
    (finding,) = lint_units({"a.service": f"{SERVICE}[{section}]\nA=1\n"})

    assert (finding.severity, finding.line, finding.rule, finding.hint) == ("error", 3, "section", hint)


def test_sections_for_other_programs_and_of_the_kit_are_fine() -> None:
    text = "[Unit]\n[X-Other]\nA=1\n[X-CoreosKit]\nProject=web\n[Install]\n[X-Fleet]\n" + SERVICE

    assert lint_units({"a.service": text}) == ()


def test_a_service_that_starts_nothing_is_an_error() -> None:
    assert brief(lint_units({"a.service": "[Service]\nRestart=always\n"})) == [("error", 1, "exec-start")]


def test_what_fleet_refuses_is_an_error_in_its_words_at_the_line_that_contradicts() -> None:
    (finding,) = x_fleet("MachineID=a", "", "Conflicts=b")

    assert finding.message == "fleet refuses the unit: MachineID cannot be used with Conflicts"
    assert (finding.severity, finding.line, finding.rule) == ("error", 6, "x-fleet")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("Conflict", "Did you mean Conflicts=?"),
        ("machineOf", "Did you mean MachineOf=?"),
        ("MachineMetaData", "Did you mean MachineMetadata=?"),
        (
            "Zone",
            "fleet knows Conflicts, Global, MachineID, MachineMetadata, MachineOf, Replaces.",
        ),
    ],
)
def test_a_key_that_fleet_does_not_know_is_an_error_with_the_nearest_spelling(key: str, hint: str) -> None:
    (finding,) = x_fleet(f"{key}=a.service")

    assert finding.message == f"fleet knows no {key}= and ignores it"
    assert (finding.severity, finding.rule, finding.hint) == ("error", "x-fleet-key", hint)


@pytest.mark.parametrize(
    ("line", "severity", "rule", "hint"),
    [
        ("X-Conflicts=a.service", "warning", "x-fleet-legacy", "Write Conflicts=."),
        (
            "MachineMetadata=n=3 region=lab",
            "error",
            "metadata-ignored",
            'Write MachineMetadata="n=3" "region=lab".',
        ),
        ("MachineMetadata=region=", "error", "metadata-ignored", "Write MachineMetadata=key=value."),
        ("MachineOf=a.service b.service", "error", "machine-of", "Write one MachineOf= line for each unit."),
        ("MachineOf=a@*.service", "error", "machine-of", "MachineOf= takes exact names, no patterns."),
        ("Conflicts=a@* b@*", "warning", "conflicts-split", "Write one Conflicts= line for each pattern."),
        ("Conflicts=a[!b].service", "error", "glob-negation", "Write a[^b].service."),
        ("Conflicts=a[.service", "error", "glob", ""),
        ("Replaces=a[.service", "error", "glob", ""),
        ("Global=enabled", "error", "global", "Write Global=true."),
    ],
)
def test_what_fleet_passes_over_in_silence_is_found(line: str, severity: str, rule: str, hint: str) -> None:
    (finding,) = x_fleet(line)

    assert (finding.severity, finding.line, finding.rule, finding.hint) == (severity, 4, rule, hint)


@pytest.mark.parametrize(
    "lines",
    [
        ["Conflicts=web@*.service", "Conflicts=a[^b]?.service"],
        ['MachineMetadata="n=3" "region=lab"', "MachineID=abc"],
        ["MachineOf=%p-db@%i.service"],
        ["Global=no"],
    ],
)
def test_what_fleet_takes_as_it_is_meant_passes(lines: list[str]) -> None:
    assert x_fleet(*lines) == ()


@given(
    st.dictionaries(
        st.sampled_from(["a.service", "a@.service", "a@1.service", "b@.service", "x", "c.timer"]),
        st.text(st.sampled_from("[]=#;\\ \t\r\n\"'$%{}ExcStartXFleinqMachOf@.*"), max_size=100),
    )
)
def test_any_text_can_be_linted(files: dict[str, str]) -> None:
    assert all(finding.path in files and finding.line >= 1 for finding in lint_units(files))
