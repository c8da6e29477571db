import pytest

from coreos_kit.units.lint import Finding, lint_units

MAIN = """\
[Unit]
Wants=web-discovery@%i.service
Before=web-discovery@%i.service
[Service]
ExecStart=/usr/bin/docker run --name web.%i web
[X-Fleet]
Conflicts=web@*.service
"""

SIDEKICK = """\
[Unit]
BindsTo=web@%i.service
After=web@%i.service
[Service]
ExecStart=/bin/sh -c 'while true; do etcdctl set /services/web/${IP} ${IP}:%i --ttl 30; sleep 10; done'
ExecStop=/usr/bin/etcdctl rm /services/web/${IP}
[X-Fleet]
MachineOf=web@%i.service
"""

V3_SIDEKICK = """\
[Unit]
BindsTo=web@%i.service
After=web@%i.service
[Service]
ExecStart=/bin/bash -c '\\
  K=/services/web/${IP}; \\
  while true; do \\
    L=$$(etcdctl lease grant 30 | cut -d" " -f2); etcdctl put --lease="$$L" "$$K" "${IP}:%i"; \\
    sleep 10; \\
  done'
ExecStop=/usr/bin/etcdctl del /services/web/${IP}
[X-Fleet]
MachineOf=web@%i.service
"""


def lint(main: str = MAIN, sidekick: str = SIDEKICK) -> tuple[Finding, ...]:
    return lint_units({"templates/web@.service": main, "templates/web-discovery@.service": sidekick})


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, int]]:
    return [(finding.severity, finding.rule, finding.line) for finding in findings]


def without(text: str, *lines: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(lines))


def test_a_whole_pair_passes_whichever_etcd_it_speaks_to() -> None:
    assert lint() == ()
    assert lint(sidekick=V3_SIDEKICK) == ()


def test_a_pair_of_instances_without_their_templates_passes() -> None:
    assert lint_units({"web@1.service": MAIN, "web-discovery@1.service": SIDEKICK}) == ()


@pytest.mark.parametrize(
    ("line", "severity", "rule", "hint"),
    [
        ("MachineOf", "error", "sidekick-machine-of", "Add MachineOf=web@%i.service to [X-Fleet]."),
        ("BindsTo", "error", "sidekick-binds-to", "Add BindsTo=web@%i.service to [Unit]."),
        ("After", "warning", "sidekick-order", "Add After=web@%i.service to [Unit]."),
        ("ExecStop", "warning", "sidekick-key", "Remove the key in ExecStop=."),
    ],
)
def test_what_a_sidekick_lacks_is_named(line: str, severity: str, rule: str, hint: str) -> None:
    (finding,) = lint(sidekick=without(SIDEKICK, line))

    assert (finding.severity, finding.rule, finding.hint) == (severity, rule, hint)
    assert finding.path == "templates/web-discovery@.service"


def test_a_pair_that_nothing_orders_is_an_error() -> None:
    findings = lint(main=without(MAIN, "Before"), sidekick=without(SIDEKICK, "After"))

    assert told(findings) == [("error", "sidekick-order", 7)]


def test_a_pair_in_the_wrong_order_is_an_error() -> None:
    assert told(lint(sidekick=SIDEKICK.replace("After=", "Before="))) == [("error", "sidekick-order", 8)]


def test_a_main_unit_that_does_not_pull_its_sidekick_in_is_warned_of() -> None:
    (finding,) = lint(main=without(MAIN, "Wants"))

    assert (finding.severity, finding.rule) == ("warning", "main-wants-sidekick")
    assert finding.hint == "Add Wants=web-discovery@%i.service to [Unit]."


def test_a_follower_that_registers_nothing_is_only_warned() -> None:
    follower = "[Service]\nExecStart=/usr/bin/log-shipper %i\n[X-Fleet]\nMachineOf=web@%i.service\n"

    findings = lint_units({"web@.service": MAIN, "web-log@.service": follower})

    assert told(findings) == [("warning", "sidekick-binds-to", 4), ("warning", "sidekick-order", 4)]


def test_removing_another_key_than_was_set_is_an_error() -> None:
    (finding,) = lint(sidekick=SIDEKICK.replace("rm /services/web/${IP}", "rm /services/wbe/${IP}"))

    assert (finding.severity, finding.rule) == ("error", "sidekick-key")
    assert finding.message == "sets /services/web/${IP} but on stop removes /services/wbe/${IP}"


def test_keys_written_over_http_are_known_too() -> None:
    url = "http://127.0.0.1:2379/v2/keys/services"
    sidekick = SIDEKICK.replace(
        "etcdctl set /services/web/${IP} ${IP}:%i --ttl 30",
        f"curl -X PUT {url}/web/${{IP}} -d ttl=30 -d value=x",
    )

    over_http = sidekick.replace("/usr/bin/etcdctl rm /services/web", f"/usr/bin/curl -XDELETE {url}/web")

    assert lint(sidekick=sidekick) == ()
    assert lint(sidekick=over_http) == ()
    assert told(lint(sidekick=over_http.replace("DELETE " + url, "DELETE " + url + "/x"))) == [
        ("error", "sidekick-key", 5)
    ]


