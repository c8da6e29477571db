"""What every `ports.ClusterDriver` promises; each kind imports it and brings a fixture `opened`."""

import hashlib
from collections.abc import Iterator, Mapping

import pytest

from coreos_kit.model.names import UnitName
from coreos_kit.ports import Change, ClusterDriver, UnitOutcome
from coreos_kit.testing.cluster import FakeCluster
from coreos_kit.units.fleet_hash import fleet_hash
from coreos_kit.units.ownership import owner_of

PROJECT = "contract"

Outcomes = tuple[UnitOutcome, ...]


def name(text: str) -> UnitName:
    return UnitName.parse(text)


def text_of(service: str, *, body: str = "1000", unit: str = "", fleet: str = "") -> str:
    return (
        f"[Unit]\nDescription={service}\n{unit}[Service]\nExecStart=/bin/sleep {body}\n"
        f"[X-Fleet]\n{fleet}[X-CoreosKit]\nProject={PROJECT}\nService={service}\n"
    )


MAIN, SIDEKICK, PLAIN = name("kitmain@1.service"), name("kitside@1.service"), name("kitplain.service")
MAIN_TEXT = text_of("kitmain")
SIDEKICK_TEXT = text_of(
    "kitmain",
    unit="BindsTo=kitmain@%i.service\nAfter=kitmain@%i.service\n",
    fleet="MachineOf=kitmain@%i.service\n",
)
PLAIN_TEXT = text_of("kitplain")
LOOP = "/bin/bash -c 'trap : USR1 USR2; while :; do sleep 1 & wait $$!; done'"
HEEDING_TEXT = SIDEKICK_TEXT.replace("/bin/sleep 1000", LOOP)
# To systemd it is active as soon as there is a process; it has noticed the end before this start is over.
FAILING_TEXT = text_of("kitplain").replace("/bin/sleep 1000", "/bin/false\nExecStartPost=/bin/sleep 1")


@pytest.fixture
def driver(opened: ClusterDriver) -> Iterator[ClusterDriver]:
    """A driver whose cluster has no unit of the suite, before and after."""
    yield opened
    seen = opened.observe([MAIN, SIDEKICK, PLAIN])
    standing = [
        unit for machine in seen.machines.values() for unit in machine.units if unit.project == PROJECT
    ]
    changes = {}
    for unit in (*standing, *seen.unplaced):
        changes.setdefault(unit.machine or "core-1", []).append(unit.name)
    opened.apply_all(
        [Change(machine, stop=tuple(names), remove=tuple(names)) for machine, names in changes.items()]
    )


def units(driver: ClusterDriver) -> dict[str, str]:
    """Return every unit of the suite with its machine and state."""
    seen = driver.observe([MAIN, SIDEKICK, PLAIN])
    return {
        str(unit.name): f"{machine.name} {unit.active_state}"
        for machine in seen.machines.values()
        for unit in machine.units
        if unit.project == PROJECT
    }


def start(driver: ClusterDriver, texts: Mapping[UnitName, str]) -> Outcomes:
    return driver.apply(Change("core-1", write=texts, start=tuple(texts)))


def test_a_cluster_without_the_kits_units_shows_none(driver: ClusterDriver) -> None:
    assert units(driver) == {}


def test_what_is_written_and_started_is_active_where_its_outcome_says(driver: ClusterDriver) -> None:
    (outcome,) = start(driver, {PLAIN: PLAIN_TEXT})

    assert outcome.active_state == "active"
    assert units(driver) == {str(PLAIN): f"{outcome.machine} active"}


def test_the_text_that_is_seen_means_what_was_written(driver: ClusterDriver) -> None:
    start(driver, {PLAIN: f"# a comment\n{PLAIN_TEXT}"})

    (unit,) = driver.observe([PLAIN]).units(PLAIN)

    assert fleet_hash(unit.text or "") == fleet_hash(PLAIN_TEXT)
    assert owner_of(unit.text or "").service == "kitplain"


def test_a_sidekick_is_beside_its_unit(driver: ClusterDriver) -> None:
    main, sidekick = start(driver, {MAIN: MAIN_TEXT, SIDEKICK: SIDEKICK_TEXT})

    assert main.machine == sidekick.machine
    assert units(driver) == {
        str(MAIN): f"{main.machine} active",
        str(SIDEKICK): f"{main.machine} active",
    }


def test_doing_it_again_changes_nothing(driver: ClusterDriver) -> None:
    start(driver, {MAIN: MAIN_TEXT, SIDEKICK: SIDEKICK_TEXT})
    before = units(driver)

    start(driver, {MAIN: MAIN_TEXT, SIDEKICK: SIDEKICK_TEXT})

    assert units(driver) == before


def test_a_changed_text_replaces_the_unit(driver: ClusterDriver) -> None:
    (first,) = start(driver, {PLAIN: PLAIN_TEXT})
    changed = text_of("kitplain", body="2000")

    driver.apply(Change(first.machine, stop=(PLAIN,), write={PLAIN: changed}, start=(PLAIN,)))

    (unit,) = driver.observe([PLAIN]).units(PLAIN)
    assert fleet_hash(unit.text or "") == fleet_hash(changed)
    assert unit.active_state == "active"


