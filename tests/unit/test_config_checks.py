"""What is refused though each value is fine: values that don't go together."""
# ruff: noqa: E501, ISC004 - a message is one string, however long

from pathlib import Path

import pytest

from coreos_kit.config import parse_project
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.project import Project
from coreos_kit.model.services import HealthKind

WEB = """
[project]
name = "web"
default_cluster = "lab"

[services.web]
image = "web"
container_port = 80
instances = [7001, 7002]
conflicts = ["web@*.service"]
[services.web.registration]

[load_balancers.lb]
image = "lb"
upstream = "web"

[clusters.lab]
lab = "default"
"""
OWN = """
[clusters.own]
profile = "debian"
machines = ["core@198.51.100.11", "core@198.51.100.12"]
network = { private = "192.0.2.0/24" }
"""
JOB = """
[services.job]
image = "job"
container_port = 80
instances = [8001]
"""
SECOND = """
[load_balancers.second]
image = "lb"
upstream = "web"
"""
MACHINES = OWN.replace('machines = ["core@198.51.100.11", "core@198.51.100.12"]\n', "")


def load(text: str) -> Project:
    return parse_project(text, Path("/"))


def refusals(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load(text)
    return [detail.split(": ", 1)[1] for detail in caught.value.details]


def test_the_two_that_the_cases_start_from_are_fine() -> None:
    project = load(WEB + OWN + JOB + SECOND.replace('"web"', '"web"\nport = 81'))

    assert sorted(project.clusters) == ["lab", "own"]


# Registrations


def test_a_registration_needs_a_container_port() -> None:
    assert refusals(WEB.replace("container_port = 80\n", "")) == [
        "services.web.container_port: missing; allowed: an integer from 1 to 65535, since it has a registration"
    ]


def test_a_registration_needs_ports_for_instances() -> None:
    assert refusals(WEB.replace("7002]", '"blue"]')) == [
        'services.web.instances[1]: found "blue"; allowed: ports only: a registration\'s value is <private ip>:<port>'
    ]


@pytest.mark.parametrize(("ttl_s", "renew_s"), [(30, 15), (30, 16), (3, 2), (20, None)])
def test_a_renewal_has_to_fit_twice_into_the_ttl(ttl_s: int, renew_s: int | None) -> None:
    keys = f"ttl_s = {ttl_s}" + (f"\nrenew_s = {renew_s}" if renew_s else "")
    found = str(renew_s) if renew_s else "10, the default"

    assert refusals(WEB.replace("registration]", f"registration]\n{keys}")) == [
        f"services.web.registration.renew_s: found {found}; allowed: less than half of ttl_s, which is {ttl_s}"
    ]


def test_a_slow_health_check_must_not_outlast_the_ttl() -> None:
    text = WEB.replace("instances", "health = { timeout_s = 20 }\ninstances")

    assert refusals(text) == [
        "services.web.health.timeout_s: found 20; allowed: less than 20: with renew_s (10) it must be less than ttl_s (30)"
    ]


def test_keys_by_address_need_instances_that_keep_apart() -> None:
    assert refusals(WEB.replace('conflicts = ["web@*.service"]', "")) == [
        'services.web.registration.key: found "ip", the default, with instances that may share a machine and so the key;'
        ' allowed: ip with conflicts = ["web@*.service"], or ip-port'
    ]


@pytest.mark.parametrize(
    ("conflicts", "instances", "fine"),
    [
        ('["web@700[12].service"]', "[7001, 7002]", True),
        ('["web@7001.service"]', "[7001, 7002]", True),  # conflicts bind both sides
        ('["web@7001.service"]', "[7001, 7002, 7003]", False),
        ('["web@[^x]*.service"]', "[7001, 7002]", True),
        ('["web@*"]', "[7001, 7002]", True),
        ('["web"]', "[7001, 7002]", False),
        ("[]", "[7001]", True),
        ("[]", "[]", True),
    ],
)
def test_conflicts_are_matched_as_fleet_does(conflicts: str, instances: str, *, fine: bool) -> None:
    text = WEB.replace('["web@*.service"]', conflicts).replace("[7001, 7002]", instances)

    if fine:
        load(text)
    else:
        assert refusals(text)[0].startswith("services.web.registration.key: ")


def test_keys_by_address_and_port_need_no_conflicts() -> None:
    load(
        WEB.replace('conflicts = ["web@*.service"]', "").replace(
            "registration]", 'registration]\nkey = "ip-port"'
        )
    )


def test_conflicts_must_leave_a_sidekick_beside_its_unit() -> None:
    assert refusals(WEB.replace('"web@*.service"', '"web@*.service", "web*"')) == [
        'services.web.conflicts[1]: found "web*", which matches web-discovery@.service too;'
        " allowed: patterns that leave its own sidekick beside it"
    ]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("/services/web", '"/services/web", which services.web has too'),
        ("/services/web/a", '"/services/web/a", which is below /services/web of services.web'),
    ],
)
def test_no_services_keys_lie_among_anothers(prefix: str, found: str) -> None:
    text = WEB + JOB + f'[services.job.registration]\nprefix = "{prefix}"'

    assert refusals(text) == [
        f"services.job.registration.prefix: found {found}; allowed: a prefix of its own"
    ]


