"""What of a unit that fleet ran can't be carried over to a cluster without fleet, and why."""

import re
from collections.abc import Iterator, Sequence

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.profile import Profile
from coreos_kit.model.project import EtcdApi
from coreos_kit.units.fleet_hash import FleetOption, fleet_options
from coreos_kit.units.x_fleet import MACHINE_ID, REPLACES, section_values

NO_FAILOVER = (
    "without fleet nothing moves by itself: a dead machine's units move with deploy --evacuate MACHINE"
)
_FLEETCTL = re.compile(r"(?<![\w-])fleetctl(?![\w-])")
_FLEETS_KEYS = re.compile(r"/?_?coreos\.com/fleet\b")
_V2 = re.compile(r"(?<![\w-])etcdctl\b[^;|&\n]*\s(?:set|mk|rm|ls|update|setdir|mkdir)\s|/v2/keys\b")
_RELATIONS = frozenset({"Requires", "Wants", "BindsTo", "Requisite", "After"})
_FLEETS_UNITS = frozenset({"fleet.service", "fleet.socket"})
_ETCDS_UNITS = frozenset({"etcd.service", "etcd2.service", "etcd-member.service"})


def obstacles(text: str, profile: Profile, api: EtcdApi) -> Iterator[str]:
    """Say what in a unit's text means nothing, or something else, where there is no fleet."""
    try:
        options, asked = fleet_options(text), section_values(text)
    except InvalidUnit as error:
        yield f"can't be read: {error}"
        return
    if any(key in asked for key in REPLACES):
        yield "Replaces= holds when units are placed, but nothing moves a running unit for it later"
    if any(key in asked for key in MACHINE_ID):
        yield "MachineID= names a machine of the old cluster"
    commands = [option.value for option in options if option.name.startswith("Exec")]
    if any(_FLEETCTL.search(command) for command in commands):
        yield "it calls fleetctl, which is not there"
    if any(_FLEETS_KEYS.search(option.value) for option in options if option.section != "X-Fleet"):
        yield "it uses fleet's own keys in etcd, which nobody writes"
    related = _related(options)
    if gone := sorted(related & _FLEETS_UNITS):
        yield f"it depends on {', '.join(gone)}, which is not there"
    if gone := sorted((related & _ETCDS_UNITS) - {profile.etcd_unit}):
        yield f"it depends on {', '.join(gone)}; on {profile.name} etcd is {profile.etcd_unit}"
    if api is EtcdApi.V3 and any(_V2.search(command) for command in commands):
        yield "it writes etcd's v2 keys, which nothing that uses v3 sees"


def _related(options: Sequence[FleetOption]) -> set[str]:
    return {name for option in options if option.name in _RELATIONS for name in option.value.split()}
