"""Releases and the lock on real machines: recorded, sealed, gone back to; and nothing that was forged."""

import json

import pytest

from tests.lab.conftest import Kit
from tests.lab.test_deploy import fetch

ROOT = "/coreos-kit/v1/web"
FOLDER = "/etc/coreos-kit/web/releases"
COMMAND = "-D FOREGROUND"


def running(kit: Kit) -> str:
    machine = kit.machine_of("apache@7777.service")
    return kit.machine(machine, "systemctl cat apache@7777.service | grep -- '-D FOREGROUND'")


def last(kit: Kit) -> int:
    number = kit("history", "--json").json["current"]
    assert isinstance(number, int)
    return number


def etcd(kit: Kit, words: str) -> str:
    return kit.machine("core-1", f"ETCDCTL_API=3 etcdctl {words}")


@pytest.fixture
def second(kit: Kit) -> Kit:
    """The example after a deploy that changed it."""
    kit("deploy", "--yes")
    kit.edit("coreos-kit.toml", COMMAND, f"{COMMAND} -e info")
    kit("deploy", "--yes")
    return kit


def test_a_release_is_recorded_sealed_on_every_machine_and_gone_back_to(second: Kit) -> None:
    kit = second
    number = last(kit)
    shown = kit("history", str(number), "--json").json
    assert any(line.endswith("-e info") for line in shown["changes"][0]["diff"])
    machines = [entry["name"] for entry in kit("machines", "--json").json["machines"]]
    for machine in machines:
        assert kit.machine(machine, f"stat -c '%a %U' {FOLDER}/{number:08}") == "600 root\n"
    assert "-e info" in running(kit)

    done = kit("rollback", "--yes", "--json").json

    assert (done["back_to"], done["release"]) == (number - 1, number + 1)
    assert "-e info" not in running(kit)
    fetch(kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip"))
    kit("verify", "--wait", "20")
    assert any("the configuration is ahead" in note for note in kit("plan", "--json").json["notes"])


def test_whoever_writes_a_release_into_etcd_by_hand_can_not_get_it_rolled_back_to(second: Kit) -> None:
    kit = second
    number = last(kit)
    before, units = running(kit), kit("status", "--json").json["units"]
    key = f"{ROOT}/releases/{number - 1:08}"
    manifest = json.loads(etcd(kit, f"get --print-value-only {key}"))
    forged = json.dumps(manifest | {"number": number + 1, "owner": "mallory"})
    kit.machine("core-1", f"ETCDCTL_API=3 etcdctl put {ROOT}/releases/{number + 1:08} <<'X'\n{forged}\nX")
    altered = json.dumps(manifest | {"owner": "mallory"})
    original = etcd(kit, f"get --print-value-only {key}").rstrip("\n")
    kit.machine("core-1", f"ETCDCTL_API=3 etcdctl put {key} <<'X'\n{altered}\nX")

    of_nobody = kit("rollback", str(number + 1), "--yes", code=3)
    of_another = kit("rollback", str(number - 1), "--yes", code=3)

    assert "they have sealed no such release" in of_nobody.err
    assert "they have sealed another manifest of that number" in of_another.err
    assert running(kit) == before
    assert kit("status", "--json").json["units"] == units
    etcd(kit, f"del {ROOT}/releases/{number + 1:08}")
    # What was written back by hand, byte for byte, is what the machines vouch for.
    kit.machine("core-1", f"ETCDCTL_API=3 etcdctl put {key} -- \"$(cat <<'X'\n{original}\nX\n)\"")
    kit("rollback", str(number - 1), "--yes")


def test_the_lock_of_a_deploy_is_shown_and_keeps_another_out(second: Kit) -> None:
    kit = second
    holder = {"owner": "bob", "host": "elsewhere", "pid": 7, "since": "2026-01-01T00:00:00Z"}
    value = json.dumps({**holder, "command": "coreos-kit deploy", "nonce": "ff"})
    kit.machine(
        "core-1",
        "export ETCDCTL_API=3; lease=$(etcdctl lease grant 40); lease=${lease#lease }; lease=${lease%% *};"
        f" etcdctl put --lease=$lease {ROOT}/lock '{value}'",
    )

    shown = kit("lock", "show", "--json").json
    refused = kit("deploy", "--yes", code=7)
    waited = kit("deploy", "--yes", "--lock-wait", "90")

    assert shown["holder"]["owner"] == "bob"
    assert 0 < shown["holder"]["ttl_left_s"] <= 40
    assert "the lock is held by bob on elsewhere (process 7)" in refused.err
    assert "waiting for the lock: bob on elsewhere" in waited.err
    assert kit("lock", "show", "--json").json["held"] is False
