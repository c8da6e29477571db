"""Drain: everything movable off one machine, with the texts that run, and nothing else changed."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from coreos_kit.errors import Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.ops.carrying_out import Done, Order, carry_out
from coreos_kit.ops.cordons import Cordon, cordon, refuse_scheduler, refuse_unknown
from coreos_kit.ops.etcd_word import ask_etcd
from coreos_kit.ops.holding import holding_notes, with_holding
from coreos_kit.ops.machine_files import plan_files, read_secrets, seal
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.releases import try_history, with_recorded
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ops.session import Session
from coreos_kit.planning import PlanOptions, plan
from coreos_kit.planning.draining import as_it_stands, only_moves
from coreos_kit.units.render import desired_units
from coreos_kit.units.x_fleet import UnitRequirements


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain moved, and the cordon that stays."""

    cordon: Cordon
    done: Done

    @property
    def stuck(self) -> Mapping[UnitName, Sequence[str]]:
        """What is still there, with each machine's reason."""
        return self.done.result.prepared.plan.stuck

    @property
    def exit_code(self) -> int:
        """0: all that could move has; 1: something could not."""
        return 1 if self.stuck else 0


def drain(
    session: Session,
    machine: str,
    why: str,
    prepared: Prepared,
    order: Order,
    listeners: Sequence[Listener] = (),
) -> Drained:
    """Cordon a machine, so that nothing comes to it meanwhile, and carry out the plan; see `carry_out`.

    The cordon stays whatever becomes of the plan.
    """
    cordoned = cordon(session, machine, why)
    return Drained(cordoned, carry_out(session, prepared, order, listeners))


def prepare_drain(session: Session, machine: str, options: PlanOptions) -> Prepared:
    """Look and plan; changes nothing. The configuration's own changes are no part of it: that is a deploy's.

    What no other machine can take is in the plan's `stuck`, with each machine's reason, and stays. Raises
    what planning refuses; `Unreachable` for a machine that is down: it is evacuated, not drained.
    """
    refuse_unknown(session, machine)
    configured = desired_units(session.project, session.cluster, session.sources)
    secrets = read_secrets(session)
    with ThreadPoolExecutor(max_workers=3) as pool:
        looking_at_files = pool.submit(session.files.look)
        asking = pool.submit(ask_etcd, session)
        reading = pool.submit(try_history, session)
        observed = session.driver.observe([unit.name for unit in configured])
        seen_files, etcd = looking_at_files.result(), asking.result()
    refuse_scheduler(observed, machine)
    _refuse_silent(observed, machine)
    drained = options.drained | {machine}
    options = with_recorded(replace(options, drained=drained), reading.result())
    standing = as_it_stands(session.project.name, configured, observed, options.recorded)
    options = with_holding(options, etcd.holding, standing)
    sealed = seal(secrets, seen_files)
    made = plan(session.project.name, session.cluster, standing, observed, options)
    files = plan_files(session, made, standing, sealed, seen_files, observed, options.skip)
    made = only_moves(made, observed, drained)
    receiving = {step.machine for wave in made.waves for step in wave}
    return Prepared(
        plan=replace(
            made,
            files={name: found for name, found in files.items() if name in receiving},
            notes=(
                *holding_notes(etcd.holding, etcd.error),
                *_stays(made, observed, machine, standing),
                *made.notes,
            ),
        ),
        desired=standing,
        observed=observed,
        etcd_error=etcd.error,
        contents=sealed.contents,
        lock=etcd.lock,
    )


def _refuse_silent(observed: Observation, machine: str) -> None:
    if error := observed.unreachable.get(machine):
        raise Unreachable(
            f"{machine} can't be looked at, so nothing was touched",
            machine=machine,
            details=[str(error)],
            hint=f"Move its units without it: coreos-kit deploy --evacuate {machine}",
        )


def _stays(made: Plan, observed: Observation, machine: str, standing: Sequence[DesiredUnit]) -> Iterator[str]:
    """Say of what stays, though it is not stuck: a global unit is everywhere, a held one is not placed.

    A sidekick stays with its stuck unit, and is no news.
    """
    leaving = {change.name for change in made.changes}
    names = {unit.name for unit in observed.machines[machine].units}
    here = [unit for unit in standing if unit.name in names]
    stuck = {(unit.service, unit.name.instance) for unit in here if unit.name in made.stuck}
    staying = [
        unit for unit in here if unit.name not in leaving and (unit.service, unit.name.instance) not in stuck
    ]
    everywhere = {unit.name for unit in staying if UnitRequirements.of(unit.name, unit.text).is_global}
    held = {unit.name for unit in staying} - everywhere
    for why, units in (("runs on every machine", everywhere), ("is held", held)):
        if units:
            yield f"what {why} stays on {machine}: {', '.join(map(str, sorted(units)))}"
