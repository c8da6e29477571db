import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.errors import InvalidUnit
from coreos_kit.model.plan import UnitKind
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, EtcdApi, EtcdSettings, Project
from coreos_kit.model.services import Bind, Health, HealthKind, KeyForm, Registration, Requirements
from coreos_kit.testing.exec_line import exec_argv
from coreos_kit.units import sidekick
from coreos_kit.units.lint import Severity, lint_units
from coreos_kit.units.render import desired_units, render_files
from coreos_kit.units.templating import Templates
from coreos_kit.units.unit_file import UnitFile

REPOSITORY = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}
LABELS = ("--label", "coreos-kit.project=web", "--label", "coreos-kit.unit=N")
HOST = {"COREOS_PRIVATE_IPV4": "10.0.0.1", "COREOS_PUBLIC_IPV4": "198.51.100.1"}

SECURE = EtcdSettings(
    endpoints=("https://etcd1.example:2379", "https://etcd2.example:2379"),
    ca="/w/ca.pem", cert="/w/cert.pem", key="/w/key.pem", username="kit", password_file="/w/password",
)  # fmt: skip


@pytest.fixture
def project() -> Project:
    return load_project(REPOSITORY)


@pytest.fixture
def cluster(project: Project) -> Cluster:
    return project.clusters["lab"]


def texts(project: Project, cluster: Cluster, sources: Mapping[str, str] = SOURCES) -> dict[str, str]:
    return {str(file.name): file.text for file in render_files(project, cluster, sources)}


def with_service(cluster: Cluster, **changes: object) -> Cluster:
    return replace(cluster, services=(replace(cluster.services[0], **changes),))  # type: ignore[arg-type]


def with_balancer(cluster: Cluster, **changes: object) -> Cluster:
    return replace(cluster, load_balancers=(replace(cluster.load_balancers[0], **changes),))  # type: ignore[arg-type]


def argv(text: str, directive: str = "ExecStart") -> list[str]:
    return exec_argv(UnitFile.parse(text).values("Service", directive)[-1], {"i": "7777", "n": "N"}, HOST)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_renders_what_its_golden_files_hold(
    profile: str, project: Project, cluster: Cluster
) -> None:
    rendered = texts(project, replace(cluster, profile=PROFILES[profile]))

    for name, text in rendered.items():
        golden = GOLDEN / profile / name
        if os.environ.get("COREOS_KIT_GOLDEN") == "write":
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text)
        assert text == golden.read_text(), f"{golden} is behind; COREOS_KIT_GOLDEN=write makes it anew"
    assert sorted(path.name for path in (GOLDEN / profile).iterdir()) == sorted(rendered)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("api", ["v2", "v3"])
def test_no_profile_renders_what_lint_refuses(
    profile: str, api: str, project: Project, cluster: Cluster
) -> None:
    etcd = EtcdSettings(api=api)  # type: ignore[arg-type]

    findings = lint_units(texts(project, replace(cluster, profile=PROFILES[profile], etcd=etcd)))

    assert [str(finding) for finding in findings if finding.severity is Severity.ERROR] == []
    if profile != "coreos":
        assert list(findings) == []


def test_units_come_in_the_configured_order_each_main_before_its_sidekick_and_balancers_last(
    project: Project, cluster: Cluster
) -> None:
    cluster = with_service(cluster, instances=("8888", "7777"))

    units = desired_units(project, cluster, SOURCES)

    assert [(str(unit.name), unit.kind) for unit in units] == [
        ("apache@8888.service", UnitKind.MAIN),
        ("apache-discovery@8888.service", UnitKind.SIDEKICK),
        ("apache@7777.service", UnitKind.MAIN),
        ("apache-discovery@7777.service", UnitKind.SIDEKICK),
        ("nginx_lb.service", UnitKind.LOAD_BALANCER),
    ]
    assert [unit.images for unit in units] == [
        ("user_name/apache",), (), ("user_name/apache",), (), ("user_name/nginx_lb",),
    ]  # fmt: skip
    assert units[0].text is units[2].text


