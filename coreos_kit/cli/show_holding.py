"""What is held still by hand, and what a drain moved."""

from collections.abc import Mapping

from coreos_kit.cli import output, show_plan
from coreos_kit.cli.asking import confirm
from coreos_kit.cli.settings import Settings
from coreos_kit.cli.show_status import mark_body
from coreos_kit.cli.show_units import unit_rows, units_body
from coreos_kit.cli.show_verify import summary, verdict_body
from coreos_kit.model.plan import Plan
from coreos_kit.model.project import Cluster
from coreos_kit.ops.cordons import Cordon
from coreos_kit.ops.drain import Drained
from coreos_kit.ops.holds import Held


def cordoned(settings: Settings, cluster: Cluster, found: Cordon) -> None:
    """Say that a machine is cordoned, or was already."""
    if settings.json:
        output.print_json("cordon", {"cluster": cluster.name, **_cordon_body(found)})
        return
    already = "" if found.changed else " already"
    output.line(f"{found.machine} is cordoned{already}{found.mark or ''}; nothing new is placed there")


def uncordoned(settings: Settings, cluster: Cluster, found: Cordon) -> None:
    """Say that a machine is cordoned no more, or was not."""
    if settings.json:
        body = {"cluster": cluster.name, "machine": found.machine, "changed": found.changed}
        output.print_json("uncordon", body)
        return
    output.line(f"{found.machine} {'is not cordoned any more' if found.changed else 'was not cordoned'}")


def confirm_drain(settings: Settings, made: Plan, machine: str, *, yes: bool) -> None:
    """Show what a drain would do, and ask; with --json on stderr, a program sees it in the result."""
    write = output.say if settings.json else output.line
    idle = f"nothing to do: nothing {'else ' if made.stuck else ''}on {machine} can or has to be moved"
    if made.stuck:
        write(f"{machine} can't be emptied: no other machine can take {output.few(sorted(made.stuck))}")
    for text in (*_stuck_lines(made, machine), *show_plan.plan_lines(made, idle=idle)):
        write(text)
    confirm(f"Cordon {machine}, and do this?", yes=yes)


def drained(settings: Settings, cluster: Cluster, found: Drained) -> None:
    """Show what a drain did, what it left, and that the rest holds."""
    made, verdict = found.done.result.prepared.plan, found.done.verdict
    if settings.json:
        body = {
            **_cordon_body(found.cordon),
            "stuck": [{"unit": unit, "reasons": reasons} for unit, reasons in sorted(found.stuck.items())],
            **show_plan.plan_body(made),
            "verified": verdict_body(verdict),
        }
        output.print_json("drain", {"cluster": cluster.name, **body})
        return
    machine, moved = found.cordon.machine, {change.name for change in made.changes}
    off = f"{output.counted(len(moved), 'unit')} moved off {machine}, which is cordoned"
    if found.stuck:
        done = off if moved else f"{machine} is cordoned"
        left = output.few(sorted(found.stuck))
        output.line(f"not drained: {done}, but still has {left}", style="yellow")
    else:
        output.line(f"drained: {off}")
    output.line(summary(verdict))


def stopped(settings: Settings, cluster: Cluster, found: Held) -> None:
    """Show what became of units that were stopped, and which of them are held now."""
    _units(settings, cluster, found, "held")


def started(settings: Settings, cluster: Cluster, found: Held) -> None:
    """Show what became of units that were started, and which of them were held."""
    if found.problem:
        output.say(f"whether one of them is held is not known, and a hold would stay: {found.problem}")
    _units(settings, cluster, found, "released")


def _units(settings: Settings, cluster: Cluster, found: Held, key: str) -> None:
    if settings.json:
        body = {"cluster": cluster.name, "units": units_body(found.result), key: found.units}
        output.print_json(found.result.verb, body)
        return
    output.table(["unit", "machine", "state"], unit_rows(found.result))
    if found.units:
        names = ", ".join(str(unit) for unit in found.units)
        output.line(
            f"held until coreos-kit start: {names}" if key == "held" else f"not held any more: {names}"
        )


def _cordon_body(found: Cordon) -> Mapping[str, object]:
    return {
        "machine": found.machine,
        "changed": found.changed,
        "cordoned": mark_body(found.mark) if found.mark else None,
    }


def _stuck_lines(made: Plan, machine: str) -> list[str]:
    lines = []
    for unit, reasons in sorted(made.stuck.items()):
        lines.append(f"= {unit} stays on {machine}: no other machine can take it")
        lines += [f"    {reason}" for reason in reasons if not reason.startswith(f"{machine}: ")]
    return lines