def test_a_prefix_that_only_begins_like_another_is_fine() -> None:
    load(WEB + JOB + '[services.job.registration]\nprefix = "/services/web2"')


# Health


def test_a_health_check_needs_a_port_to_ask() -> None:
    text = WEB + JOB.replace("container_port = 80", 'health = { kind = "tcp" }')

    assert refusals(text) == [
        "services.job.container_port: missing; allowed: an integer from 1 to 65535, since health.kind is tcp"
    ]


def test_without_a_container_port_there_is_nothing_to_check() -> None:
    job = load(WEB + JOB.replace("container_port = 80", "")).clusters["lab"].service("job")

    assert job is not None
    assert job.health.kind is HealthKind.NONE


# Requirements


@pytest.mark.parametrize("also", ['conflicts = ["a"]', "global = true"])
def test_a_machine_id_excludes_what_fleet_excludes(also: str) -> None:
    key = also.split()[0]

    assert refusals(WEB + JOB + f'machine_id = "0123abcd"\n{also}') == [
        f"services.job.machine_id: found machine_id beside {key}; allowed: one of the two, as for fleet"
    ]


def test_a_balancers_machine_id_excludes_conflicts_too() -> None:
    assert refusals(
        WEB.replace('upstream = "web"', 'upstream = "web"\nmachine_id = "0123abcd"\nconflicts = ["a"]')
    ) == [
        "load_balancers.lb.machine_id: found machine_id beside conflicts; allowed: one of the two, as for fleet"
    ]


# Names


def test_a_service_must_not_be_called_like_anothers_sidekick() -> None:
    assert refusals(WEB + JOB.replace("services.job", "services.web-discovery")) == [
        "services.web-discovery: found the name web-discovery, which is that of web's sidekick;"
        " allowed: a name that doesn't end in -discovery"
    ]


def test_the_suffix_is_free_where_there_is_no_sidekick() -> None:
    load(WEB + JOB.replace("services.job", "services.mail-discovery"))


def test_a_balancer_must_not_be_called_like_a_service() -> None:
    assert refusals(WEB + SECOND.replace("second", "web").replace('"web"', '"web"\nport = 81')) == [
        "load_balancers.web: found the name web, which a service has too; allowed: a name of its own"
    ]


# Ports


def test_two_services_must_not_publish_one_port() -> None:
    assert refusals(WEB + JOB.replace("8001", "8001, 7002")) == [
        "services.job.instances[1]: found 7002, a port that services.web has too; allowed: a port that no other service has"
    ]


def test_words_and_numbers_without_a_container_port_publish_nothing() -> None:
    load(WEB + JOB.replace("8001", '"a"') + JOB.replace("job", "cron").replace("8001", '"a"'))
    load(WEB + JOB.replace("8001", "7001").replace("container_port = 80", ""))


def test_a_port_that_an_override_takes_twice_is_refused_there() -> None:
    text = WEB + JOB + OWN + "[clusters.own.services.job]\ninstances = [7001]"

    assert refusals(text) == [
        "clusters.own.services.job.instances[0]: found 7001, a port that services.web has too;"
        " allowed: a port that no other service has"
    ]


