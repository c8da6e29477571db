"""Units that need secrets name files of root's, and hold nothing that a reader of them could use."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, EtcdApi, EtcdSettings, Project
from coreos_kit.model.secret import RegistryLogin
from coreos_kit.testing.exec_line import exec_argv
from coreos_kit.units.lint import Severity, lint_units
from coreos_kit.units.render import render_files
from coreos_kit.units.secret_files import pin_env_files
from coreos_kit.units.unit_file import UnitFile

REPOSITORY = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}
HOST = {"COREOS_PRIVATE_IPV4": "10.0.0.1", "COREOS_PUBLIC_IPV4": "198.51.100.1"}
SECURE = EtcdSettings(
    endpoints=("https://etcd1.example:2379",),
    ca="/w/ca.pem", cert="/w/cert.pem", key="/w/key.pem", username="kit", password_file="/w/password",
)  # fmt: skip


@pytest.fixture
def project() -> Project:
    return load_project(REPOSITORY)


@pytest.fixture
def cluster(project: Project) -> Cluster:
    lab = project.clusters["lab"]
    service = replace(lab.services[0], secrets={"DB_PASSWORD": "db"})
    return replace(lab, services=(service,), etcd=SECURE, registry=RegistryLogin("ci", "hub"))


def texts(project: Project, cluster: Cluster) -> Mapping[str, str]:
    return {str(file.name): file.text for file in render_files(project, cluster, SOURCES)}


def argv(text: str, directive: str = "ExecStart") -> list[str]:
    return exec_argv(UnitFile.parse(text).values("Service", directive)[-1], {"i": "7777", "n": "N"}, HOST)


def after(words: list[str], option: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == option]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("api", EtcdApi)
def test_no_profile_renders_what_lint_refuses(
    profile: str, api: EtcdApi, project: Project, cluster: Cluster
) -> None:
    etcd = replace(SECURE, api=api)

    findings = lint_units(texts(project, replace(cluster, profile=PROFILES[profile], etcd=etcd)))

    assert [str(finding) for finding in findings if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_a_service_with_secrets_reads_them_from_a_file(
    profile: str, project: Project, cluster: Cluster
) -> None:
    text = texts(project, replace(cluster, profile=PROFILES[profile]))["apache@.service"]

    assert after(argv(text), "--env-file") == ["/etc/coreos-kit/web/apache.env"]


def test_deploy_puts_the_digest_into_the_files_name_and_nowhere_else(
    project: Project, cluster: Cluster
) -> None:
    text = texts(project, cluster)["apache@.service"]

    pinned = pin_env_files(text, "web", {"apache": "apache.0123456789abcdef.env"})

    assert after(argv(pinned), "--env-file") == ["/etc/coreos-kit/web/apache.0123456789abcdef.env"]
    assert pinned.replace(".0123456789abcdef", "") == text


def test_the_sidekick_shows_its_certificate_and_keeps_its_login_out_of_the_arguments(
    project: Project, cluster: Cluster
) -> None:
    for api, flags, variable in (
        (EtcdApi.V3, ("--cacert", "--cert", "--key"), "ETCDCTL_USER"),
        (EtcdApi.V2, ("--ca-file", "--cert-file", "--key-file"), "ETCDCTL_USERNAME"),
    ):
        text = texts(project, replace(cluster, etcd=replace(SECURE, api=api)))["apache-discovery@.service"]

        for directive in ("ExecStart", "ExecStop"):
            script = argv(text, directive)[2]
            for flag, name in zip(flags, ("ca.pem", "cert.pem", "key.pem"), strict=True):
                assert f" {flag}=/etc/coreos-kit/web/etcd/{name} " in script
            assert f"read -r {variable} 2>/dev/null </etc/coreos-kit/web/etcd/login" in script
            assert "kit" not in script.replace("coreos-kit", "")


def test_an_etcdctl_in_a_container_is_handed_the_login_by_name(project: Project, cluster: Cluster) -> None:
    coreos = replace(cluster, profile=PROFILES["fedora-coreos"])

    script = argv(texts(project, coreos)["apache-discovery@.service"])[2]

    assert "exec -i -e ETCDCTL_API -e ETCDCTL_USER etcd-member etcdctl " in script


def test_only_what_is_configured_is_shown_to_etcd(project: Project, cluster: Cluster) -> None:
    public = EtcdSettings(endpoints=("https://etcd1.example:2379",))

    units = texts(project, replace(cluster, etcd=public))

    assert "ca.pem" not in str(units)
    assert "login()" not in str(units)
    assert "ETCD_SCHEME=https" in argv(units["nginx_lb.service"])
    assert "ETCD_FILES" not in units["nginx_lb.service"]


@pytest.mark.parametrize(
    ("profile", "options"), [("debian", "ro"), ("coreos", "ro"), ("fedora-coreos", "ro,z")]
)
def test_the_balancer_gets_the_folder_and_not_the_files_so_that_a_renewed_one_is_seen(
    profile: str, options: str, project: Project, cluster: Cluster
) -> None:
    words = argv(texts(project, replace(cluster, profile=PROFILES[profile]))["nginx_lb.service"])

    assert after(words, "-v") == [f"/etc/coreos-kit/web/etcd:/etc/coreos-kit/etcd:{options}"]
    assert {"ETCD_SCHEME=https", "ETCD_FILES=/etc/coreos-kit/etcd"} <= {*after(words, "-e")}


@pytest.mark.parametrize(
    ("profile", "variable"),
    [
        ("debian", "DOCKER_CONFIG=/etc/coreos-kit/web/registry"),
        ("fedora-coreos", "REGISTRY_AUTH_FILE=/etc/coreos-kit/web/registry/config.json"),
    ],
)
def test_pulling_units_know_where_the_registrys_login_lies(
    profile: str, variable: str, project: Project, cluster: Cluster
) -> None:
    units = texts(project, replace(cluster, profile=PROFILES[profile]))

    for name in ("apache@.service", "nginx_lb.service"):
        assert UnitFile.parse(units[name]).values("Service", "Environment") == (variable,)
    assert variable not in units["apache-discovery@.service"]
