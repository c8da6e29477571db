"""A plan, as text worth reading and as one JSON object."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.errors import InvalidUnit
from coreos_kit.model.loss import MachineLoss
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Downtime, Plan, Step, UnitChange, UnitKind, Verb
from coreos_kit.model.project import Cluster
from coreos_kit.ops.plan import Prepared
from coreos_kit.units.fleet_hash import fleet_text
from coreos_kit.units.stamp import unstamped

SIGNS = {Verb.CREATE: "+", Verb.REPLACE: "~", Verb.RESTART: "!", Verb.REMOVE: "-", Verb.MOVE: ">"}
_MOST_WAVES, _MOST_MACHINES, _MOST_UNITS = 20, 12, 4  # shown as text; JSON has them all


def plan(settings: Settings, cluster: Cluster, prepared: Prepared, losses: Sequence[MachineLoss]) -> None:
    """Show a plan, and what each machine's loss would mean once it is carried out."""
    if settings.json:
        body = {
            "cluster": cluster.name,
            **plan_body(prepared.plan),
            "waves": [{"steps": [_step_body(step) for step in wave]} for wave in prepared.plan.waves],
            "unreachable": [
                {"machine": machine, "error": error}
                for machine, error in sorted(prepared.observed.unreachable.items())
            ],
            "moved_by": "fleet" if prepared.observed.scheduler else "deploy --evacuate",
            "losses": [_loss_body(loss) for loss in losses],
        }
        output.print_json("plan", body)
        return
    for text in (*plan_lines(_with_refusals(prepared.plan)), *_loss_lines(prepared, losses)):
        output.line(text)


def plan_to_confirm(settings: Settings, made: Plan) -> None:
    """Show a plan before it is carried out; with --json on stderr, a program sees it in the result."""
    if made.is_empty:
        return
    for text in plan_lines(made):
        if settings.json:
            output.say(text)
        else:
            output.line(text)


def plan_body(made: Plan) -> Mapping[str, object]:
    """Return a plan as JSON's keys."""
    return {
        "empty": made.is_empty,
        "changes": [
            {
                "unit": change.name,
                "verb": change.verb,
                "machine": change.machine,
                "reason": change.reason,
                "diff": list(diff_of(change)),
            }
            for change in made.changes
        ],
        "environments": sorted(made.environments),
        "files": [
            {"machine": machine, "write": names.write, "remove": names.remove}
            for machine, names in sorted(made.files.items())
        ],
        "placements": {str(name): list(machines) for name, machines in sorted(made.placements.items())},
        "digests": made.digests,
        "downtimes": [_downtime_body(downtime) for downtime in made.downtimes],
        "waits_s": made.waits_s,
        "notes": made.notes,
    }


def _with_refusals(made: Plan) -> Plan:
    """Return the plan whose notes say also which downtime deploy refuses, as long as nobody allows it."""
    refused = {str(downtime) for downtime in made.downtimes if not downtime.is_allowed}
    words = "; deploy refuses that without --allow-downtime"
    return replace(made, notes=tuple(f"{note}{words if note in refused else ''}" for note in made.notes))


def _downtime_body(downtime: Downtime) -> Mapping[str, object]:
    return {
        "service": downtime.service,
        "units": [{"unit": unit, "machine": machine} for unit, machine in downtime.units],
        "allowed": downtime.is_allowed,
        "stops_within_s": downtime.stops_within_s,
    }


def _step_body(step: Step) -> Mapping[str, object]:
    return {"machine": step.machine, "units": step.units}


def _loss_body(loss: MachineLoss) -> Mapping[str, object]:
    return {
        "machine": loss.machine,
        "moves": loss.moves,
        "stranded": [{"unit": unit, "why": why} for unit, why in loss.stranded.items()],
        "down": loss.down,
        "stays_down": loss.stays_down,
    }


def diff_of(change: UnitChange) -> Iterator[str]:
    """Return the unified diff of a unit that is replaced; nothing for one that is new or goes."""
    if change.before is None or change.after is None:
        return
    if hunks := _hunks(change.before, change.after):
        yield from (f"--- {change.machine}:{change.name}", f"+++ new {change.name}", *hunks)


@lru_cache(maxsize=256)  # instances of a template share their texts
def _hunks(text: str, wanted: str) -> tuple[str, ...]:
    after = _as_bare_as(text, wanted)
    lines = difflib.unified_diff(
        _without_stamp(text, beside=after), _without_stamp(after, beside=text), lineterm=""
    )
    return tuple(islice(lines, 2, None))


def _without_stamp(text: str, *, beside: str) -> list[str]:
    """Return the lines without the digest that follows from the others, unless it is all that differs."""
    if unstamped(text) == unstamped(beside):
        return text.splitlines()
    return unstamped(text).splitlines()


