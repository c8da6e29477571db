"""What verify found, link by link and ghost by ghost, and what its --fix did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from coreos_kit.cli import output
from coreos_kit.cli.asking import confirm
from coreos_kit.cli.settings import Settings
from coreos_kit.model.chain import Link, State, Verdict
from coreos_kit.model.ghosts import Ghost, Mend
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Cluster
from coreos_kit.ops.mend import Fixed

MOST_GHOSTS = 50  # on one screen; --json has all of them

_MARKS = {State.OK: "ok", State.HELD: "held", State.BROKEN: "BROKEN", State.UNKNOWN: "unknown"}


def asking(*, yes: bool) -> Callable[[Sequence[Mend]], None]:
    """Return how --fix asks before it does anything: it says first what that would be."""

    def ask(mends: Sequence[Mend]) -> None:
        for mend in mends:
            output.say(f"would {mend}")
        confirm("Do this?", yes=yes)

    return ask


def verdict_body(verdict: Verdict) -> Mapping[str, object]:
    """Return a verdict as JSON's keys."""
    return {
        "ok": verdict.ok,
        "broken": verdict.count(State.BROKEN),
        "unknown": verdict.count(State.UNKNOWN),
        "held": verdict.count(State.HELD),
        "unreachable": verdict.unreachable,
        "unseen": verdict.unseen,
        "chains": [
            {
                "unit": chain.unit,
                "machine": chain.machine,
                "links": [
                    {
                        "link": link.name,
                        "state": link.state,
                        "machine": link.machine,
                        "expected": link.expected,
                        "seen": link.seen,
                        "remedy": link.remedy,
                    }
                    for link in chain.links
                ],
            }
            for chain in verdict.chains
        ],
        "ghosts": [
            {
                "kind": ghost.kind,
                "machine": ghost.machine,
                "subject": ghost.subject,
                "expected": ghost.expected,
                "seen": ghost.seen,
                "remedy": ghost.remedy,
                "mend": str(ghost.mend or ""),
            }
            for ghost in verdict.ghosts
        ],
    }


def verdict(settings: Settings, cluster: Cluster, fixed: Fixed, *, fix: bool) -> None:
    """Show every link, then what is wrong with those that don't hold, then the ghosts.

    `fix` is whether --fix was asked for: where it could do nothing about all that, this is said.
    """
    found = fixed.verdict
    if settings.json:
        mended = [{"what": str(one.mend), "error": one.error} for one in fixed.mended]
        extra = {"mended": mended} if mended else {}
        output.print_json("verify", {"cluster": cluster.name, **verdict_body(found), **extra})
        return
    for one in fixed.mended:
        output.line(f"not done: {one.mend}: {one.error}" if one.error else f"done: {one.mend}")
    columns = list(dict.fromkeys(link.name.value for link in found.links))
    rows = []
    for chain in found.chains:
        states = {link.name.value: _MARKS[link.state] for link in chain.links}
        rows.append([chain.unit, chain.machine or "-", *(states.get(column, "") for column in columns)])
    output.table(["unit", "machine", *columns], rows)
    for text in found.unreachable:
        output.line(f"unreachable: {text}", style="red")
    for text in found.unseen:
        output.line(f"unknown: {text}", style="yellow")
    for line in _findings(found):
        output.line(line)
    output.line()
    if fix and not fixed.mended and not found.ok:
        output.line("--fix mends none of these")
    for line in _still(cluster, found):
        output.line(line)
    output.line(summary(found))


def summary(found: Verdict) -> str:
    """Say in one line what holds and what does not."""
    held = found.count(State.HELD)
    still = f"; {output.counted(held, 'unit')} held" if held else ""
    total = output.counted(len(found.links) - held, "link")
    if found.ok:
        return f"verified: all {total} hold{still}"
    broken, unknown = found.count(State.BROKEN), found.count(State.UNKNOWN)
    unseen = [text.partition(": ")[0] for text in (*found.unreachable, *found.unseen)]
    if (holding := found.count(State.OK)) and unseen and not (broken or found.ghosts):
        unsure = f"{output.counted(unknown, 'link')} unknown, " if unknown else ""
        seen = f"all {output.counted(holding, 'link')} that can be seen hold{still}"
        return f"{seen}; not verified: {unsure}{output.few(unseen)} can't be seen"
    ghosts = f"; {output.counted(len(found.ghosts), 'ghost')}" if found.ghosts else ""
    return f"not verified: of {total} {broken} broken, {unknown} unknown{still}{ghosts}"


def _still(cluster: Cluster, found: Verdict) -> Iterator[str]:
    """Say of which services and balancers all is held: no link of them is broken, and nobody is served."""
    mains = {service.name: service.template.prefix for service in cluster.services}
    mains |= {balancer.name: unit.prefix for balancer in cluster.load_balancers for unit in balancer.units()}
    for name, prefix in mains.items():
        links = [link for chain in found.chains if chain.unit.prefix == prefix for link in chain.links]
        if links and all(link.state is State.HELD for link in links):
            yield f"nothing of {name} serves: all of it is held"


def _findings(found: Verdict) -> Iterator[str]:
    alike: dict[tuple[State, str, str], list[tuple[UnitName, Link]]] = {}
    for chain in found.chains:
        for link in chain.links:
            if link.state is not State.OK:
                alike.setdefault((link.state, link.seen, link.remedy), []).append((chain.unit, link))
    for (state, _, _), links in alike.items():
        unit, first = links[0]
        if len(links) == 1:
            what = f"{first.name} of {unit} on {first.machine or 'no machine'}"
            yield from _finding(f"{_MARKS[state]}: {what}", first)
        else:  # one cause, told once: etcd that is away makes three links of every instance unknown
            yield from _finding(f"{_MARKS[state]}: {output.counted(len(links), 'link')}", _together(links))
    for ghost in found.ghosts[:MOST_GHOSTS]:
        where = f" on {ghost.machine}" if ghost.machine else ""
        yield from _finding(f"GHOST: {ghost.kind} {ghost.subject}{where}", ghost)
    if len(found.ghosts) > MOST_GHOSTS:
        yield ""
        yield f"and {len(found.ghosts) - MOST_GHOSTS} ghosts more: coreos-kit verify --json"


def _together(links: Sequence[tuple[UnitName, Link]]) -> Link:
    by_unit: dict[UnitName, list[str]] = {}
    for unit, link in links:
        by_unit.setdefault(unit, []).append(link.name)
    expected = "; ".join(f"{', '.join(names)} of {unit}" for unit, names in by_unit.items())
    return replace(links[0][1], expected=expected)


def _finding(title: str, about: Link | Ghost) -> Iterator[str]:
    yield ""
    yield title
    yield f"  expected: {about.expected}"
    yield f"  seen:     {about.seen}"
    if about.remedy:
        yield f"  remedy:   {about.remedy}"