@pytest.mark.parametrize("bind", ["private", "any"])
def test_a_balancer_must_not_take_the_private_port_of_an_instance(bind: str) -> None:
    text = WEB.replace('upstream = "web"', f'upstream = "web"\nport = 7001\nbind = "{bind}"')

    assert refusals(text) == [
        "load_balancers.lb.port: found 7001, which web@7001.service publishes as well;"
        " allowed: a port of its own, another bind, or conflicts that keep the two apart"
    ]


def test_a_port_may_be_taken_twice_on_two_addresses_or_on_machines_kept_apart() -> None:
    balancer = 'upstream = "web"\nport = 7001'

    load(WEB.replace('upstream = "web"', balancer))
    load(WEB.replace('upstream = "web"', f'{balancer}\nbind = "any"\nconflicts = ["web@*.service"]'))


def test_two_balancers_on_one_machine_must_not_take_one_port() -> None:
    assert refusals(WEB + SECOND + 'bind = "any"') == [
        "load_balancers.second.port: found 80, which load_balancers.lb publishes as well;"
        " allowed: a port of its own, another bind, or conflicts that keep the two apart"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", 'bind = "private"'),
        ("", 'conflicts = ["lb.service"]'),
        ('conflicts = ["second.service"]', ""),
        ('machine_metadata = ["zone=a"]', 'machine_metadata = ["zone=b"]'),
        ('machine_id = "0123abcd"', 'machine_id = "01234567"'),
    ],
)
def test_two_balancers_that_never_meet_may_have_one_port(first: str, second: str) -> None:
    load(WEB.replace('upstream = "web"', f'upstream = "web"\n{first}') + SECOND + second)


# Balancers


def several(keys: str, text: str = WEB) -> str:
    return text.replace('upstream = "web"', f'upstream = "web"\n{keys}')


@pytest.mark.parametrize("glob", ["lb@*.service", "lb@?ast.service", "*"])
def test_balancers_may_be_several_where_conflicts_keep_them_apart(glob: str) -> None:
    project = load(several(f'instances = ["east", "west"]\nconflicts = ["{glob}"]'))

    (balancer,) = project.clusters["lab"].load_balancers
    assert [str(unit) for unit in balancer.units()] == ["lb@east.service", "lb@west.service"]
    assert balancer.may_be_several


def test_a_balancer_may_be_on_every_machine() -> None:
    (balancer,) = load(several("global = true")).clusters["lab"].load_balancers

    assert [str(unit) for unit in balancer.units()] == ["lb.service"]
    assert balancer.may_be_several


def test_one_instance_of_a_balancer_needs_no_conflict_with_itself() -> None:
    load(several('instances = ["east"]'))


def test_balancers_that_may_share_a_machine_and_so_the_port_are_refused() -> None:
    assert refusals(several('instances = ["east", "west"]\nport = 81\nconflicts = ["lb.service"]')) == [
        "load_balancers.lb.instances: found instances that may share a machine, and so port 81;"
        ' allowed: instances with "lb@*.service" among conflicts'
    ]


def test_a_balancer_is_several_in_one_way() -> None:
    text = several('instances = ["east", "west"]\nglobal = true\nconflicts = ["lb@*.service"]')

    assert refusals(text) == [
        "load_balancers.lb.instances: found instances beside global; allowed: one of the two"
    ]


def test_a_global_balancer_with_a_machine_id_is_refused() -> None:
    assert refusals(several('global = true\nmachine_id = "0123abcd"')) == [
        "load_balancers.lb.machine_id: found machine_id beside global; allowed: one of the two, as for fleet"
    ]


def test_a_cluster_may_have_more_balancers_than_the_others() -> None:
    more = '[clusters.own.load_balancers.lb]\ninstances = ["east", "west"]'
    project = load(several('conflicts = ["lb@*.service"]') + OWN + more)

    assert [len(project.clusters[name].load_balancers[0].units()) for name in ("lab", "own")] == [1, 2]