def _as_bare_as(before: str, after: str) -> str:
    """Return a text without comments if it is compared with one that fleet has kept without."""
    try:
        return fleet_text(after) if fleet_text(before) == before else after
    except InvalidUnit:
        return after


def plan_lines(
    made: Plan, *, idle: str = "nothing to do: every unit is as the configuration says"
) -> Iterator[str]:
    """Return a plan as lines: what is to be known, what changes and why, and in which order.

    `idle` is what is said of one with nothing to do.
    """
    for note in made.notes:
        yield f"note: {note}"
    if made.is_empty:
        yield idle
        return
    for machine in sorted(made.environments):
        yield f"~ environment file on {machine}"
    for machine, names in sorted(made.files.items()):
        yield from (f"~ secret file {name} on {machine}" for name in names.write)
        yield from (f"- secret file {name} on {machine}" for name in names.remove)
    yield from _change_lines(made.changes)
    for reference, digest in sorted(made.digests.items()):
        yield f"image {reference} is {digest}"
    if len(made.waves) > 1:
        yield from _order_lines(made)


def _change_lines(changes: Sequence[UnitChange]) -> Iterator[str]:
    """Say what happens to each unit, and show each diff once, however many instances have it."""
    shown: dict[tuple[str, ...], UnitName] = {}
    for change in changes:
        where = change.machine or "no machine"
        yield f"{SIGNS[change.verb]} {change.verb} {change.name} on {where}: {change.reason}"
        lines = tuple(diff_of(change))
        first = shown.setdefault(lines[2:], change.name)
        if lines and first != change.name:
            yield f"    the same diff as {first}"
        else:
            yield from (f"    {line}" for line in lines)


def _order_lines(made: Plan) -> Iterator[str]:
    waves = made.waves
    waits = f" (draining and pauses take {made.waits_s} s of it)" if made.waits_s else ""
    yield f"in this order, each when the one before it is done{waits}:"
    for number, wave in enumerate(waves[:_MOST_WAVES], 1):
        yield f"  {number}. {_some([_step_words(step) for step in wave], '; ', _MOST_UNITS)}"
    if len(waves) > _MOST_WAVES:
        yield f"  … and {len(waves) - _MOST_WAVES} more"


def _step_words(step: Step) -> str:
    parts = [
        f"{verb} {_some([str(change.name) for change in changes], ', ', _MOST_UNITS)}"
        for verb, changes in ((verb, list(found)) for verb, found in groupby(step.changes, lambda c: c.verb))
    ]
    with_it = f", with {', '.join(map(str, step.restarts))}" if step.restarts else ""
    return f"{step.machine or 'no machine'}: {', '.join(parts)}{with_it}"


def _loss_lines(prepared: Prepared, losses: Sequence[MachineLoss]) -> Iterator[str]:
    if not losses:
        return
    by = "fleet moves its units" if prepared.observed.scheduler else "its units move with deploy --evacuate"
    yield f"if a machine were lost ({by}):"
    followers = frozenset(unit.name for unit in prepared.desired if unit.kind is UnitKind.SIDEKICK)
    few = len(losses) <= _MOST_MACHINES
    told = [loss for loss in losses if few or not loss.is_harmless]
    for loss in told[:_MOST_MACHINES]:
        yield f"  {loss.machine}: {_loss_words(loss, followers)}"
        for unit in [unit for unit in loss.stranded if unit not in followers][:_MOST_UNITS]:
            yield from (f"    {unit}: {why}" for why in loss.stranded[unit])
    if len(told) > _MOST_MACHINES:
        more = len(told) - _MOST_MACHINES
        yield f"  … and {more} more that would take something down or leave it without a machine"
    if harmless := len(losses) - len(told):
        yield f"  of {output.counted(harmless, 'other machine')} everything would find a place"


def _loss_words(loss: MachineLoss, followers: frozenset[UnitName]) -> str:
    moves = [f"{unit} to {to}" for unit, to in loss.moves.items() if unit not in followers]
    stranded = [str(unit) for unit in loss.stranded if unit not in followers]
    parts = [
        *([_some(moves, ", ", _MOST_UNITS)] if moves else []),
        *([f"no machine for {_some(stranded, ', ', _MOST_UNITS)}"] if stranded else []),
        *(f"{service} is down until then" for service in loss.down if service not in loss.stays_down),
        *(f"{service} stays down" for service in loss.stays_down),
    ]
    return "; ".join(parts) or "nothing that would have to move"


def _some(words: Iterable[str], between: str, most: int) -> str:
    listed = list(words)
    more = f"{between}and {len(listed) - most} more" if len(listed) > most else ""
    return f"{between.join(listed[:most])}{more}"