def test_a_unit_that_was_stopped_is_there_and_inactive_and_starts_again(driver: ClusterDriver) -> None:
    (first,) = start(driver, {PLAIN: PLAIN_TEXT})

    (stopped,) = driver.apply(Change(first.machine, stop=(PLAIN,)))
    between = units(driver)
    (again,) = driver.apply(Change(first.machine, start=(PLAIN,)))

    assert stopped.active_state in ("inactive", "failed")
    assert between == {str(PLAIN): f"{first.machine} {stopped.active_state}"}
    assert (again.machine, again.active_state) == (first.machine, "active")


def test_a_unit_that_is_disabled_as_it_stops_starts_again_when_it_is_asked(driver: ClusterDriver) -> None:
    (first,) = start(driver, {PLAIN: PLAIN_TEXT})

    (stopped,) = driver.apply(Change(first.machine, disable=(PLAIN,), stop=(PLAIN,)))
    between = units(driver)
    (again,) = driver.apply(Change(first.machine, start=(PLAIN,)))

    assert stopped.active_state in ("inactive", "failed")
    assert between == {str(PLAIN): f"{first.machine} {stopped.active_state}"}
    assert again.active_state == "active"


def test_what_is_removed_is_gone(driver: ClusterDriver) -> None:
    outcomes = start(driver, {MAIN: MAIN_TEXT, SIDEKICK: SIDEKICK_TEXT})

    removed = driver.apply(Change(outcomes[0].machine, stop=(SIDEKICK, MAIN), remove=(SIDEKICK, MAIN)))

    assert {outcome.active_state for outcome in removed} == {"inactive"}
    assert units(driver) == {}


def test_removing_what_is_not_there_is_no_error(driver: ClusterDriver) -> None:
    driver.apply(Change("core-1", stop=(), remove=(PLAIN,)))

    assert units(driver) == {}


def test_a_unit_that_fails_is_an_outcome_and_no_exception(driver: ClusterDriver) -> None:
    if isinstance(driver, FakeCluster):
        driver.broken.add(PLAIN)
    (outcome,) = start(driver, {PLAIN: FAILING_TEXT})
    if isinstance(driver, FakeCluster):
        driver.broken.discard(PLAIN)

    assert outcome.active_state in ("failed", "inactive")


def test_a_failed_unit_runs_once_its_cause_is_mended(driver: ClusterDriver) -> None:
    (failed,) = start(driver, {PLAIN: FAILING_TEXT})

    driver.apply(Change(failed.machine, stop=(PLAIN,), write={PLAIN: PLAIN_TEXT}, start=(PLAIN,)))

    assert [state.partition(" ")[2] for state in units(driver).values()] == ["active"]


def test_changes_of_several_machines_each_have_their_outcomes(driver: ClusterDriver) -> None:
    answers = driver.apply_all(
        [
            Change("core-1", write={PLAIN: PLAIN_TEXT}, start=(PLAIN,)),
            Change("core-2", write={MAIN: MAIN_TEXT}, start=(MAIN,)),
        ]
    )

    assert set(answers) == {"core-1", "core-2"}
    assert [outcome.name for outcome in answers["core-1"]] == [PLAIN]  # type: ignore[union-attr]
    assert [outcome.name for outcome in answers["core-2"]] == [MAIN]  # type: ignore[union-attr]


def test_waiting_says_whether_it_came_true(driver: ClusterDriver) -> None:
    (outcome,) = start(driver, {PLAIN: PLAIN_TEXT})

    outcomes, up = driver.wait_until_up(outcome.machine, [PLAIN], (), timeout_s=5)

    assert up
    assert [found.active_state for found in outcomes] == ["active"]


def test_a_sidekick_that_is_held_out_and_let_in_runs_on(driver: ClusterDriver) -> None:
    main, _ = start(driver, {MAIN: MAIN_TEXT, SIDEKICK: HEEDING_TEXT})
    before = units(driver)

    driver.hold_out(main.machine, [SIDEKICK], [])
    held = units(driver)
    driver.let_in(main.machine, [SIDEKICK])

    assert held == units(driver) == before


def test_holding_out_what_does_not_run_is_no_error(driver: ClusterDriver) -> None:
    driver.hold_out("core-1", [SIDEKICK], [])
    driver.let_in("core-1", [SIDEKICK])

    assert units(driver) == {}


def test_whoever_is_held_out_has_the_boot_that_was_observed(driver: ClusterDriver) -> None:
    seen = driver.observe([]).machines["core-2"].boot_id

    assert driver.hold_out("core-2", [], []).boot_id == seen


def test_a_glance_tells_the_files_that_stand_from_those_that_do_not(driver: ClusterDriver) -> None:
    (outcome,) = start(driver, {PLAIN: PLAIN_TEXT})
    is_scheduled = driver.observe([]).scheduler is not None

    glance = driver.hold_out(outcome.machine, [], [PLAIN, MAIN])

    of_plain = "" if is_scheduled else hashlib.sha256(PLAIN_TEXT.encode()).hexdigest()
    assert glance.digests == {PLAIN: of_plain, MAIN: ""}
