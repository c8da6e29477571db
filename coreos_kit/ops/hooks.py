"""Hooks: programs of the workspace that are run before and after a deploy, and each of its instances.

A pre hook that fails stops what it stands before. A post hook that fails is only said: what it stands behind
has happened.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from coreos_kit.errors import Interrupted, KitError, Refused
from coreos_kit.model.names import UnitName
from coreos_kit.model.plan import Step, Verb
from coreos_kit.model.services import DISCOVERY_SUFFIX
from coreos_kit.ops.files import way_out
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.rollout.listening import Listener
from coreos_kit.ops.session import Session
from coreos_kit.spelling import nearest

FOLDER = "hooks"
TIMEOUT_S = 300
_RESULTS = {
    0: "done",
    5: "rolled back",
    Interrupted.exit_code: "interrupted",
}  # by the exit code; else failed


class HookName(StrEnum):
    """When a hook is run, which is what its file is called."""

    PRE_DEPLOY = "pre-deploy"
    POST_DEPLOY = "post-deploy"
    PRE_INSTANCE = "pre-instance"
    POST_INSTANCE = "post-instance"


@dataclass(frozen=True, slots=True)
class Instance:
    """What of a step a hook is told of: an instance (or balancer), with its sidekick if it has one."""

    unit: UnitName
    verb: Verb
    units: tuple[UnitName, ...]


def instances_of(step: Step) -> Iterator[Instance]:
    """Yield the instances that a step touches; a sidekick alone stands for its unit."""
    groups: dict[UnitName, list[UnitName]] = {}
    for unit in step.units:
        groups.setdefault(_main_of(unit, step), []).append(unit)
    verbs = {change.name: change.verb for change in step.changes}
    for main, units in groups.items():
        changed = [unit for unit in (main, *units) if unit in verbs]
        if changed:
            yield Instance(main, verbs[changed[0]], tuple(units))


def _main_of(unit: UnitName, step: Step) -> UnitName:
    main = UnitName(unit.prefix.removesuffix(DISCOVERY_SUFFIX), unit.type, unit.instance)
    return main if main in step.units else unit


def find_hooks(root: Path) -> Mapping[HookName, Path]:
    """Return the hooks of a workspace. Raises `Refused` for one that can't be run, with every reason."""
    found = {name: root / FOLDER / name for name in HookName if os.path.lexists(root / FOLDER / name)}
    problems = [problem for path in found.values() if (problem := _problem(root, path))]
    if problems:
        first = next(iter(found.values()))
        raise Refused(
            "a hook can't be run, so nothing was touched",
            details=problems,
            hint=f"Make it executable, or take it away: chmod +x {first.relative_to(root)}",
        )
    return found


def unheard(root: Path) -> Iterator[str]:
    """Say of each program in the folder that is nearly called like a hook that it is not run."""
    for path in sorted((root / FOLDER).glob("*")):
        near = nearest(path.name, map(str, HookName), key=str.lower)
        if near not in ("", path.name) and path.suffix == "" and path.is_file() and os.access(path, os.X_OK):
            yield f"{FOLDER}/{path.name} is not run; did you mean {near}?"


def _problem(root: Path, path: Path) -> str:
    shown = path.relative_to(root)
    if way_out(root, path):
        return f"{shown} leads out of the workspace"
    if not path.is_file():
        return f"{shown} is not a file"
    return "" if os.access(path, os.X_OK) else f"{shown} is not executable"


class Hooks(Listener):
    """The hooks of one deploy, told of it as its listener."""

    def __init__(self, session: Session, command: str) -> None:
        """`command` is what the kit was asked for. Raises `Refused` for a hook that can't be run."""
        self._session = session
        self._found = find_hooks(session.project.root)
        for remark in unheard(session.project.root):
            session.progress(remark)
        self._common = {
            "PROJECT": session.project.name,
            "CLUSTER": session.cluster.name,
            "COMMAND": command,
        }
        self._addresses: Mapping[str, str] = {}
        self._is_going_back = False

    @contextmanager
    def around(self, prepared: Prepared) -> Iterator[None]:
        """Run pre-deploy before a block and post-deploy after it, however it ends.

        Neither is run where nothing is to be done. Raises `Refused` where pre-deploy fails.
        """
        if prepared.plan.is_empty:
            yield
            return
        self._addresses = {name: seen.private_ip for name, seen in prepared.observed.machines.items()}
        facts = {"CHANGES": str(len(prepared.plan.changes))}
        if problem := self._run(HookName.PRE_DEPLOY, facts):
            raise Refused(
                f"{problem}, so nothing was touched", hint=f"Look at {FOLDER}/{HookName.PRE_DEPLOY}."
            )
        code = 1
        try:
            yield
            code = 0
        except KitError as error:
            code = error.exit_code
            raise
        except KeyboardInterrupt:
            code = Interrupted.exit_code
            raise
        finally:
            result = _RESULTS.get(code, "failed")
            self._run_after(HookName.POST_DEPLOY, {**facts, "RESULT": result, "EXIT_CODE": str(code)})

    def before_step(self, step: Step) -> None:
        """Run pre-instance for each instance; one that fails stops the deploy, but nothing that goes back."""
        for instance in instances_of(step):
            facts = self._facts(step, instance)
            if self._is_going_back:
                self._run_after(HookName.PRE_INSTANCE, facts)
            elif problem := self._run(HookName.PRE_INSTANCE, facts):
                raise KitError(
                    f"{problem}: {instance.unit} on {step.machine or 'no machine'} was left as it was",
                    hint=f"Look at {FOLDER}/{HookName.PRE_INSTANCE}, and run deploy again.",
                )

    def after_step(self, step: Step) -> None:
        """Run post-instance for each instance."""
        for instance in instances_of(step):
            self._run_after(HookName.POST_INSTANCE, self._facts(step, instance))

    def going_back(self, error: KitError) -> None:
        """From now on no hook stops anything."""
        del error
        self._is_going_back = True

    def _facts(self, step: Step, instance: Instance) -> Mapping[str, str]:
        return {
            "UNIT": str(instance.unit),
            "UNITS": " ".join(map(str, instance.units)),
            "VERB": instance.verb.value,
            "MACHINE": step.machine,
            "PRIVATE_IP": self._addresses.get(step.machine, ""),
            "GOING_BACK": "yes" if self._is_going_back else "",
        }

    def _run_after(self, name: HookName, facts: Mapping[str, str]) -> None:
        if problem := self._run(name, facts):
            self._session.progress(f"{problem}; that changes nothing")

    def _run(self, name: HookName, facts: Mapping[str, str]) -> str:
        """Run a hook, if there is one, and say what went wrong; "" for nothing."""
        if name not in self._found:
            return ""
        named = {"HOOK": name.value, **self._common, **facts}
        environment = {f"COREOS_KIT_{fact}": value for fact, value in named.items()}
        try:
            code = self._session.run_hook(
                self._found[name],
                environment,
                lambda line: self._session.progress(f"{name}: {line}"),
                timeout_s=TIMEOUT_S,
            )
        except KitError as error:
            return str(error)
        return f"the hook {name} failed with exit code {code}" if code else ""