def test_what_can_not_be_followed_is_not_accused() -> None:
    trapped = without(SIDEKICK, "ExecStop").replace("while", 'trap "etcdctl rm $K" TERM; while')

    assert lint(sidekick=trapped) == ()


@pytest.mark.parametrize(
    ("renew_s", "expected"),
    [(14, []), (15, [("warning", "sidekick-ttl", 5)]), (30, [("error", "sidekick-ttl", 5)])],
)
def test_a_registration_is_renewed_in_less_than_half_its_ttl(
    renew_s: int, expected: list[tuple[str, str, int]]
) -> None:
    assert told(lint(sidekick=SIDEKICK.replace("sleep 10", f"sleep {renew_s}"))) == expected


def test_a_registration_without_a_ttl_is_warned_of() -> None:
    assert told(lint(sidekick=SIDEKICK.replace(" --ttl 30", ""))) == [("warning", "sidekick-ttl", 5)]


def test_a_key_by_address_needs_instances_that_keep_apart() -> None:
    (finding,) = lint(main=without(MAIN, "Conflicts"))

    assert (finding.severity, finding.rule) == ("error", "sidekick-shared-key")
    assert finding.hint == "Add Conflicts=web@*.service to [X-Fleet], or put %i into the key."


def test_a_key_by_address_and_instance_needs_nothing() -> None:
    sidekick = SIDEKICK.replace("/services/web/${IP}", "/services/web/${IP}:%i")

    assert lint(main=without(MAIN, "Conflicts"), sidekick=sidekick) == ()


def test_a_main_unit_that_conflicts_with_its_own_sidekick_is_an_error() -> None:
    (finding,) = lint(main=MAIN.replace("Conflicts=web@*.service", "Conflicts=web*"))

    assert (finding.severity, finding.rule, finding.line) == ("error", "sidekick-conflict", 7)
    assert finding.message == "Conflicts=web* matches web-discovery@%i.service, which must run beside it"


def test_a_sidekick_that_follows_one_instance_or_the_template_is_an_error() -> None:
    one = SIDEKICK.replace("web@%i.service", "web@1.service")
    template = SIDEKICK.replace("web@%i.service", "web@.service")

    assert ("error", "sidekick-instance", 8) in told(lint(sidekick=one))
    assert ("error", "sidekick-instance", 8) in told(lint(sidekick=template))


def test_a_template_that_never_uses_its_instance_is_warned_of() -> None:
    (finding,) = lint_units({"web@.service": "[Unit]\nDescription=%i\n[Service]\nExecStart=/bin/true\n"})

    assert (finding.severity, finding.rule) == ("warning", "instance-unused")


def test_a_unit_that_follows_itself_is_an_error() -> None:
    (finding,) = lint_units({"a.service": "[Service]\nExecStart=/bin/true\n[X-Fleet]\nMachineOf=a.service\n"})

    assert (finding.severity, finding.rule, finding.line) == ("error", "machine-of", 4)


def test_following_a_unit_that_is_not_there_is_warned_of_among_several_files() -> None:
    follower = "[Service]\nExecStart=/bin/true\n[X-Fleet]\nMachineOf=gone.service\n"

    assert lint_units({"a.service": follower}) == ()
    assert told(lint_units({"a.service": follower, "web@.service": MAIN})) == [("warning", "machine-of", 4)]


SCRIPTED = """\
[Unit]
BindsTo=web@%i.service
After=web@%i.service
[Service]
ExecStart=/bin/bash -c '\\
  key=/services/web/"$$IP"; \\
  ctl() { timeout 3 etcdctl "$$@"; }; \\
  ttl=30; renew=10; \\
  trap "ctl rm $$key" TERM; \\
  while sleep 0.5; do ctl set "$$key" "$$IP:$$1" --ttl "$$ttl"; done' %n %i
ExecStop=/bin/bash -c 'key=/services/web/"$$IP"; etcdctl rm "$$key"' %n %i
[X-Fleet]
MachineOf=web@%i.service
"""


@pytest.mark.parametrize(
    ("old", "new", "severity", "rule"),
    [
        ("renew=10", "renew=20", "warning", "sidekick-ttl"),
        ("-c 'key=/services/web/", "-c 'key=/services/wbe/", "error", "sidekick-key"),
        ("[X-Fleet]\nMachineOf=web@%i.service\n", "", "error", "sidekick-machine-of"),
    ],
)
def test_a_registration_is_recognised_in_a_script_of_functions(
    old: str, new: str, severity: str, rule: str
) -> None:
    assert lint(sidekick=SCRIPTED) == ()
    assert [(f.severity, f.rule) for f in lint(sidekick=SCRIPTED.replace(old, new))] == [(severity, rule)]


def test_a_scripts_key_by_address_is_one_a_machine_and_one_with_the_instance_is_not() -> None:
    apart = without(MAIN, "Conflicts")

    assert [f.rule for f in lint(main=apart, sidekick=SCRIPTED)] == ["sidekick-shared-key"]
    assert lint(main=apart, sidekick=SCRIPTED.replace('"$$IP";', '"$$IP-$$1";')) == ()
