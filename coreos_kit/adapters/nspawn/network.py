"""A lab's network: a bridge with the workstation's addresses, the way out, and plugging machines in and out.

Everything added is found again by its name or its comment, so that it can be taken away after any accident.
"""

import itertools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreos_kit.adapters.nspawn import sysctls
from coreos_kit.adapters.nspawn.host import run
from coreos_kit.adapters.nspawn.state import lab_numbers
from coreos_kit.errors import Refused

_NUMBERS = range(1, 255)


@dataclass(frozen=True, slots=True)
class Network:
    """The devices and rules of the lab with that number."""

    number: int

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return f"coreos-kit{self.number}"

    @property
    def subnet(self) -> str:
        """All addresses of the lab."""
        return f"10.132.{self.number}.0/24"

    def rules(self, *, forward_drops: bool) -> list[tuple[str, ...]]:
        """Return the iptables rules that the way out needs: table, chain, and the rule.

        Accepting what is forwarded is only needed where the workstation drops by default (Docker sets it so).
        """
        mark = ("-m", "comment", "--comment", self.bridge)
        wanted: list[tuple[str, ...]] = [
            ("nat", "POSTROUTING", "-s", self.subnet, "!", "-d", self.subnet, *mark, "-j", "MASQUERADE")
        ]
        if forward_drops:
            answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
            wanted += [
                ("filter", "FORWARD", "-i", self.bridge, *mark, "-j", "ACCEPT"),
                ("filter", "FORWARD", "-o", self.bridge, *answers, *mark, "-j", "ACCEPT"),
            ]
        return wanted

    def make_bridge(self) -> None:
        """Make the bridge with the workstation's addresses; what is there stays. Now the number is taken."""
        if not _exists(self.bridge):
            run(["ip", "link", "add", self.bridge, "type", "bridge"])
        for address in (f"10.132.{self.number}.1/25", f"10.132.{self.number}.129/25"):
            run(["ip", "address", "replace", address, "dev", self.bridge])
        run(["ip", "link", "set", self.bridge, "mtu", str(uplink_mtu()), "up"])

    def open_way_out(self, holder: Path) -> None:
        """Let machines reach what the workstation reaches; repeatable. `holder` is the lab's folder."""
        drops = run(["iptables", "-w", "-S", "FORWARD"]).text.startswith("-P FORWARD DROP")
        for table, chain, *rule in self.rules(forward_drops=drops):
            if run(["iptables", "-w", "-t", table, "-C", chain, *rule], check=False).code:
                run(["iptables", "-w", "-t", table, "-I", chain, *rule])
        sysctls.hold(holder)

    def remove(self, holder: Path) -> list[str]:
        """Take away bridge, rules and, with the last lab, forwarding; return what there was."""
        removed = []
        if _exists(self.bridge):
            run(["ip", "link", "delete", self.bridge])
            removed.append(f"bridge {self.bridge}")
        rules = self._present_rules()
        for table, rule in rules:
            run(["iptables", "-w", "-t", table, "-D", *rule])
        if rules:
            removed.append(f"{len(rules)} iptables rule{'s' * (len(rules) > 1)}")
        return removed + [f"{name}, as it was" for name in sysctls.release(holder)]

    def _present_rules(self) -> list[tuple[str, list[str]]]:
        found = []
        for table in ("nat", "filter"):
            for line in run(["iptables", "-w", "-t", table, "-S"]).text.splitlines():
                words = shlex.split(line)
                if words[0] == "-A" and ("--comment", self.bridge) in itertools.pairwise(words):
                    found.append((table, words[1:]))
        return found

    def cut(self, device: str) -> None:
        """Unplug a machine: its own device keeps carrier and addresses, but nothing passes."""
        run(["ip", "link", "set", device, "nomaster"])

    def heal(self, device: str) -> None:
        """Plug a machine in again."""
        run(["ip", "link", "set", device, "master", self.bridge])

    def plugged(self) -> set[str]:
        """Return the devices on the bridge."""
        return {path.name for path in Path(f"/sys/class/net/{self.bridge}/brif").glob("*")}


def choose_number() -> int:
    """Return the lowest subnet number that no lab, address or route of the workstation has."""
    used = lab_numbers()
    for command in (["ip", "-j", "address"], ["ip", "-j", "route", "show", "table", "all"]):
        used |= numbers_in(run(command).text)
    free = [number for number in _NUMBERS if number not in used]
    if not free:
        raise Refused(
            "no free subnet is left in 10.132.0.0/16",
            hint="Take labs away that nobody needs: coreos-kit lab down --name NAME",
        )
    return free[0]


def numbers_in(text: str) -> set[int]:
    """Return the subnet numbers of all of the lab's addresses in a text."""
    return {int(number) for number in re.findall(r"\b10\.132\.(\d{1,3})\.\d", text)}


def uplink_mtu() -> int:
    """Return the size of packets that the way out takes: larger ones from a container would be lost."""
    routes: list[dict[str, Any]] = json.loads(run(["ip", "-j", "route", "show", "default"]).text or "[]")
    device = next((str(route["dev"]) for route in routes if "dev" in route), "")
    file = Path("/sys/class/net") / device / "mtu"
    return int(file.read_text()) if device and file.exists() else 1500


def _exists(device: str) -> bool:
    return Path("/sys/class/net", device).exists()
