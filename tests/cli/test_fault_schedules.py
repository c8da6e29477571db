"""Two hundred random fault schedules: whatever strikes a deploy, one more finishes it."""

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from coreos_kit.cli import wiring
from coreos_kit.model.cluster import EtcdEntry
from coreos_kit.model.project import Cluster, MachineEntry
from coreos_kit.model.secret import Secret
from coreos_kit.testing.etcd import FakeEtcdStore
from coreos_kit.testing.machine import FakeMachine
from coreos_kit.testing.machine_files import FakeMachineFiles
from coreos_kit.units import templating
from coreos_kit.units.templating import Templates
from tests.cli.conftest import Kit, Site, in_memory
from tests.cli.storm import Fault, Killed, Storm, StormyKit, schedule

SCHEDULES = 200
A_TEST = 10
NEW = "Environment=EDITION=2"
TEMPLATE, CONFIG = "unit_templates/service@.service.j2", "coreos-kit.toml"

Edit = tuple[str, str, str]
TEXT: Edit = (TEMPLATE, "[Service]", f"[Service]\n{NEW}")
MORE: Edit = (CONFIG, "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")
FEWER: Edit = (CONFIG, "instances = [7777, 8888]", "instances = [7777]")
EDITS: Mapping[str, tuple[Edit, ...]] = {
    "another text": (TEXT,),
    "one more instance": (MORE,),
    "another text, and one more": (TEXT, MORE),
    "one less instance": (FEWER,),
}

Stands = Mapping[str, tuple[str, bool]]  # by machine/unit: its text, and whether it runs and is let in
LONGEST_LEASE_S = 120


@dataclass(frozen=True)
class State:
    """All of a site that lasts."""

    machines: dict[str, FakeMachine]
    kept: FakeEtcdStore
    files: dict[str, dict[str, Secret]]

    @classmethod
    def of(cls, site: Site) -> "State":
        files = {machine: dict(secrets) for machine, secrets in site.files.machines.items()}
        return cls(deepcopy(site.machines), deepcopy(site.kept), files)

    def put_into(self, site: Site) -> None:
        site.machines, site.kept = deepcopy(self.machines), deepcopy(self.kept)
        site.files = FakeMachineFiles({machine: dict(secrets) for machine, secrets in self.files.items()})

    def stands(self) -> Stands:
        return {
            f"{machine.name}/{name}": (text, name in machine.active and name not in machine.held_out)
            for machine in self.machines.values()
            for name, text in machine.files.items()
        }

    def locks(self) -> list[EtcdEntry]:
        return [entry for key, entry in self.kept.keys.items() if key.endswith("/lock")]


@dataclass(frozen=True)
class Calm:
    """What a deploy leaves, and calls, when nothing happens to it."""

    stands: Stands
    calls: list[str]


@dataclass
class Trial:
    """One schedule, what came of it, and what is wrong with that."""

    seed: int
    edit: str
    faults: list[Fault]
    code: int | None = None  # None: it was killed
    said: str = ""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.edit}: exit {self.code}", *map(str, self.faults), *self.wrong]
        return "\n".join([*lines, self.said])


class Trials:
    """Deploys one edit after the other of the same site, each in a storm of its own."""

    def __init__(self, kit: StormyKit) -> None:
        self._kit = kit
        self._before = State.of(kit.cluster)
        self._calm: dict[str, Calm] = {}

    def run(self, seed: int) -> Trial:
        luck = random.Random(seed)
        edit = luck.choice(list(EDITS))
        for change in EDITS[edit]:
            self._kit.edit(*change)
        calm = self._calm[edit] = self._calm.get(edit) or self._deploy_calmly()
        trial = Trial(seed, edit, schedule(luck, calm.calls))
        self._deploy_in_storm(trial, calm.stands)
        self._deploy_once_more(trial, calm.stands)
        self._before.put_into(self._kit.cluster)
        for path, before, after in reversed(EDITS[edit]):
            self._kit.edit(path, after, before)
        return trial

    def _deploy_calmly(self) -> Calm:
        storm = self._kit.storm = Storm(self._kit.cluster)
        ran = self._kit("deploy", "--yes")
        assert ran.code == 0, ran
        calm = Calm(State.of(self._kit.cluster).stands(), storm.calls)
        self._before.put_into(self._kit.cluster)
        return calm

    def _deploy_in_storm(self, trial: Trial, new: Stands) -> None:
        storm = self._kit.storm = Storm(self._kit.cluster, trial.faults)
        try:
            ran = self._kit("deploy", "--yes")
            trial.code, trial.said = ran.code, ran.err
        except Killed:
            pass
        storm.is_over()
        self._kit.storm = None
        state, old = State.of(self._kit.cluster), self._before.stands()
        trial.wrong += storm.emptied
        trial.wrong += halves(state.stands(), old, new)
        hit = {fault.target for fault in storm.struck}
        trial.wrong += broken_promises(trial.code, state.stands(), old, new, hit)
        trial.wrong += [f"{lock.key} has no lease" for lock in state.locks() if lock.ttl_left_s is None]

    def _deploy_once_more(self, trial: Trial, new: Stands) -> None:
        self._kit.cluster.kept.pass_time(LONGEST_LEASE_S)
        ran = self._kit("deploy", "--yes")
        end = State.of(self._kit.cluster)
        if ran.code != 0:
            trial.wrong.append(f"one more deploy ends with {ran.code}: {ran.err}")
        trial.wrong += [f"one more deploy: {what}" for what in differences(end.stands(), new)]
        trial.wrong += [f"{lock.key} is left" for lock in end.locks()]