def test_a_balancer_with_instances_is_a_template_whose_units_come_last_in_the_configured_order(
    project: Project, cluster: Cluster
) -> None:
    cluster = with_balancer(cluster, instances=("west", "east"))

    units = desired_units(project, cluster, SOURCES)
    rendered = {str(file.name): file for file in render_files(project, cluster, SOURCES)}

    assert [str(unit.name) for unit in units[-2:]] == ["nginx_lb@west.service", "nginx_lb@east.service"]
    assert {(unit.kind, unit.service) for unit in units[-2:]} == {(UnitKind.LOAD_BALANCER, "nginx_lb")}
    assert units[-1].text is units[-2].text
    assert rendered["nginx_lb@.service"].folder == "templates"
    assert "nginx_lb.service" not in rendered


def test_each_instance_of_a_balancer_has_a_container_of_its_own_and_the_one_port(
    project: Project, cluster: Cluster
) -> None:
    plain = texts(project, cluster)["nginx_lb.service"]

    several = texts(project, with_balancer(cluster, instances=("west", "east")))["nginx_lb@.service"]

    assert argv(several) == ["nginx_lb.7777" if word == "nginx_lb" else word for word in argv(plain)]
    changed = dict(zip(plain.splitlines(), several.splitlines(), strict=True))
    assert {line for line, now in changed.items() if line != now} == {
        "Description=Nginx load balancer for web server backends",
        "ExecStartPre=-/usr/bin/docker kill nginx_lb",
        "ExecStartPre=-/usr/bin/docker rm nginx_lb",
        "ExecStart=/usr/bin/docker run --name nginx_lb -p ${COREOS_PUBLIC_IPV4}:80:80 \\",
        "ExecStop=-/usr/bin/docker stop nginx_lb",
        "ExecStopPost=-/usr/bin/docker rm -f nginx_lb",
    }


def test_a_balancer_on_every_machine_stays_a_plain_unit(project: Project, cluster: Cluster) -> None:
    wanted = Requirements(machine_metadata=("role=edge",), is_global=True)

    text = texts(project, with_balancer(cluster, requirements=wanted))["nginx_lb.service"]

    assert UnitFile.parse(text).values("X-Fleet", "Global") == ("true",)
    assert UnitFile.parse(text).values("X-Fleet", "MachineMetadata") == ("role=edge",)


def test_every_unit_carries_the_mark_of_project_and_service(project: Project, cluster: Cluster) -> None:
    marks = {
        name: UnitFile.parse(text).options("X-CoreosKit") for name, text in texts(project, cluster).items()
    }

    assert {name: [(option.name, option.value) for option in options] for name, options in marks.items()} == {
        "apache@.service": [("Project", "web"), ("Service", "apache")],
        "apache-discovery@.service": [("Project", "web"), ("Service", "apache")],
        "nginx_lb.service": [("Project", "web"), ("Service", "nginx_lb")],
    }


def test_what_the_configuration_says_of_the_container_reaches_docker_run_as_it_stands(
    project: Project, cluster: Cluster
) -> None:
    cluster = with_service(
        cluster,
        env={"MOTTO": 'it\'s 100% "$fun"', "LINES": "a\nb", "SELF": "%i"},
        volumes=("/srv/my www:/var/www:ro",),
        run_args=("--label=a b", "--memory=1g"),
        stop_signal="SIGWINCH",
        stop_timeout_s=25,
    )

    text = texts(project, cluster)["apache@.service"]

    assert argv(text) == [
        "/usr/bin/docker", "run", "--name", "apache.7777", "-p", "10.0.0.1:7777:80", *LABELS, "--init",
        "--stop-signal=SIGWINCH", "-e", 'MOTTO=it\'s 100% "$fun"', "-e", "LINES=a\nb", "-e", "SELF=%i",
        "-v", "/srv/my www:/var/www:ro", "--label=a b", "--memory=1g",
        "user_name/apache", "/usr/sbin/apache2ctl", "-D", "FOREGROUND",
    ]  # fmt: skip
    assert argv(text, "ExecStop") == ["/usr/bin/docker", "stop", "-t", "25", "apache.7777"]
    assert UnitFile.parse(text).value("Service", "TimeoutStopSec") == "35"
    assert UnitFile.parse(text).value("Service", "SuccessExitStatus") == f"{128 + 28} 137"


