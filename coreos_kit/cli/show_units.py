"""What became of units that were asked something."""

from collections.abc import Iterable, Mapping

from coreos_kit.cli import output
from coreos_kit.cli.settings import Settings
from coreos_kit.model.project import Cluster
from coreos_kit.ops.units import UnitsResult


def units(settings: Settings, cluster: Cluster, result: UnitsResult) -> None:
    """Show what became of each."""
    if settings.json:
        output.print_json(result.verb, {"cluster": cluster.name, "units": units_body(result)})
    else:
        output.table(["unit", "machine", "state"], unit_rows(result))


def units_body(result: UnitsResult) -> list[Mapping[str, object]]:
    """Return what became of units as JSON's keys."""
    return [
        {
            "unit": o.name,
            "machine": o.machine,
            "active_state": o.active_state,
            "sub_state": o.sub_state,
            "result": o.result,
        }
        for o in result.outcomes
    ]


def unit_rows(result: UnitsResult) -> Iterable[tuple[object, ...]]:
    """Return what became of units as rows, each once."""
    return dict.fromkeys(
        (o.name, o.machine, "destroyed" if result.verb == "destroy" else f"{o.active_state} ({o.sub_state})")
        for o in result.outcomes
    )
