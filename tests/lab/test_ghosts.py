"""Each ghost, made by hand with plain tools: verify names it, and --fix takes away what is safe to take."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab.conftest import Kit
from tests.lab.faults import wait_for

UNIT = "apache@7777.service"
FILES = "/etc/systemd/system"
PREFIX = "/services/apache"
HEALTHY_RUNS = 10  # 50 were run by hand: none found anything


@pytest.fixture
def machine(kit: Kit) -> str:
    return kit.machine_of(UNIT)


@pytest.fixture
def balancer(kit: Kit) -> str:
    return kit.machine_of("nginx_lb.service")


@pytest.fixture
def spare(kit: Kit) -> str:
    """A machine on which nothing of the project stands."""
    return next(entry["name"] for entry in kit("machines", "--json").json["machines"] if entry["units"] == 0)


def etcdctl(kit: Kit, words: str, *, api: int = 3) -> str:
    return kit.machine("core-1", f"ETCDCTL_API={api} etcdctl {words}")


def ghosts(kit: Kit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kit("verify", "--json", code=1).json["ghosts"]
    return found


def only(kit: Kit, kind: str) -> dict[str, Any]:
    """Return the one ghost that verify finds; it has all that it takes to act on it."""
    found = ghosts(kit)
    assert [ghost["kind"] for ghost in found] == [kind], found
    assert all(found[0][key] for key in ("subject", "expected", "seen", "remedy"))
    return found[0]


def wait_for_ghost(kit: Kit, kind: str) -> None:
    """Wait until a balancer has noticed: it looks at its files, and at etcd, every five seconds."""
    wait_for(
        lambda: kind in [ghost["kind"] for ghost in kit("verify", "--json", code=None).json["ghosts"]],
        within_s=30,
    )


def assert_mended(kit: Kit, what: str) -> None:
    """Assert that --fix asks first, then does exactly this, and that all is well afterwards."""
    refused = kit("verify", "--fix", code=2)
    assert f"would {what}" in refused.err
    fixed = kit("verify", "--fix", "--yes", "--json")
    assert [(one["what"].startswith(what), one["error"]) for one in fixed.json["mended"]] == [(True, "")]
    assert fixed.json["ghosts"] == []
    assert fixed.json["ok"] is True


@contextmanager
def planted(kit: Kit, key: str, value: str) -> Iterator[None]:
    """A key that nobody renews, for ever."""
    etcdctl(kit, f"put -- '{key}' '{value}'")
    try:
        yield
    finally:
        etcdctl(kit, f"del -- '{key}'")


def test_none_is_found_on_a_healthy_cluster_however_often_it_is_looked_at(kit: Kit) -> None:
    for _ in range(HEALTHY_RUNS):
        seen = kit("verify", "--json").json
        assert (seen["ok"], seen["ghosts"], seen["unseen"]) == (True, [], [])


def test_a_key_without_a_unit(kit: Kit, spare: str) -> None:
    address = kit.address_of(spare)
    with planted(kit, f"{PREFIX}/{address}", f"{address}:7777"):
        ghost = only(kit, "key-without-unit")

        assert ghost["machine"] == spare
        assert ghost["expected"] == f"{UNIT} on {spare}"
        assert ghost["remedy"] == "coreos-kit verify --fix"
        assert_mended(kit, f"delete the key {PREFIX}/{address}")


def test_a_registration_that_names_another_machine(kit: Kit, machine: str, spare: str) -> None:
    key, value = f"{PREFIX}/{kit.address_of(spare)}", f"{kit.address_of(machine)}:7777"
    with planted(kit, key, value):
        ghost = only(kit, "wrong-machine")

        assert ghost["machine"] == machine
        assert ghost["expected"] == f"{value} at {PREFIX}/{kit.address_of(machine)}"
        assert_mended(kit, f"delete the key {key}")


def test_a_registration_that_names_another_port(kit: Kit, spare: str) -> None:
    address = kit.address_of(spare)
    with planted(kit, f"{PREFIX}/{address}", f"{address}:9999"):
        ghost = only(kit, "wrong-port")

        assert (ghost["machine"], ghost["expected"]) == (spare, "one of the instances 7777, 8888")
        assert_mended(kit, f"delete the key {PREFIX}/{address}")


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("outside-network", "169.254.169.254", "169.254.169.254:80"),
        ("outside-network", "192.0.2.1", "192.0.2.1:80"),
        ("nonsense", "10.132.0.1", "1.2.3.4:80; } include /etc/passwd;"),
        ("nonsense", "below/another", "10.132.0.1:7777"),
    ],
)
def test_a_registration_that_is_outside_the_network_or_nonsense(
    kit: Kit, kind: str, name: str, value: str
) -> None:
    with planted(kit, f"{PREFIX}/{name}", value):
        ghost = only(kit, kind)

        assert ghost["seen"].startswith(value)
        assert_mended(kit, f"delete the key {PREFIX}/{name}")


def test_a_registration_of_a_machine_that_the_configuration_does_not_name(kit: Kit, spare: str) -> None:
    address = kit.address_of(spare).rpartition(".")[0] + ".99"
    with planted(kit, f"{PREFIX}/{address}", f"{address}:7777"):
        ghost = only(kit, "unknown-machine")

        assert ghost["machine"] == ""
        assert kit.address_of(spare) in ghost["expected"]
        assert_mended(kit, f"delete the key {PREFIX}/{address}")


def test_a_key_that_somebody_still_renews_is_found_and_left(kit: Kit, spare: str) -> None:
    address = kit.address_of(spare)
    key, value = f"{PREFIX}/{address}", f"{address}:7777"
    lease = etcdctl(kit, "lease grant 30").split()[1]
    etcdctl(kit, f"put --lease={lease} {key} {value}")
    renewing = etcdctl(kit, f"lease keep-alive {lease} > /dev/null 2>&1 & echo $!").strip()
    try:
        ghost = only(kit, "key-without-unit")

        assert "; renewed " in ghost["seen"]
        assert ghost["mend"] == ""
        assert kit("verify", "--fix", "--yes", "--json", code=1).json.get("mended") is None
        assert etcdctl(kit, f"get --print-value-only {key}").strip() == value
    finally:
        etcdctl(kit, f"del {key}; kill {renewing}")


def test_a_key_of_a_machine_that_is_cut_off_and_no_longer_renews(kit: Kit, machine: str) -> None:
    key = f"{PREFIX}/{kit.address_of(machine)}"
    kit.machine(machine, "systemctl kill --kill-whom=all --signal=STOP apache-discovery@7777.service")
    etcdctl(kit, f"put -- {key} {kit.address_of(machine)}:7777")
    kit("lab", "cut", "--name", kit.lab, machine)
    try:
        found = [ghost for ghost in ghosts(kit) if ghost["kind"] == "not-renewed"]

        assert [ghost["machine"] for ghost in found] == [machine]
        assert f"{machine} can't be looked at" in found[0]["seen"]
        assert found[0]["mend"] == ""
    finally:
        kit("lab", "heal", "--name", kit.lab, machine)
        kit.machine(machine, "systemctl kill --kill-whom=all --signal=CONT apache-discovery@7777.service")


def test_a_registration_in_the_other_api(kit: Kit, machine: str) -> None:
    address = kit.address_of(machine)
    etcdctl(kit, f"set {PREFIX}/{address} {address}:7777", api=2)

    ghost = only(kit, "other-api")

    assert (ghost["machine"], ghost["mend"]) == (machine, "")
    assert ghost["seen"] == f"{address}:7777 in its v2 API"
    kit(*ghost["remedy"].split()[1:])
    assert kit("verify", "--json").json["ghosts"] == []


def test_a_pool_entry_without_a_key(kit: Kit, balancer: str, spare: str) -> None:
    stranger = f"{kit.address_of(spare)}:7777"
    servers = [entry["value"] for entry in kit("registrations", "--json").json["registrations"]]
    watcher = "$(pgrep -f '^/usr/bin/python3 -m balancer')"
    text = "".join(f"{server}\\n" for server in [*servers, stranger])
    kit.machine(balancer, f"kill -STOP {watcher}")
    try:
        socket = f"/proc/{watcher}/root/run/coreos-kit/pool.sock"
        put = f"curl --silent --fail --unix-socket {socket} -X PUT --data-binary @- http://localhost/pool"
        kit.machine(balancer, f"printf '{text}' | {put}")

        ghost = only(kit, "pool-without-key")
    finally:
        kit.machine(balancer, f"kill -CONT {watcher}")

    assert (ghost["machine"], ghost["subject"]) == (balancer, f"nginx_lb {stranger}")
    assert ghost["remedy"] == "coreos-kit restart nginx_lb.service"
    assert kit("verify", "--wait", "20", "--json").json["ghosts"] == []


def test_a_container_without_a_unit_is_removed_only_if_it_carries_the_projects_label(
    kit: Kit, machine: str, spare: str
) -> None:
    image = kit.machine(machine, "docker inspect --format '{{.Config.Image}}' apache.7777").strip()
    labels = f"--label coreos-kit.project=web --label coreos-kit.unit={UNIT}"
    kit.machine(spare, f"docker run --detach --name leftover {labels} {image} sleep 600")
    kit.machine(spare, f"docker run --detach --name somebody-elses {image} sleep 600")
    try:
        ghost = only(kit, "container-without-unit")

        assert (ghost["machine"], ghost["subject"]) == (spare, "leftover")
        assert ghost["expected"] == f"{UNIT} on {spare}"
        assert_mended(kit, "remove the container leftover ")
        assert kit.machine(spare, "docker ps --format '{{.Names}}'").split() == ["somebody-elses"]
    finally:
        kit.machine(spare, "docker rm --force leftover somebody-elses 2>&1")


def test_a_container_that_runs_on_without_its_units_file_serves_until_a_deploy_puts_that_back(
    kit: Kit, machine: str
) -> None:
    started = "docker inspect --format '{{.State.StartedAt}}' apache.7777"
    before = kit.machine(machine, started)
    kit.machine(machine, f"rm {FILES}/{UNIT}")
    verdict = kit("verify", "--json", code=1).json
    kit.machine(machine, "systemctl daemon-reload")

    ghosts = {ghost["subject"]: ghost for ghost in kit("verify", "--json", code=1).json["ghosts"]}
    kit("verify", "--fix", "--yes", code=1)
    left = kit.machine(machine, started)
    kit("deploy", "--yes")
    kit("verify", "--fix", "--yes", code=None)  # where the deploy put the unit elsewhere, it is an orphan now

    (link,) = [link for chain in verdict["chains"] for link in chain["links"] if "is gone" in link["seen"]]
    assert link["remedy"] == (
        f"coreos-kit ssh {machine} -- sudo systemctl daemon-reload, then: coreos-kit deploy"
    )
    assert (ghosts["apache.7777"]["remedy"], ghosts["apache.7777"]["mend"]) == ("coreos-kit deploy", "")
    assert left == before
    kit("verify", "--wait", "20")


def test_a_container_with_a_units_name_and_no_label_is_reported_and_left(
    kit: Kit, machine: str, spare: str
) -> None:
    image = kit.machine(machine, "docker inspect --format '{{.Config.Image}}' apache.7777").strip()
    kit.machine(spare, f"docker run --detach --name apache.7777 {image} sleep 600")
    try:
        ghost = only(kit, "container-without-unit")

        assert (ghost["machine"], ghost["mend"]) == (spare, "")
        kit(*ghost["remedy"].split()[1:])
        assert kit("verify", "--json").json["ghosts"] == []
    finally:
        kit.machine(spare, "docker rm --force apache.7777 2>&1")


def test_a_unit_file_edited_by_hand(kit: Kit, machine: str) -> None:
    before = kit.machine(machine, f"cat {FILES}/{UNIT}; docker inspect --format '{{{{.Id}}}}' apache.7777")
    kit.machine(machine, f"sed -i 's/^RestartSec=2/RestartSec=30/' {FILES}/{UNIT}")

    ghost = only(kit, "unit-edited")

    assert (ghost["machine"], ghost["subject"]) == (machine, UNIT)
    assert ghost["seen"] == "edited: -RestartSec=2 +RestartSec=30"
    assert_mended(kit, f"write {UNIT} on {machine} as it was deployed")
    after = kit.machine(machine, f"cat {FILES}/{UNIT}; docker inspect --format '{{{{.Id}}}}' apache.7777")
    assert after == before


def test_an_edit_that_runs_already_is_left_to_deploy(kit: Kit, machine: str) -> None:
    kit.machine(
        machine,
        f"sed -i 's/^RestartSec=2/RestartSec=30/' {FILES}/{UNIT}"
        f" && systemctl daemon-reload && sleep 1 && systemctl restart {UNIT}",
    )
    kit("verify", "--wait", "30", "--json", code=1)

    ghost = only(kit, "unit-edited")

    assert ghost["seen"].endswith("it was started since then")
    assert (ghost["remedy"], ghost["mend"]) == ("coreos-kit deploy", "")
    kit("deploy", "--yes")
    assert kit("verify", "--json").json["ghosts"] == []


def test_a_drop_in_beside_a_unit(kit: Kit, machine: str) -> None:
    kit.machine(
        machine,
        f"mkdir {FILES}/{UNIT}.d && printf '[Service]\\nRestartSec=30\\n' > {FILES}/{UNIT}.d/own.conf"
        " && systemctl daemon-reload",
    )
    try:
        ghost = only(kit, "unit-edited")

        assert ghost["seen"] == f"also {FILES}/{UNIT}.d/own.conf"
    finally:
        kit.machine(machine, f"rm -r {FILES}/{UNIT}.d && systemctl daemon-reload")


def test_a_change_of_the_configuration_that_is_not_deployed_is_no_edit(kit: Kit) -> None:
    kit.edit(
        "coreos-kit.toml",
        'command = "/usr/sbin/apache2ctl',
        'stop_timeout_s = 12\ncommand = "/usr/sbin/apache2ctl',
    )

    assert kit("plan", "--exit-code", code=1)
    assert kit("verify", "--json").json["ghosts"] == []


def test_a_unit_on_two_machines_as_after_an_evacuation(kit: Kit, machine: str, spare: str) -> None:
    text = kit.machine(machine, f"base64 -w0 {FILES}/{UNIT}")
    kit.machine(spare, f"base64 -d <<< {text} > {FILES}/{UNIT} && systemctl daemon-reload")

    ghost = only(kit, "unit-twice")

    assert (ghost["machine"], ghost["subject"]) == (spare, UNIT)
    assert ghost["expected"] == f"{UNIT} on {machine} only"
    assert ghost["remedy"] == "coreos-kit deploy"
    kit("deploy", "--yes")
    assert kit("verify", "--json").json["ghosts"] == []


def test_a_unit_on_the_wrong_machine(kit: Kit, machine: str) -> None:
    """Both instances on one machine, though they conflict."""
    other = kit.machine_of("apache@8888.service")
    kit.machine(machine, "systemctl disable --now apache-discovery@7777.service apache@7777.service")
    for name in ("apache@7777.service", "apache-discovery@7777.service"):
        text = kit.machine(machine, f"base64 -w0 {FILES}/{name}; rm {FILES}/{name}")
        kit.machine(other, f"base64 -d <<< {text} > {FILES}/{name}")
    kit.machine(machine, "systemctl daemon-reload")
    kit.machine(other, "systemctl daemon-reload")

    found = [ghost for ghost in ghosts(kit) if ghost["kind"] == "unit-misplaced"]

    assert found
    assert {ghost["machine"] for ghost in found} == {other}
    kit("deploy", "--yes")
    assert kit("verify", "--wait", "20", "--json").json["ghosts"] == []


def test_a_unit_that_is_not_configured_any_more(kit: Kit, machine: str) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [8888]")

    found = ghosts(kit)

    assert [(ghost["kind"], ghost["subject"], ghost["machine"]) for ghost in found] == [
        ("unit-not-configured", UNIT, machine),
        ("unit-not-configured", "apache-discovery@7777.service", machine),
    ]
    assert {ghost["remedy"] for ghost in found} == {"coreos-kit deploy"}


def test_a_balancer_whose_nginx_does_not_run_what_its_files_say(kit: Kit, balancer: str) -> None:
    by_hand = "/etc/nginx/conf.d/by-hand.conf"
    kit.machine(balancer, f"docker exec nginx_lb sh -c 'echo \"add_header X-By-Hand\" > {by_hand}'")
    wait_for_ghost(kit, "balancer-configuration")

    ghost = only(kit, "balancer-configuration")

    assert (ghost["machine"], ghost["subject"]) == (balancer, "nginx_lb")
    assert "by-hand.conf" in ghost["seen"]
    kit.machine(balancer, f"docker exec nginx_lb rm {by_hand}")
    kit("verify", "--wait", "30")


def test_a_balancer_whose_running_configuration_was_edited(kit: Kit, balancer: str) -> None:
    live = "/var/lib/coreos-kit/generations/live/nginx.conf"
    kit.machine(balancer, f"docker exec nginx_lb sed -i 's/server_tokens off/server_tokens on/' {live}")

    ghost = only(kit, "balancer-configuration")

    assert "nginx.conf" in ghost["seen"]
    kit(*ghost["remedy"].split()[1:])
    kit("verify", "--wait", "30")


def test_a_balancer_that_does_not_follow_etcd(kit: Kit, balancer: str) -> None:
    rule = "OUTPUT -p tcp --dport 2379 -j REJECT"
    pid = "$(docker inspect --format '{{.State.Pid}}' nginx_lb)"
    kit.machine(balancer, f"nsenter --net --target {pid} iptables -I {rule}")
    try:
        wait_for_ghost(kit, "balancer-deaf")
        ghost = only(kit, "balancer-deaf")

        assert (ghost["machine"], ghost["subject"]) == (balancer, "nginx_lb")
    finally:
        kit.machine(balancer, f"nsenter --net --target {pid} iptables -D {rule}")
    kit("verify", "--wait", "30")


def test_two_machines_with_one_machine_id(kit: Kit, machine: str, spare: str) -> None:
    own = kit.machine(spare, "cat /etc/machine-id").strip()
    kit.machine(spare, f"echo {kit.machine(machine, 'cat /etc/machine-id').strip()} > /etc/machine-id")
    try:
        ghost = only(kit, "same-machine-id")

        assert {ghost["machine"], ghost["seen"].split()[0]} == {machine, spare}
        assert "systemd-machine-id-setup" in ghost["remedy"]
    finally:
        kit.machine(spare, f"echo {own} > /etc/machine-id")