def test_podman_is_given_whole_names_since_a_unit_can_not_be_asked_which_registry(
    project: Project, cluster: Cluster
) -> None:
    units = desired_units(project, replace(cluster, profile=PROFILES["fedora-coreos"]), SOURCES)

    assert units[0].images == ("docker.io/user_name/apache",)
    assert "ExecStartPre=-/usr/bin/podman pull docker.io/user_name/apache\n" in units[0].text


def test_instances_with_a_word_for_a_name_publish_nothing(project: Project, cluster: Cluster) -> None:
    cluster = with_service(cluster, instances=("blue", "green"), registration=None, container_port=None)

    text = texts(project, replace(cluster, load_balancers=()))["apache@.service"]

    assert argv(text) == [
        "/usr/bin/docker", "run", "--name", "apache.7777", *LABELS, "--init",
        "user_name/apache", "/usr/sbin/apache2ctl", "-D", "FOREGROUND",
    ]  # fmt: skip
    assert UnitFile.parse(text).value("Unit", "Description") == "Apache web server service %i"


def test_ports_and_words_can_not_be_instances_of_one_service(project: Project, cluster: Cluster) -> None:
    with pytest.raises(InvalidUnit) as refused:
        texts(project, with_service(cluster, instances=("7777", "blue")))

    assert refused.value.details == ("not a port: blue",)
    assert refused.value.hint == "Make two services of them."


@pytest.mark.parametrize(
    ("bind", "published", "guards"),
    [
        (Bind.PUBLIC, "198.51.100.1:8080:8080", ["${COREOS_PUBLIC_IPV4}", "${COREOS_PRIVATE_IPV4}"]),
        (Bind.PRIVATE, "10.0.0.1:8080:8080", ["${COREOS_PRIVATE_IPV4}"]),
        (Bind.ANY, "8080:8080", ["${COREOS_PRIVATE_IPV4}"]),
    ],
)
def test_a_balancer_is_published_where_bind_says_and_never_elsewhere(
    bind: Bind, published: str, guards: list[str], project: Project, cluster: Cluster
) -> None:
    text = texts(project, with_balancer(cluster, bind=bind, port=8080))["nginx_lb.service"]

    words = argv(text)
    assert words[words.index("-p") + 1] == published
    assert "LISTEN_PORT=8080" in words
    pre = UnitFile.parse(text).values("Service", "ExecStartPre")
    assert [line.split()[-1] for line in pre if "/usr/bin/test" in line] == guards


def test_a_balancer_is_told_its_pool_in_the_units_environment(project: Project) -> None:
    production = project.clusters["production"]

    words = argv(texts(project, production)["nginx_lb.service"])

    assert [words[i + 1] for i, word in enumerate(words) if word == "-e"] == [
        "HOST_IP=10.0.0.1", "ETCD_PORT=2379", "ETCD_API=v3", "ETCD_PREFIX=/services/apache",
        f"POOL_NETWORK={production.private_network}", "UPSTREAM_NAME=apache", "LISTEN_PORT=80", "RENEW_S=10",
    ]  # fmt: skip


def test_with_etcd_elsewhere_no_unit_waits_for_a_local_one(project: Project, cluster: Cluster) -> None:
    etcd = EtcdSettings(endpoints=("http://192.0.2.1:2379", "http://192.0.2.2:2379"))

    units = texts(project, replace(cluster, etcd=etcd))

    assert not any("etcd.service" in text for text in units.values())
    words = argv(units["nginx_lb.service"])
    assert "HOST_IP=192.0.2.1" in words
    assert (
        "--endpoints=http://192.0.2.1:2379,http://192.0.2.2:2379"
        in argv(units["apache-discovery@.service"])[2]
    )


