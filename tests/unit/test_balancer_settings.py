"""What the unit tells the watcher, and what becomes of it in nginx.conf."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coreos_kit.balancer.access import Access
from coreos_kit.balancer.nginx_conf import render_nginx_conf
from coreos_kit.balancer.pool import parse_networks
from coreos_kit.balancer.settings import BadSettings, Paths, Settings, settings_from

TEMPLATE = Path(__file__).parents[2] / "images/nginx_lb/kit/nginx.conf"
LEAST = {"HOST_IP": "10.132.0.11", "POOL_NETWORK": "10.132.0.0/16"}
DEFAULTS = Settings(
    etcd_host="10.132.0.11", etcd_port=2379, etcd_api="v3", prefix="/services/apache",
    networks=parse_networks("10.132.0.0/16"), upstream="apache", listen_port=80, renew_s=10,
)  # fmt: skip


def test_etcds_address_and_the_pools_network_are_enough() -> None:
    assert settings_from(LEAST) == DEFAULTS
    assert DEFAULTS.hold_s == 12


def test_how_etcd_is_spoken_to_can_be_told(tmp_path: Path) -> None:
    told = settings_from({**LEAST, "ETCD_SCHEME": "https", "ETCD_FILES": str(tmp_path)})

    assert told.access == Access("https", str(tmp_path))
    assert DEFAULTS.access == Access("http", "")


def test_a_login_is_read_anew_each_time(tmp_path: Path) -> None:
    access = Access("http", str(tmp_path))
    seen = [access.login()]
    for text in ("kit:a:b", "kit:"):
        (tmp_path / "login").write_text(text)
        seen.append(access.login())

    assert seen == [None, ("kit", "a:b"), ("kit", "")]


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert settings_from({**LEAST, "ETCD_PORT": ""}) == DEFAULTS


def test_everything_can_be_told() -> None:
    told = settings_from(
        {
            "HOST_IP": "fd00::1",
            "ETCD_PORT": "4001",
            "ETCD_API": "v2",
            "ETCD_PREFIX": "/a/b.c",
            "POOL_NETWORK": "198.51.100.0/24,192.0.2.0/24",
            "UPSTREAM_NAME": "web-1",
            "LISTEN_PORT": "8080",
            "RENEW_S": "3",
        }
    )

    assert told == Settings(
        "fd00::1", 4001, "v2", "/a/b.c", parse_networks("198.51.100.0/24,192.0.2.0/24"), "web-1", 8080, 3
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST_IP", "etcd; reboot"),
        ("HOST_IP", "etcd."),
        ("HOST_IP", "10.132.0.256"),
        ("HOST_IP", "10.132.0.11:2379"),
        ("ETCD_SCHEME", "ftp"),
        ("ETCD_FILES", "/is/not/there"),
        ("ETCD_PORT", "0"),
        ("ETCD_PORT", "65536"),
        ("ETCD_PORT", "+80"),
        ("ETCD_PORT", "٨٠"),
        ("ETCD_API", "v1"),
        ("ETCD_PREFIX", "services"),
        ("ETCD_PREFIX", "/services/"),
        ("ETCD_PREFIX", "/services/../x"),
        ("ETCD_PREFIX", "/a?wait=true"),
        ("ETCD_PREFIX", "/a\n"),
        ("POOL_NETWORK", "10.132.0.1/16"),
        ("UPSTREAM_NAME", "a; }"),
        ("UPSTREAM_NAME", "a\n"),
        ("LISTEN_PORT", "80 default_server"),
        ("RENEW_S", "0"),
        ("RENEW_S", "1.5"),
    ],
)
def test_a_variable_that_is_not_exactly_right_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as refused:
        settings_from({**LEAST, name: value})

    assert [problem.split()[0] for problem in refused.value.problems] == [name]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadSettings) as refused:
        settings_from({"ETCD_API": "v4"})

    assert refused.value.problems == [
        "HOST_IP is not set; it must be the address or the name that etcd answers on",
        'ETCD_API is "v4"; it must be v2 or v3',
        "POOL_NETWORK is not set; it must be IPv4 networks like 192.0.2.0/24, comma separated",
    ]


def rendered(*, ipv6: bool = True, hand_written: bool = True) -> str:
    return render_nginx_conf(
        TEMPLATE.read_text(), DEFAULTS, Paths(), "7", ipv6=ipv6, hand_written=hand_written
    )


def test_every_word_of_the_template_is_filled_in() -> None:
    text = rendered()

    assert not re.search("@[A-Z_]+@", text)
    assert "upstream apache_pool {" in text
    assert "proxy_pass http://apache_pool;" in text
    assert "        listen 80 default_server;\n        listen [::]:80 default_server ipv6only=on;\n" in text
    assert 'start("/var/lib/coreos-kit/pool", "7")' in text
    assert "listen unix:/run/coreos-kit/pool.sock;" in text
    assert text.endswith("    include conf.d/*.conf;\n    include sites-enabled/*;\n}\n")


def test_the_guides_log_format_and_headers_are_there_word_for_word() -> None:
    text = rendered()

    assert (
        "log_format upstreamlog '[$time_local] $remote_addr passed to: $upstream_addr: $request "
        "Upstream Response Time: $upstream_response_time Request time: $request_time';"
    ) in text
    assert "proxy_set_header Host $host;" in text
    assert "proxy_set_header X-Real-IP $remote_addr;" in text
    assert "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in text


def test_without_ipv6_nothing_listens_on_it() -> None:
    assert "[::]" not in rendered(ipv6=False)


def test_what_is_written_by_hand_can_be_left_out() -> None:
    assert "sites-enabled" not in rendered(hand_written=False)


def test_an_unknown_word_in_the_template_is_an_error_not_a_guess() -> None:
    with pytest.raises(ValueError, match=r"nginx\.conf has the unknown word @PROT@"):
        render_nginx_conf("listen @PROT@;", DEFAULTS, Paths(), "1", ipv6=False, hand_written=False)
