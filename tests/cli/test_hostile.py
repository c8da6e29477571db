"""Nothing that others wrote reaches the terminal as a command to it."""

from dataclasses import replace

import pytest

from coreos_kit.errors import KitError, Unreachable
from coreos_kit.model.cluster import EtcdEntry, Observation
from coreos_kit.ports import Change, UnitOutcome
from tests.cli.conftest import Kit

EVIL = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\u202eevil\x00\n\x7f\udc9b"
COMMANDS = (
    "status",
    "machines",
    "registrations",
    "verify",
    "plan",
    "logs",
    "balancer preview",
    "deploy --yes",
)


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


@pytest.fixture
def haunted(deployed: Kit, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """The deployed example, on machines, an etcd and journals that somebody else has written to."""
    site = deployed.cluster
    observe = site.observe
    site.planted = [EtcdEntry(f"/services/apache/{EVIL}", f"10.132.1.9:80{EVIL}", 30, 30)]
    site.journals["core-1"] = [
        {
            "__REALTIME_TIMESTAMP": "1",
            "_SYSTEMD_UNIT": "apache@7777.service",
            "UNIT": EVIL,
            "MESSAGE": list(b"\x1b[2J\x9b31m") if step else EVIL,
        }
        for step in (0, 1)
    ]
    unit = next(iter(site.machines["core-1"].files))
    site.machines["core-1"].files[unit] += f"Description={EVIL.replace(chr(10), '')}\n"

    def haunt(names: object) -> Observation:
        seen = observe([])
        machine = seen.machines["core-1"]
        units = tuple(
            replace(one, active_state=EVIL, sub_state=EVIL, since=f"Mon {EVIL}") for one in machine.units
        )
        changed = replace(machine, units=units, release=EVIL, engine_error=EVIL, metadata={EVIL: EVIL})
        silent = {"core-2": Unreachable(f"core-2 says {EVIL}", machine="core-2")}
        return replace(seen, machines={**seen.machines, "core-1": changed}, unreachable=silent)

    monkeypatch.setattr(site, "observe", haunt)
    return deployed


@pytest.mark.parametrize("command", COMMANDS)
def test_text_for_people_holds_no_control_characters(haunted: Kit, command: str) -> None:
    _, out, err = haunted(*command.split())

    assert out + err
    assert is_harmless(out)
    assert is_harmless(err)


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_plain_ascii(haunted: Kit, command: str) -> None:
    ran = haunted(*command.split(), "--json")

    assert ran.json["schema"].startswith("coreos-kit/")
    assert ran.out.isascii()
    assert is_harmless(ran.out)


def test_what_was_written_can_still_be_read(haunted: Kit) -> None:
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\r\\u202eevil" in haunted("registrations").out


def test_an_error_with_its_details_and_hint_is_harmless(
    deployed: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(change: Change) -> tuple[UnitOutcome, ...]:
        raise KitError(f"no: {EVIL}", details=[EVIL], hint=EVIL)

    monkeypatch.setattr(deployed.cluster, "apply", refuses)
    _, _, err = deployed("stop", "nginx_lb")

    assert is_harmless(err)
    assert "error: no: \\x1b]0;owned" in err


def test_a_usage_error_does_not_repeat_control_characters(kit: Kit) -> None:
    for args in ([EVIL], ["status", f"--{EVIL}"], ["status", EVIL], ["--cluster", EVIL, "status"]):
        assert is_harmless(kit(*args).err)