def test_a_key_can_hold_address_and_port(project: Project, cluster: Cluster) -> None:
    registration = Registration("/services/apache", key=KeyForm.IP_PORT)

    script = argv(
        texts(project, with_service(cluster, registration=registration))["apache-discovery@.service"]
    )[2]

    assert 'key=/services/apache/"$COREOS_PRIVATE_IPV4-$1";' in script


def test_a_global_services_sidekick_is_global_since_fleet_refuses_machineof_there(
    project: Project, cluster: Cluster
) -> None:
    requirements = Requirements(machine_metadata=("role=web",), is_global=True)

    units = texts(project, with_service(cluster, requirements=requirements))

    for name in ("apache@.service", "apache-discovery@.service"):
        options = UnitFile.parse(units[name]).options("X-Fleet")
        assert [(option.name, option.value) for option in options] == [
            ("MachineMetadata", "role=web"),
            ("Global", "true"),
        ]


@pytest.mark.parametrize("kind", HealthKind)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("api", ["v2", "v3"])
def test_bash_can_parse_every_sidekick(
    kind: HealthKind, profile: str, api: str, project: Project, cluster: Cluster
) -> None:
    cluster = replace(
        with_service(cluster, health=Health(kind, path="/a b'c?d=%20&$x")),
        profile=PROFILES[profile],
        etcd=EtcdSettings(api=api),  # type: ignore[arg-type]
    )

    text = texts(project, cluster)["apache-discovery@.service"]

    for directive in ("ExecStart", "ExecStop"):
        _, _, script, *arguments = argv(text, directive)
        checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr, arguments) == (0, "", ["N", "7777"])


@pytest.mark.parametrize("kind", HealthKind)
@pytest.mark.parametrize("api", EtcdApi)
@pytest.mark.parametrize("settings", [EtcdSettings(), SECURE], ids=["open", "secure"])
def test_shellcheck_finds_nothing_in_the_sidekicks_scripts(
    kind: HealthKind, api: EtcdApi, settings: EtcdSettings, cluster: Cluster
) -> None:
    etcd = sidekick.Etcd(api, settings, "/etc/coreos-kit/web")
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    registration = cluster.services[0].registration
    assert registration
    scripts = [
        sidekick.loop_script(cluster.profile, etcd, registration, Health(kind)),
        sidekick.leave_script(cluster.profile, etcd, registration),
    ]

    for script in scripts:
        checked = subprocess.run(
            [shellcheck, "--shell=bash", "-"], input=script, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout) == (0, "")


def test_a_file_named_after_a_unit_takes_the_place_of_the_general_one(
    project: Project, cluster: Cluster
) -> None:
    sources = {**SOURCES, "nginx_lb.service.j2": "[Service]\nExecStart={{ engine }} run {{ image }}\n"}

    rendered = {str(file.name): file for file in render_files(project, cluster, sources)}

    assert rendered["nginx_lb.service"].source == "unit_templates/nginx_lb.service.j2"
    assert rendered["nginx_lb.service"].text == (
        "[Service]\nExecStart=/usr/bin/docker run user_name/nginx_lb\n\n"
        "[X-CoreosKit]\nProject=web\nService=nginx_lb\n"
    )
    assert rendered["apache@.service"].source == "unit_templates/service@.service.j2"


def test_a_file_named_after_no_unit_is_a_unit_of_the_workspaces_own(
    project: Project, cluster: Cluster
) -> None:
    own = "[Service]\nExecStart={{ engine }} run --rm {{ image('cron') }}\n"

    units = desired_units(project, cluster, {**SOURCES, "cron.service.j2": own})

    cron = next(unit for unit in units if unit.kind is UnitKind.EXTRA)
    assert (str(cron.name), cron.service, cron.images) == ("cron.service", "cron", ("user_name/cron",))
    assert cron.text.endswith("\n[X-CoreosKit]\nProject=web\nService=cron\n")
    assert [str(unit.name) for unit in units][-2:] == ["cron.service", "nginx_lb.service"]


