"""What is different where the cluster places units itself, as fleet does."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from coreos_kit.errors import Refused
from coreos_kit.model.cluster import Observation
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.planning.options import PlanOptions
from coreos_kit.planning.refusals import listed
from coreos_kit.units.fleet_versions import OLDEST, missing_from, parse_version


def options_under_scheduler(observed: Observation, options: PlanOptions) -> PlanOptions:
    """Turn what can't be seen into options: a machine that is down doesn't stop a deploy under fleet.

    One that fleet still counts on is left as it is; one that fleet has given up has lost its units to the
    others already. Raises `Refused` for emptying a machine that works: fleet has no way to be told.
    """
    if observed.scheduler is None:
        return options
    if working := sorted((options.evacuate - observed.unreachable.keys()) | options.drained):
        raise Refused(
            f"fleet can't be told to keep units off {listed(working)}, so nothing was touched",
            hint=f"Stop fleet there, and they move: coreos-kit ssh {working[0]} -- sudo systemctl stop fleet",
        )
    gone = observed.unreachable.keys() - observed.machines.keys()
    return replace(
        options,
        skip=(options.skip | observed.silent) - gone,
        evacuate=(options.evacuate - observed.silent) | gone,
        cordoned=frozenset(),
    )


def scheduler_notes(
    desired: Sequence[DesiredUnit], observed: Observation, asked: PlanOptions
) -> Iterator[str]:
    """Say what fleet does with machines that are silent or skipped, and what its version can't do."""
    if observed.scheduler is None:
        return
    for name, error in sorted(observed.unreachable.items()):
        if name in observed.silent:
            yield f"{name} can't be reached, but fleet still counts on it: it is left as it is: {error}"
        else:
            yield f"{name} can't be reached, and fleet has given it up: its units have moved: {error}"
    for name in sorted(asked.cordoned):
        yield f"{name} is cordoned, but fleet can't be told, and may put new units there"
    for name in sorted(asked.skip - observed.unreachable.keys()):
        yield f"{name} is skipped and stays as it is, but fleet may put new units there"
    yield from version_notes(observed.scheduler.version, desired)


def version_notes(version: str, desired: Sequence[DesiredUnit]) -> Iterator[str]:
    """Say what this version of fleet does with the units otherwise than 1.0 would, once for each reason."""
    parsed = parse_version(version)
    if not parsed:
        yield f"fleetctl does not say which version it is ({version or 'nothing'}); 1.0 is assumed"
        return
    if parsed < OLDEST:
        yield f"fleet {version} is older than 0.8, which the kit knows nothing of"
    reasons: dict[str, list[str]] = {}
    for text, names in _by_text(desired).items():
        for reason in missing_from(parsed, text):
            reasons.setdefault(reason, []).extend(names)
    for reason, names in reasons.items():
        yield f"fleet {version} {reason}: {listed(names)}"


def _by_text(desired: Sequence[DesiredUnit]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for unit in desired:
        names.setdefault(unit.text, []).append(str(unit.name))
    return names