def test_a_balancer_with_instances_must_not_be_called_like_a_sidekick() -> None:
    text = WEB + SECOND.replace("second", "web-discovery").replace('"web"', '"web"\nport = 81')

    load(text)
    assert refusals(text + 'instances = ["east"]') == [
        "load_balancers.web-discovery: found the name web-discovery, which is that of web's sidekick;"
        " allowed: a name that doesn't end in -discovery"
    ]


@pytest.mark.parametrize("second", ['conflicts = ["lb@*.service"]', 'bind = "private"'])
def test_another_balancer_has_to_be_kept_apart_from_each_instance(second: str) -> None:
    text = several('instances = ["east", "west"]\nconflicts = ["lb@*.service"]') + SECOND

    load(text + second)
    assert refusals(text + 'conflicts = ["lb@east.service"]') == [
        "load_balancers.second.port: found 80, which load_balancers.lb publishes as well;"
        " allowed: a port of its own, another bind, or conflicts that keep the two apart"
    ]


def test_an_upstream_has_to_be_a_service() -> None:
    assert refusals(WEB.replace('upstream = "web"', 'upstream = "wbe"')) == [
        'load_balancers.lb.upstream: found "wbe"; allowed: a service with a registration: web; did you mean web?'
    ]


def test_an_upstream_has_to_be_registered() -> None:
    assert refusals(WEB + JOB + SECOND.replace('"web"', '"job"\nport = 81')) == [
        'load_balancers.second.upstream: found "job", which has no registration;'
        " allowed: a service with one: add [services.job.registration]"
    ]


def test_a_balancer_of_confd_needs_a_confd_and_a_drain_that_it_can_see() -> None:
    assert refusals(WEB.replace('upstream = "web"', 'upstream = "web"\nwatcher = "confd"')) == [
        "services.web.registration.drain_s: found 2, the default; allowed: at least 10:"
        " load_balancers.lb.confd_interval_s is 10, the default, and confd has to see the key gone",
        'load_balancers.lb.confd: missing; allowed: where confd comes from: { path = "/path/to/confd" }'
        ' or { url = "https://…", sha256 = "…" }',
    ]


@pytest.mark.parametrize(
    ("confd", "line"),
    [
        ('{ url = "https://example.org/confd" }', "confd.sha256: missing; allowed: the checksum of what url gives, 64 lower-case hex digits"),
        ('{ path = "confd", url = "https://example.org/confd" }', "confd.url: found url beside path; allowed: one of the two"),
    ],
)  # fmt: skip
def test_confd_comes_from_one_place_and_checked(confd: str, line: str) -> None:
    text = WEB.replace('upstream = "web"', f'upstream = "web"\nconfd = {confd}')

    assert refusals(text) == [f"load_balancers.lb.{line}"]


def test_a_drain_as_long_as_the_poll_is_enough() -> None:
    confd = f'confd = {{ url = "https://example.org/confd", sha256 = "{"a" * 64}" }}\nconfd_interval_s = 2'

    project = load(WEB.replace('upstream = "web"', f'upstream = "web"\nwatcher = "confd"\n{confd}'))

    assert project.clusters["lab"].load_balancers[0].confd.interval_s == 2


# Clusters


def test_a_cluster_needs_a_lab_or_machines_a_profile_and_a_network() -> None:
    assert refusals(WEB + "[clusters.own]") == [
        'clusters.own.machines: missing; allowed: an array of SSH destinations such as ["core@198.51.100.11"],'
        ' or a table of machines; or lab = "default"',
        "clusters.own.profile: missing; allowed: coreos, flatcar, fedora-coreos, debian",
        "clusters.own.network.private: missing; allowed: the machines' private IPv4 network, such as 192.0.2.0/24",
    ]


@pytest.mark.parametrize(
    "line",
    ['machines = ["a"]', 'network = { private = "192.0.2.0/24" }', 'push_to = "x"', 'host_keys = "strict"'],
)
def test_a_lab_brings_its_own(line: str) -> None:
    key = line.split()[0]

    assert refusals(WEB + line) == [
        f"clusters.lab.{key}: found {key} beside lab; allowed: one of the two:"
        " a lab's machines, network, registry and host keys are its own"
    ]


