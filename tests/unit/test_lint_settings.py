import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreos_kit.units.lint import Finding, Severity, lint_units
from coreos_kit.units.lint.known_settings import SETTINGS, WORDS, sections_of

RULES = {Severity.WARNING: "setting", Severity.ERROR: "setting-value"}
UNITS = {section.lower() for section in SETTINGS} - {"unit", "install"}


def lint(line: str, *, section: str = "Service", unit: str = "a.service") -> tuple[Finding, ...]:
    """Return what is said of the line, alone in its section."""
    service = "[Service]\nExecStart=/bin/true\n" if unit.endswith(".service") else ""
    return lint_units({unit: f"[{section}]\n{line}\n{service}"})


def told(line: str, *, section: str = "Service", unit: str = "a.service") -> tuple[str, str, str]:
    (finding,) = lint(line, section=section, unit=unit)
    assert (finding.line, finding.rule) == (2, RULES[finding.severity])
    return (finding.severity.value, finding.message, finding.hint)


@pytest.mark.parametrize(
    ("section", "name", "hint"),
    [
        ("Service", "ExecStartt", "Did you mean ExecStart=?"),
        ("Service", "execstart", "Did you mean ExecStart=?"),
        ("Service", "Enviroment", "Did you mean Environment=?"),
        ("Unit", "Restart", "Restart= belongs in [Service]."),
        ("Service", "WantedBy", "WantedBy= belongs in [Install]."),
        ("Service", "StartLimitIntervalSec", "StartLimitIntervalSec= belongs in [Unit]."),
        ("Service", "Aftre", "Did you mean After= in [Unit]?"),
        ("Unit", "restart", "Did you mean Restart= in [Service]?"),
        ("Service", "OnCalendar", "OnCalendar= belongs in [Timer] of a timer unit."),
        ("Install", "Vwxyz", ""),
    ],
)
def test_a_setting_that_systemd_does_not_know_there_is_warned_of(section: str, name: str, hint: str) -> None:
    message = f"systemd knows no setting {name}= in [{section}] and ignores it"

    assert told(f"{name}=x", section=section) == ("warning", message, hint)


def test_a_setting_of_another_type_of_unit_is_warned_of() -> None:
    assert told("Restart=no", section="Timer", unit="a.timer") == (
        "warning",
        "systemd knows no setting Restart= in [Timer] and ignores it",
        "Restart= belongs in [Service] of a service unit.",
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("Type=Simple", "Did you mean Type=simple?"),
        ("Type=yes", "It takes dbus, exec, forking, idle, notify, notify-reload, oneshot, simple."),
        (
            "Restart=sometimes",
            "It takes always, no, on-abnormal, on-abort, on-failure, on-success, on-watchdog.",
        ),
        ("Restart=on-fail", "Did you mean Restart=on-failure?"),
        ("Restart=always # at any cost", "Give the comment a line of its own: here it is part of the value."),
        ("KillMode=procs", "Did you mean KillMode=process?"),
        ("NotifyAccess=everybody", "It takes all, exec, main, none."),
        ("StandardOutput=jurnal", "Did you mean StandardOutput=journal?"),
        ("StandardOutput=file:log", "Did you mean StandardOutput=file:/…?"),
        (
            "StandardInput=inherit",
            "It takes data, fd, fd:…, file:/…, null, socket, tty, tty-fail, tty-force.",
        ),
        ("RemainAfterExit=maybe", "Write RemainAfterExit=yes or RemainAfterExit=no."),
        ('RemainAfterExit="yes"', "Write RemainAfterExit=yes or RemainAfterExit=no."),
        ("TimeoutStartSec=abc", "Write seconds, a time like 1min 30s, or infinity."),
        ("TimeoutStopSec=-1", "Write seconds, a time like 1min 30s, or infinity."),
        ("RestartSec=1:30", "Write seconds, a time like 1min 30s, or infinity."),
        ("WatchdogSec=5S", "Write seconds, a time like 1min 30s, or infinity."),
        ("KillSignal=sigterm", "Did you mean KillSignal=SIGTERM?"),
        ("KillSignal=SIGRTMIN+31", "Did you mean KillSignal=SIGRTMIN+30?"),
        ("KillSignal=65", "Write a signal's name or its number, e.g. SIGTERM or 15."),
        ("StartLimitBurst=five", "Write a whole number up to 4294967295."),
        ("StartLimitBurst=4294967296", "Write a whole number up to 4294967295."),
        ("StartLimitBurst=09", "Write a whole number up to 4294967295."),
    ],
)
def test_a_value_that_no_systemd_can_read_is_an_error(line: str, hint: str) -> None:
    assert told(line) == ("error", f"systemd can't read {line} and ignores it", hint)


def test_a_value_that_systemd_can_not_do_without_is_said_to_cost_the_unit() -> None:
    assert told("DynamicUser=maybe") == (
        "error",
        "systemd can't read DynamicUser=maybe and refuses the unit",
        "Write DynamicUser=yes or DynamicUser=no.",
    )


def test_values_are_looked_at_in_every_section_that_takes_them() -> None:
    assert told("StartLimitIntervalSec=x", section="Unit")[0] == "error"
    assert told("Persistent=sometimes", section="Timer", unit="a.timer")[0] == "error"
    assert lint("Type=ext4", section="Mount", unit="a.mount") == ()