def test_a_mark_in_a_template_is_the_kits_to_write(project: Project, cluster: Cluster) -> None:
    own = "[X-CoreosKit]\nProject=other\n\n[Service]\nExecStart=/bin/true\n"

    text = texts(project, cluster, {**SOURCES, "cron.service.j2": own})["cron.service"]

    assert "Project=other" not in text
    assert "[X-CoreosKit]\nProject=web\nService=cron\n" in text


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        (
            "nginx_lb.service.j2",
            "[Unit]\nDescription={{ descripton }}\n",
            "unit_templates/nginx_lb.service.j2:2: 'descripton' is undefined",
            "It can place after, arguments, command,",
        ),
        (
            "nginx_lb.service.j2",
            "[Unit]\n{% if x %}\n",
            "unit_templates/nginx_lb.service.j2:2: unexpected end of template",
            "Mend the template at that line; its language is Jinja2.",
        ),
        (
            "nginx_lb.service.j2",
            "[Unit]\n{% include '_base.j2' %}\n",
            "unit_templates/_base.j2 is missing",
            "Take it from a new workspace: coreos-kit init DIR",
        ),
        (
            "nginx_lb.service.j2",
            "\n\n{{ 1 / 0 }}\n",
            "unit_templates/nginx_lb.service.j2:3: division by zero",
            "",
        ),
        (
            "cron@.service.j2",
            "",
            "unit_templates/cron@.service.j2 is the template of no service",
            (
                "Name it after a service, or after a plain unit: cron.service.j2;"
                " or list its instances in [units]."
            ),
        ),
        (
            "README.j2",
            "",
            "unit_templates/README.j2 names no unit: 'README' is not a unit name",
            "Name it after the unit it makes: cron.service.j2; a file only to include, _README.j2.",
        ),
        (
            "cron.service.j2",
            "[Service]\nExecStart=/bin/echo " + "x" * 2048 + "\n",
            "cron.service: line 2 has 2068 bytes, and fleet takes fewer than 2048",
            "Move a long value into a file, and mount it as a volume.",
        ),
    ],
)
def test_a_template_that_can_not_be_rendered_is_refused_with_file_and_line(
    name: str, text: str, message: str, hint: str, project: Project, cluster: Cluster
) -> None:
    with pytest.raises(InvalidUnit) as refused:
        render_files(project, cluster, {**SOURCES, name: text})

    assert str(refused.value).startswith(message)
    assert refused.value.hint.startswith(hint)


def test_a_missing_general_template_is_named(project: Project, cluster: Cluster) -> None:
    sources = {name: text for name, text in SOURCES.items() if name != "sidekick@.service.j2"}

    with pytest.raises(InvalidUnit, match=r"unit_templates/sidekick@\.service\.j2 is missing"):
        render_files(project, cluster, sources)


def test_templates_can_include_files_that_are_no_units(project: Project, cluster: Cluster) -> None:
    sources = {
        **SOURCES,
        "_limits.j2": "LimitNOFILE=4096\n",
        "cron.service.j2": "[Service]\nExecStart=/bin/true\n{% include '_limits.j2' %}",
    }

    assert "LimitNOFILE=4096\n" in texts(project, cluster, sources)["cron.service"]


def test_ten_thousand_instances_share_their_texts(project: Project, cluster: Cluster) -> None:
    cluster = with_service(cluster, instances=tuple(str(port) for port in range(20000, 30000)))

    units = desired_units(project, cluster, SOURCES)

    assert len(units) == 20001
    assert len({id(unit.text) for unit in units}) == 3


def test_the_same_sources_are_compiled_once_for_all_who_render_them() -> None:
    sources = {"x.service.j2": "{{ value }}"}

    first, second = Templates(sources), Templates(dict(sources))

    assert first._environment is second._environment
    assert second.render("x.service.j2", {"value": 2}) == "2"
