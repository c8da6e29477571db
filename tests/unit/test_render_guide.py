"""The coreos profile beside the guide: every directive that differs stands here, with its reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.config.loading import load_project
from coreos_kit.model.profile import PROFILES
from coreos_kit.units.render import render_files
from coreos_kit.units.unit_file import UnitFile

REPOSITORY = Path(__file__).parents[2]
SOURCES = {path.name: path.read_text() for path in (REPOSITORY / "unit_templates").iterdir()}

LOOP = (
    "The guide's loop looks every 20 s only, so that a start takes up to 20 s to register and a dead backend"
    " stays as long; it removes whatever the key holds, and writes each page that it gets into the journal."
)
LEAVE = "The guide removes the key whoever holds it, and does not wait for requests that are under way."
GUARD = (
    "With no private address Docker would publish the port on all of them, or a key would have no address."
)
POOL = (
    "The guide's image finds etcd at Docker's 2014 gateway address; one image serves every cluster this way."
)
LABEL = (
    "A container's name does not say whose it is: one that its unit has left behind is found by its label."
)
MARK = "It marks the unit as the kit's; systemd and fleet ignore it."

LABELS = "--label coreos-kit.project=web --label coreos-kit.unit=%n"
APACHE = "[Service] ExecStart=/usr/bin/docker run --name apache.%i -p ${COREOS_PRIVATE_IPV4}:%i:80"
APACHE_COMMAND = "user_name/apache /usr/sbin/apache2ctl -D FOREGROUND"
RUN = "[Service] ExecStart=/usr/bin/docker run --name nginx_lb -p ${COREOS_PUBLIC_IPV4}:80:80"
ENVIRONMENT = (
    "-e HOST_IP=${COREOS_PRIVATE_IPV4} -e ETCD_PORT=2379 -e ETCD_API=v2 -e ETCD_PREFIX=/services/apache"
    " -e POOL_NETWORK=10.132.0.0/16 -e UPSTREAM_NAME=apache -e LISTEN_PORT=80 -e RENEW_S=10"
)

# By unit: what the guide has and the kit hasn't (-) or the other way round (+), and why. That is all.
DELIBERATE = {
    "apache@.service": [
        (f"-{APACHE} {APACHE_COMMAND}", LABEL),
        ("+[Service] ExecStartPre=/usr/bin/test -n ${COREOS_PRIVATE_IPV4}", GUARD),
        (f"+{APACHE} {LABELS} {APACHE_COMMAND}", LABEL),
        ("+[X-CoreosKit] Project=web", MARK),
        ("+[X-CoreosKit] Service=apache", MARK),
    ],
    "apache-discovery@.service": [
        ("-[Service] ExecStart=…", LOOP),
        ("-[Service] ExecStop=/usr/bin/etcdctl rm /services/apache/${COREOS_PRIVATE_IPV4}", LEAVE),
        ("+[Service] ExecStartPre=/usr/bin/test -n ${COREOS_PRIVATE_IPV4}", GUARD),
        ("+[Service] ExecStart=…", LOOP),
        ("+[Service] ExecStop=…", LEAVE),
        ("+[X-CoreosKit] Project=web", MARK),
        ("+[X-CoreosKit] Service=apache", MARK),
    ],
    "nginx_lb.service": [
        (f"-{RUN} user_name/nginx_lb /usr/local/bin/confd-watch", f"{POOL} {LABEL}"),
        ("+[Service] ExecStartPre=/usr/bin/test -n ${COREOS_PUBLIC_IPV4}", GUARD),
        ("+[Service] ExecStartPre=/usr/bin/test -n ${COREOS_PRIVATE_IPV4}", GUARD),
        (f"+{RUN} {LABELS} {ENVIRONMENT} user_name/nginx_lb /usr/local/bin/confd-watch", f"{POOL} {LABEL}"),
        ("+[X-CoreosKit] Project=web", MARK),
        ("+[X-CoreosKit] Service=nginx_lb", MARK),
    ],
}


def test_the_coreos_profile_is_the_guides_directive_for_directive_but_for_these() -> None:
    rendered = units_of_coreos()

    differences = {
        name: list(compare(directives(guide), directives(rendered[name])))
        for name, guide in guides_units().items()
    }

    assert differences == {name: [line for line, _ in lines] for name, lines in DELIBERATE.items()}


@pytest.mark.parametrize("name", ["apache@.service", "apache-discovery@.service", "nginx_lb.service"])
def test_what_both_have_stands_in_the_same_order(name: str) -> None:
    guide, kit = directives(guides_units()[name]), directives(units_of_coreos()[name])

    assert [line for line in kit if line in guide] == [line for line in guide if line in kit]


def units_of_coreos() -> dict[str, str]:
    project = load_project(REPOSITORY)
    cluster = replace(project.clusters["lab"], profile=PROFILES["coreos"])
    return {str(file.name): file.text for file in render_files(project, cluster, SOURCES)}


def guides_units() -> dict[str, str]:
    cases = json.loads((REPOSITORY / "tests/contract/fleet-hashes.json").read_text())
    units = {
        case["title"].removeprefix("guide: "): case["text"]
        for case in cases
        if case["title"].startswith("guide: ")
    }
    # The recording ran with a registry of its own and, for lack of Docker's old address, with HOST_IP.
    return {
        name: text.replace("10.132.0.1:5000/", "").replace("-e HOST_IP=${COREOS_PRIVATE_IPV4} ", "")
        for name, text in units.items()
    }


def directives(text: str) -> list[str]:
    """Return a unit's assignments, blanks made equal; of a script it is enough to know that there is one."""
    return [
        f"[{option.section}] {option.name}="
        + ("…" if "/bin/bash -c" in option.value else re.sub(r"\s+", " ", option.value))
        for option in UnitFile.parse(text).all_options
    ]


def compare(guide: list[str], kit: list[str]) -> Iterator[str]:
    for line in guide:
        if line not in kit or line.endswith("ExecStart=…"):
            yield f"-{line}"
    for line in kit:
        if line not in guide or line.endswith("ExecStart=…"):
            yield f"+{line}"
