"""What fleet is asked in one go, as one tar stream: units as a workspace has them, and lists of names."""

import io
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coreos_kit.errors import Refused
from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.x_fleet import Requirements

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
        return any(Requirements.as_found(name, text).peers for name, text in self.write.items())

    def as_tar(self) -> bytes:
        """Pack templates/, static/, instances/ and order/; instances are links to their template."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            paths = _add_units(tar, self.write)
            lines = [f"{name} {fleet_hash(text)} {paths[name]}" for name, text in self.write.items()]
            _add(tar, "order/write", _lines(lines))
            for verb, names in (("stop", self.stop), ("remove", self.remove), ("start", self.start)):
                _add(tar, f"order/{verb}", _lines(str(name) for name in names))
        return packed.getvalue()


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


def _add_units(tar: tarfile.TarFile, units: Mapping[UnitName, str]) -> Mapping[UnitName, str]:
    """Add the files and return each unit's path: fleetctl names units after it, and reads through links."""
    commonest: dict[UnitName, Counter[str]] = {}
    for name, text in units.items():
        if name.is_instance:
            commonest.setdefault(name.template, Counter())[text] += 1
    templates = {template: texts.most_common(1)[0][0] for template, texts in commonest.items()}
    for template, text in templates.items():
        _add(tar, f"templates/{template}", text)
    paths = {}
    for name, text in units.items():
        paths[name] = f"instances/{name}" if name.is_instance else f"static/{name}"
        if name.is_instance and templates[name.template] == text:
            link = tarfile.TarInfo(paths[name])
            link.type, link.linkname = tarfile.SYMTYPE, f"../templates/{name.template}"
            tar.addfile(link)
        else:
            _add(tar, paths[name], text)
    return paths


def _add(tar: tarfile.TarFile, path: str, text: str) -> None:
    content = text.encode("utf-8", "surrogateescape")
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))
