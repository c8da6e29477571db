"""What fleet is asked in one go, as one tar stream: units as a workspace has them, and lists of names."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.adapters.archive import packed
from coreos_kit.errors import Refused
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.x_fleet import UnitRequirements

# To every other name fleetctl appends ".service" (coreos/fleet fleetctl/fleetctl.go).
SUBMITTABLE = frozenset({"service", "socket", "timer", "path", "device", "mount", "automount"})


@dataclass(frozen=True, slots=True)
class Order:
    """The changes of all machines as one: fleet places units itself."""

    stop: tuple[UnitName, ...] = ()
    remove: tuple[UnitName, ...] = ()
    write: Mapping[UnitName, str] = field(default_factory=dict)
    start: tuple[UnitName, ...] = ()

    @property
    def load_first(self) -> bool:
        """Whether units follow others: those must be on their machines before any of them starts.

        fleet tries a start once. If the sidekick that a unit requires is placed a moment later, the unit
        stays down for good.
        """
        return any(UnitRequirements.as_found(name, text).peers for name, text in self.write.items())

    def as_tar(self) -> bytes:
        """Pack templates/, static/, instances/ and order/; instances are links to their template."""
        files, links = _laid_out(self.write)
        asked = [f"{name} {fleet_hash(text)} {_path(name)}" for name, text in self.write.items()]
        files["order/write"] = _lines(asked)
        for verb, names in (("stop", self.stop), ("remove", self.remove), ("start", self.start)):
            files[f"order/{verb}"] = _lines(str(name) for name in names)
        return packed(files, links=links)


def order_of(changes: Sequence[Change]) -> Order:
    """Put the changes of several machines together, each name once; refuse what fleetctl can't be given."""
    order = Order(
        stop=_once(name for change in changes for name in change.stop),
        remove=_once(name for change in changes for name in change.remove),
        write={name: text for change in changes for name, text in change.write.items()},
        start=_once(name for change in changes for name in change.start),
    )
    if odd := [str(name) for name in order.write if name.type not in SUBMITTABLE]:
        raise Refused(
            f"fleetctl can't be given {', '.join(odd)}: it would make {odd[0]}.service of it",
            hint="Units of fleet are services, sockets, timers, paths and mounts.",
        )
    return order


def _once(names: Iterable[UnitName]) -> tuple[UnitName, ...]:
    return tuple(dict.fromkeys(names))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _laid_out(units: Mapping[UnitName, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files of a workspace with these units, and its links."""
    commonest: dict[UnitName, Counter[str]] = {}
    for name, text in units.items():
        if name.is_instance:
            commonest.setdefault(name.template, Counter())[text] += 1
    templates = {template: texts.most_common(1)[0][0] for template, texts in commonest.items()}
    files = {f"templates/{template}": text for template, text in templates.items()}
    links = {}
    for name, text in units.items():
        if name.is_instance and templates[name.template] == text:
            links[_path(name)] = f"../templates/{name.template}"
        else:
            files[_path(name)] = text
    return files, links


def _path(name: UnitName) -> str:
    """Return where a unit lies; fleetctl names units after their paths, and reads through links."""
    return f"instances/{name}" if name.is_instance else f"static/{name}"