def halves(seen: Stands, old: Stands, new: Stands) -> Iterator[str]:
    """Say what is neither old nor new: another text, or gone though it stays."""
    for place, (text, _) in seen.items():
        if text not in (text_of(old, place), text_of(new, place)):
            yield f"{place} is neither old nor new"
    for place in old.keys() & new.keys() - seen.keys():
        yield f"{place} is gone"


def broken_promises(
    code: int | None, seen: Stands, old: Stands, new: Stands, hit: Collection[str]
) -> Iterator[str]:
    """Say what an exit code promises and is not so. What was hit may lie still, whatever the kit does."""
    match code:
        case 0:
            promised = new
        case 1 | 3 | 4 | 5 | 7:
            promised = old
        case 6 | 130 | None:
            return
        case _:
            yield f"a deploy never ends with {code}"
            return
    for difference in differences(seen, promised, hit):
        yield f"exit {code}, but {difference}"


def differences(seen: Stands, wanted: Stands, hit: Collection[str] = ()) -> Iterator[str]:
    for place in sorted(seen.keys() | wanted.keys()):
        same_text = text_of(seen, place) == text_of(wanted, place)
        if seen.get(place) != wanted.get(place) and not (same_text and was_hit(place, hit)):
            yield f"{place} is {told(seen.get(place))}, not {told(wanted.get(place))}"


def was_hit(place: str, hit: Collection[str]) -> bool:
    """Whether a fault took its machine, or its instance."""
    machine, _, unit = place.partition("/")
    instance = unit.partition("@")[2]
    return machine in hit or instance in {target.partition("@")[2] for target in hit if "@" in target}


def text_of(stands: Stands, place: str) -> str:
    return stands[place][0] if place in stands else ""


def told(unit: tuple[str, bool] | None) -> str:
    if unit is None:
        return "missing"
    text, is_active = unit
    return f"{'active' if is_active else 'inactive'} with the {'new' if NEW in text else 'old'} text"


def four_machines(cluster: Cluster) -> Cluster:
    fourth = MachineEntry("core-4", "core@10.132.1.14", private_ip="10.132.1.14", public_ip="10.132.1.134")
    made = in_memory(cluster)
    return replace(made, machines=(*made.machines, fourth)) if cluster.lab else made


def compiled_once(templates: Callable[[Mapping[str, str]], Templates]) -> Callable[..., Any]:
    """Keep templates from one command to the next: to compile them takes longer than to deploy in memory."""
    kept: dict[frozenset[tuple[str, str]], Templates] = {}

    def compiled(sources: Mapping[str, str]) -> Templates:
        key = frozenset(sources.items())
        kept[key] = kept.get(key) or templates(sources)
        return kept[key]

    return compiled


@pytest.fixture
def trials(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Trials:
    made = StormyKit(kit.workspace, kit.capsys)
    monkeypatch.setattr(wiring, "open_session", made.open_session)
    monkeypatch.setattr(wiring, "with_lab", four_machines)
    monkeypatch.setattr(templating, "Templates", compiled_once(templating.Templates))
    assert made("deploy", "--yes").code == 0
    return Trials(made)


@pytest.mark.parametrize("first", range(1, SCHEDULES + 1, A_TEST))
def test_whatever_strikes_a_deploy_nothing_is_half_and_one_more_finishes_it(
    trials: Trials, first: int
) -> None:
    done = [trials.run(seed) for seed in range(first, first + A_TEST)]

    wrong = [str(trial) for trial in done if trial.wrong]
    assert not wrong, "\n\n".join(wrong)
