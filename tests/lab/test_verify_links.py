"""Each link of the chain, broken behind the kit's back: it turns red, what rests on it may, no other does."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import Kit

UNIT = "apache@7777.service"
SIDEKICK = "apache-discovery@7777.service"
WATCHER = "$(pgrep -f '^/usr/bin/python3 -m balancer')"
CHAIN = ["unit", "container", "key", "value", "ttl", "backend", "pool", "request"]

# What each link rests on: only these may change colour with it.
RESTS_ON = {
    "unit": CHAIN[1:],
    "container": ["key", "value", "ttl", "backend", "pool", "request"],
    "key": ["value", "ttl", "pool", "request"],
    "value": ["pool", "request"],
    "ttl": [],
    "backend": ["pool", "request"],
    "pool": ["request"],
    "request": [],
}


@pytest.fixture
def machine(kit: Kit) -> str:
    return kit.machine_of(UNIT)


@pytest.fixture
def balancer(kit: Kit) -> str:
    return kit.machine_of("nginx_lb.service")


@contextmanager
def frozen_sidekick(kit: Kit, machine: str) -> Iterator[None]:
    """Stop the sidekick's process where it is, so that it can't mend what we break.

    Its lease is renewed once more by hand: how old it was when the sidekick stopped, chance decides.
    """
    key = f"/services/apache/{kit.address_of(machine)}"
    kit.machine(machine, f"systemctl kill --kill-whom=all --signal=STOP {SIDEKICK}")
    try:
        kit.machine(
            machine,
            "export ETCDCTL_API=3; set -e -o pipefail;"
            f" lease=$(etcdctl get --write-out=fields {key} | sed -n 's/^\"Lease\" : //p');"
            ' etcdctl lease keep-alive --once "$(printf %x "$lease")"',
        )
        yield
    finally:
        kit.machine(machine, f"systemctl kill --kill-whom=all --signal=CONT {SIDEKICK}")


def assert_only(kit: Kit, link: str) -> None:
    """Assert that exactly this link of the one instance is broken, beside what rests on it."""
    links = kit.links()

    assert links[f"{UNIT} {link}"] == "broken"
    allowed = {f"{UNIT} {name}" for name in [link, *RESTS_ON[link]]}
    assert {name: state for name, state in links.items() if state != "ok" and name not in allowed} == {}


def etcdctl(kit: Kit, machine: str, words: str) -> str:
    return kit.machine(machine, f"ETCDCTL_API=3 etcdctl {words}")


def test_a_healthy_chain_has_all_its_links(kit: Kit) -> None:
    links = kit.links()

    assert {name.split(" ")[1] for name in links if name.startswith(UNIT)} == set(CHAIN)
    assert set(links.values()) == {"ok"}


def test_unit_a_stopped_unit(kit: Kit, machine: str) -> None:
    kit.machine(machine, f"systemctl stop {UNIT}")

    assert_only(kit, "unit")


def test_container_a_container_that_goes_by_another_name(kit: Kit, machine: str) -> None:
    kit.machine(machine, "docker rename apache.7777 somebody-else")
    try:
        assert_only(kit, "container")
    finally:
        kit.machine(machine, "docker rename somebody-else apache.7777")


def test_key_a_key_that_was_deleted(kit: Kit, machine: str) -> None:
    key = f"/services/apache/{kit.address_of(machine)}"
    with frozen_sidekick(kit, machine):
        etcdctl(kit, machine, f"del {key}")

        assert_only(kit, "key")


def test_value_a_key_that_names_another_port(kit: Kit, machine: str) -> None:
    address = kit.address_of(machine)
    with frozen_sidekick(kit, machine):
        etcdctl(kit, machine, f"put --ignore-lease /services/apache/{address} {address}:7778")

        assert_only(kit, "value")


def test_ttl_a_sidekick_that_no_longer_renews(kit: Kit, machine: str) -> None:
    with frozen_sidekick(kit, machine):
        kit.machine(machine, "sleep 13")

        assert_only(kit, "ttl")


def test_ttl_a_key_that_would_stay_for_ever(kit: Kit, machine: str) -> None:
    address = kit.address_of(machine)
    with frozen_sidekick(kit, machine):
        etcdctl(kit, machine, f"put /services/apache/{address} {address}:7777")

        assert_only(kit, "ttl")


def test_backend_a_backend_that_the_balancers_machine_cannot_reach(
    kit: Kit, machine: str, balancer: str
) -> None:
    rule = f"OUTPUT -p tcp -d {kit.address_of(machine)} --dport 7777 -j REJECT"
    kit.machine(balancer, f"iptables -I {rule}")
    try:
        assert_only(kit, "backend")
    finally:
        kit.machine(balancer, f"iptables -D {rule}")


def test_pool_a_balancer_whose_running_pool_was_changed_by_hand(
    kit: Kit, machine: str, balancer: str
) -> None:
    others = "".join(
        f"{entry['value']}\n"
        for entry in kit("registrations", "--json").json["registrations"]
        if not entry["value"].startswith(f"{kit.address_of(machine)}:")
    )
    kit.machine(balancer, f"kill -STOP {WATCHER}")
    try:
        socket = f"/proc/{WATCHER}/root/run/coreos-kit/pool.sock"
        put = f"curl --silent --fail --unix-socket {socket} -X PUT --data-binary @- http://localhost/pool"
        kit.machine(balancer, f"printf '{others}' | {put}")

        assert_only(kit, "pool")
    finally:
        kit.machine(balancer, f"kill -CONT {WATCHER}")


def test_request_a_backend_that_the_balancers_container_cannot_reach(
    kit: Kit, machine: str, balancer: str
) -> None:
    rule = f"FORWARD -p tcp -d {kit.address_of(machine)} --dport 7777 -j REJECT"
    kit.machine(balancer, f"iptables -I {rule}")
    try:
        assert_only(kit, "request")
    finally:
        kit.machine(balancer, f"iptables -D {rule}")


def test_unreachable_a_machine_that_is_cut_off_makes_its_links_unknown_and_never_ok(
    kit: Kit, machine: str
) -> None:
    lab = ["--name", kit.lab]
    kit("lab", "cut", *lab, machine)
    try:
        verdict = kit("verify", "--json", code=None)
    finally:
        kit("lab", "heal", *lab, machine)

    assert verdict.code in (1, 4)
    states = {
        f"{chain['unit']} {link['link']}": link["state"]
        for chain in verdict.json["chains"]
        for link in chain["links"]
    }
    assert states[f"{UNIT} unit"] == "unknown"
    assert not any(state == "ok" for name, state in states.items() if name.startswith(UNIT))