def test_a_machine_listed_twice_is_refused() -> None:
    assert refusals(WEB + OWN.replace('100.12"', '100.11"')) == [
        'clusters.own.machines[1]: found "core@198.51.100.11", a second machine called 198.51.100.11;'
        ' allowed: each machine once, or tables of machines: clusters.own.machines.NAME.ssh = "…"'
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [("ssh", "core@198.51.100.11"), ("private_ip", "192.0.2.1"), ("public_ip", "198.51.100.11")],
)
def test_two_machines_must_not_share_an_address(key: str, value: str) -> None:
    tables = f'[clusters.own.machines.a]\n{key} = "{value}"\n[clusters.own.machines.b]\n{key} = "{value}"'

    assert refusals(WEB + MACHINES + tables) == [
        f'clusters.own.machines.b.{key}: found "{value}", which is a already; allowed: each machine once'
    ]


def test_a_private_address_has_to_lie_in_the_private_network() -> None:
    assert refusals(WEB + MACHINES + '[clusters.own.machines.a]\nprivate_ip = "198.51.100.1"') == [
        'clusters.own.machines.a.private_ip: found "198.51.100.1"; allowed: an address inside 192.0.2.0/24 (network.private)'
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [("cert", "key"), ("key", "cert"), ("username", "password_file"), ("password_file", "username")],
)
def test_some_keys_of_etcd_come_in_pairs(one: str, other: str) -> None:
    etcd = f'[clusters.own.etcd]\nendpoints = ["https://etcd.example:2379"]\n{one} = "x"'

    assert refusals(WEB + OWN + etcd) == [
        f"clusters.own.etcd.{other}: missing; allowed: a value, since {one} is set"
    ]


@pytest.mark.parametrize("endpoints", ["[]", '["http://etcd.example:2379"]'])
def test_certificates_need_https(endpoints: str) -> None:
    etcd = f'[clusters.own.etcd]\nendpoints = {endpoints}\nca = "x"'

    assert refusals(WEB + OWN + etcd) == [
        "clusters.own.etcd.ca: found ca without https;"
        " allowed: ca, cert and key only with endpoints that begin with https://"
    ]


def test_endpoints_speak_one_protocol() -> None:
    etcd = '[clusters.own.etcd]\nendpoints = ["https://a.example:2379", "http://b.example:2379"]'

    assert refusals(WEB + OWN + etcd) == [
        "clusters.own.etcd.endpoints: found http and https; allowed: one of the two for all endpoints"
    ]


def test_an_override_of_nothing_is_answered_with_the_nearest_service() -> None:
    assert refusals(WEB + OWN + "[clusters.own.services.wbe]\ninstances = []") == [
        "clusters.own.services.wbe: found an unknown key; allowed: web; did you mean web?"
    ]


def test_an_override_is_checked_like_what_it_overrides() -> None:
    assert refusals(WEB + OWN + "[clusters.own.load_balancers.lb]\nport = 0") == [
        "clusters.own.load_balancers.lb.port: found 0; allowed: an integer from 1 to 65535"
    ]


# Project


def test_several_clusters_need_a_default() -> None:
    assert refusals(WEB.replace('default_cluster = "lab"', "") + OWN) == [
        "project.default_cluster: missing; allowed: one of lab, own"
    ]


def test_a_base_image_for_an_image_that_nobody_uses_is_refused() -> None:
    text = WEB.replace('name = "web"', 'name = "web"\nbase_images = { wbe = "debian:trixie-slim" }')

    assert refusals(text) == [
        "project.base_images.wbe: found an unknown key; allowed: lb, web; did you mean web?"
    ]


def test_what_could_not_be_read_is_not_complained_about_twice() -> None:
    text = WEB.replace("container_port = 80", 'container_port = "80"').replace("[7001, 7002]", '"7001"')

    assert refusals(text) == [
        'services.web.container_port: found "80"; allowed: an integer from 1 to 65535',
        'services.web.instances: found "7001"; allowed: an array of ports and words, such as [7777, 8888]',
    ]