@pytest.mark.parametrize(
    "line",
    [
        "X-Whatever=1",
        "Type=notify-reload",
        "Type=%i",
        "Restart=",
        "RestartSec=",
        "Restart = no",
        "NotifyAccess=exec",
        "StandardOutput=journal+console",
        "StandardOutput=syslog",
        "StandardOutput=file:/var/log/a b",
        "StandardError=append:/var/log/a",
        "StandardError=truncate:/var/log/a",
        "StandardError=file:%h/log",
        "StandardInput=fd:a.socket",
        "StandardInput=tty-force",
        "Delegate=cpu memory",
        "Delegate=yes",
        "PrivateTmp=disconnected",
        "RequiresMountsFor=/a\nDefaultDependencies=no",
        "KillSignal=QUIT",
        "KillSignal=SIGRTMIN+3",
        "KillSignal=0x9",
        "StartLimitBurst=010",
    ],
)
def test_what_some_systemd_takes_passes(line: str) -> None:
    section = "Unit" if "RequiresMountsFor" in line else "Service"

    assert lint(line, section=section) == ()


def test_settings_of_classic_coreos_and_of_today_are_known() -> None:
    old = ["BindTo", "RequiresOverridable", "OnFailureIsolate"], ["StartLimitInterval", "ReadOnlyDirectories"]
    new = ["WantsMountsFor", "AssertPathIsSocket"], ["RestartSteps", "PrivateBPF", "MemoryZSwapWriteback"]

    for unit, service in (old, new):
        assert set(unit) <= SETTINGS["Unit"].keys()
        assert set(service) <= SETTINGS["Service"].keys()


def test_a_setting_in_a_section_that_means_nothing_is_not_told_twice() -> None:
    findings = lint_units({"a.service": "[Service]\nExecStart=/bin/true\n[Timer]\nNonsense=1\n[X-A]\nB=1\n"})

    assert [finding.rule for finding in findings] == ["section"]


def test_every_type_of_unit_has_its_section_and_those_without_settings_have_none() -> None:
    assert sections_of("automount") == {"Unit", "Install", "Automount"}
    assert sections_of("target") == {"Unit", "Install"}


def test_the_table_has_no_empty_and_no_unknown_kind() -> None:
    kinds = {kind for names in SETTINGS.values() for kind in names.values()}
    words = {name for names in SETTINGS.values() for name, kind in names.items() if kind == "word"}

    assert kinds == {"", "word", "boolean", "time", "number", "signal"}
    assert words == WORDS.keys()


@given(st.sampled_from(sorted(UNITS)), st.data())
def test_every_setting_of_the_table_passes_empty_in_its_section(unit: str, data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(sorted(sections_of(unit))))
    name = data.draw(st.sampled_from(sorted(SETTINGS[section])))

    assert [f for f in lint(f"{name}=", section=section, unit=f"a.{unit}") if f.rule == "setting"] == []


@given(st.sampled_from(sorted(SETTINGS["Service"])), st.data())
def test_a_name_that_is_spelled_otherwise_is_led_back(name: str, data: st.DataObject) -> None:
    wrong = data.draw(st.sampled_from([name.upper(), name.lower(), name + name[-1], name[:-1] + "_"]))

    findings = lint(f"{wrong}=")

    assert [finding.rule for finding in findings] == ([] if wrong in SETTINGS["Service"] else ["setting"])
    assert all(finding.hint for finding in findings)


amounts = st.from_regex(r"([1-9][0-9]{0,5}|0)(\.[0-9]{1,3})?", fullmatch=True)
TIME_UNITS = (
    "us usec µs μs ms msec s sec second seconds m min minute minutes h hr hour hours d day days w week weeks "
    "M month months y year years"
)
units = st.sampled_from(TIME_UNITS.split())
spans = st.tuples(amounts, st.sampled_from(["", " "]), units).map("".join)
times = st.one_of(st.just("infinity"), amounts, st.lists(spans, min_size=1, max_size=3).map(" ".join))
BOOLEANS = "1 yes y true t on 0 no n false f off"
booleans = st.sampled_from([*BOOLEANS.split(), *BOOLEANS.upper().split(), *BOOLEANS.title().split()])
VALUES = {
    "word": st.nothing(),
    "boolean": booleans,
    "time": times,
    "number": st.integers(0, 2**32 - 1).map(str),
    "signal": st.one_of(
        st.integers(1, 64).map(str),
        st.tuples(st.sampled_from(["", "SIG"]), st.sampled_from(["HUP", "USR1", "RTMIN+30", "RTMAX"])).map(
            "".join
        ),
    ),
}


@given(st.sampled_from(sorted(n for n, kind in SETTINGS["Service"].items() if kind)), st.data())
def test_every_form_of_a_value_passes(name: str, data: st.DataObject) -> None:
    kind = SETTINGS["Service"][name]
    words = st.sampled_from(sorted(WORDS.get(name, [""]))).map(lambda word: word.replace("…", "x"))
    value = data.draw(words if kind == "word" else VALUES[kind])

    assert [f for f in lint(f"{name}={value}") if f.rule == "setting-value"] == []


@given(
    st.sampled_from(sorted(n for n, kind in SETTINGS["Service"].items() if kind)),
    st.text(st.sampled_from("0123456789 .+-smhinfyx\tSIGRTMN:/…é"), max_size=60),
)
def test_any_value_is_read_or_refused_with_a_hint(name: str, value: str) -> None:
    for finding in lint(f"{name}={value}"):
        assert finding.rule in {"setting-value", "kill-mode-none"}
        assert finding.hint
