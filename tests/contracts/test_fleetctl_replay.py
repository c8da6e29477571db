"""The double gives every fleetctl line of the record again: code, standard error, and what it prints.

The record is of a real fleet 1.0.0. What is not in it, because the world did it (time that passed, files that
were written, images that were near), is stated here, line by line.
"""

import io
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coreos_kit.testing.clock import FakeClock
from coreos_kit.testing.fleetctl import Fleetctl, StateFolder, Story
from coreos_kit.units.fleet_hash import FleetOption, fleet_hash, fleet_text

CONTRACT = Path(__file__).parents[1] / "contract" / "fleetctl-1.0.0.jsonl"
RECORD: list[dict[str, Any]] = [json.loads(line) for line in CONTRACT.read_text().splitlines()]
LINES = {line["title"]: line for line in RECORD if "fleetctl" in line["command"]}

LISTED_AS_PRINTED = (
    "list-",
    "cat ",
)  # their output is the same to the byte, the other commands' as a set of lines
STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    code: int
    stdout: str
    stderr: str


@dataclass
class World:
    """Three machines, the guide's five units running on them, and the folder that the record was made in."""

    state: StateFolder
    clock: FakeClock
    folder: Path

    def fleetctl(self, *argv: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = Fleetctl(self.state, self.folder, out=out, err=err).run(argv)
        return Answer(code, out.getvalue(), err.getvalue())

    def waits(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def tells(self, story: Story) -> None:
        with self.state.opened() as kept:
            for member in kept.cluster.members:
                member.host.stories.append(story)

    def writes(self, name: str, text: str) -> None:
        (self.folder / "tmp" / name).write_text(text)


def fails(text: str) -> str:
    return f"[Unit]\nDescription={text}\n[Service]\nExecStart=/bin/false\n"


def change_description(world: World) -> None:
    text = (world.folder / "static/nginx_lb.service").read_text()
    world.writes("nginx_lb.service", re.sub("Description=.*", "Description=changed", text))


def nginx_cannot_start(world: World) -> None:
    """The Apaches that were destroyed while they ran have no registrations, so Nginx gets a broken file."""
    world.tells(Story("nginx_lb.service", fails=True))


def nginx_can_start(world: World) -> None:
    world.tells(Story("nginx_lb.service", fails=False))


# What happened in the world between one line and the next, before the line of that title.
BEFORE: Mapping[str, tuple[Callable[[World], object], ...]] = {
    # two rounds of the agents: each takes one of the two units away that a machine had
    "empty units": (lambda world: world.waits(11),),
    # two rounds and a start
    "units, three instances": (lambda world: world.waits(8),),
    # the 90 s of the Apaches in stop-sigterm are over; they were started since, and so come up
    "the load balancer is placed once a machine is free": (
        nginx_cannot_start,
        lambda world: world.waits(100),
    ),
    # sed, in the same line
    "changed file, start without replace": (change_description,),
    # the Apaches have registered again
    "start with --replace": (nginx_can_start,),
    "stop": (lambda world: world.waits(30),),
    # the agents' states are published once a second
    "units after stop": (lambda world: world.waits(0.5),),
    # `docker stop` gives an Apache 10 s before it kills it
    "units after restart": (lambda world: world.waits(10),),
    # printf and echo, in the same lines
    "unit with a bad option": (
        lambda world: world.writes(
            "bad.service",
            "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[X-Fleet]\nNoSuchOption=1\n",
        ),
    ),
    "unit that is not a unit": (lambda world: world.writes("garbage.service", "garbage\n"),),
    "unit whose command fails": (lambda world: world.writes("fails.service", fails("fails")),),
}


def recorded_units() -> dict[str, str]:
    """Return the unit files of the record, as its `api units` line has them."""
    said = next(line for line in RECORD if line["title"] == "api units")
    return {
        unit["name"]: "\n".join(
            f"[{option.section}]\n{option.name}={option.value}"
            for option in (FleetOption(**option) for option in unit["options"])
        )
        + "\n"
        for unit in json.loads(said["stdout"])["units"]
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, units = tmp_path_factory.mktemp("home"), recorded_units()
    for part in ("templates", "static", "instances", "tmp"):
        (folder / part).mkdir()
    for template in ("apache@.service", "apache-discovery@.service"):
        (folder / "templates" / template).write_text(units[template])
        for port in (7777, 8888, 9999):
            name = template.replace("@", f"@{port}")
            (folder / "instances" / name).symlink_to(f"../templates/{template}")
    (folder / "static/nginx_lb.service").write_text(
        units["nginx_lb.service"].replace("=changed", "=Nginx load balancer for web server backends")
    )
    clock = FakeClock()
    world = World(StateFolder(folder / "state", clock), clock, folder)
    machines = json.loads(next(line for line in RECORD if line["title"] == "api machines")["stdout"])
    world.state.create(
        {entry["id"]: (entry["primaryIP"], entry["metadata"]) for entry in machines["machines"]}
    )
    world.tells(Story("apache@*.service", starts_in_s=0.5))  # the registry is on the same bridge
    world.tells(Story("nginx_lb.service", starts_in_s=0.5))
    instances = (
        f"instances/apache{kind}@{port}.service" for port in (7777, 8888) for kind in ("", "-discovery")
    )
    world.fleetctl("start", "--no-block", *instances, "static/nginx_lb.service")
    world.waits(60)
    return world


@pytest.fixture(scope="module")
def answers(world: World) -> dict[str, Answer]:
    """Replay the record from its first line to its last."""
    answers: dict[str, Answer] = {}
    for title, line in LINES.items():
        for happens in BEFORE.get(title, ()):
            happens(world)
        started = world.clock.now()
        command = line["command"].rpartition("; ")[2].replace("/tmp/", f"{world.folder}/tmp/")
        program, *argv = shlex.split(command)
        assert program == "fleetctl", line["command"]
        answer = world.fleetctl(*argv)
        answers[title] = Answer(
            answer.code,
            answer.stdout.replace(f"{world.folder}/tmp/", "/tmp/"),
            answer.stderr.replace(f"{world.folder}/tmp/", "/tmp/"),
        )
        world.waits(max(0.0, started + line["seconds"] - world.clock.now()))
    return answers


def without_stamp(text: str) -> str:
    return STAMP.sub("", text)


def rows(text: str) -> set[tuple[str, ...]]:
    """Return lines as sets of words; where a unit was launched is left out by fleetctl now and then.

    (Two of its goroutines share a cache of machines that one of them has not filled yet.)
    """
    return {tuple(re.sub(r" on \S+$", "", line).split()) for line in text.splitlines()}


@pytest.mark.parametrize("title", LINES)
def test_every_line_of_the_record_is_answered_the_same(answers: dict[str, Answer], title: str) -> None:
    recorded, answer = LINES[title], answers[title]

    assert without_stamp(answer.stderr) == without_stamp(recorded["stderr"])
    assert answer.code == recorded["exit"]
    if any(word in recorded["command"] for word in LISTED_AS_PRINTED):
        assert answer.stdout == recorded["stdout"]
    else:
        assert rows(answer.stdout) == rows(recorded["stdout"])


def test_only_the_calls_of_fleets_api_are_left_out_of_the_replay() -> None:
    left_out = [line["command"].split()[0] for line in RECORD if line["title"] not in LINES]

    assert left_out == ["curl"] * 3
    assert len(LINES) == len(RECORD) - 3


def test_the_files_are_those_of_the_record(world: World) -> None:
    listed = LINES["unit files, every field"]["stdout"]

    for path in (
        "templates/apache@.service",
        "templates/apache-discovery@.service",
        "static/nginx_lb.service",
    ):
        assert fleet_hash((world.folder / path).read_text()) in listed


def test_a_file_is_shown_as_fleet_makes_it(world: World) -> None:
    text = (world.folder / "templates/apache@.service").read_text()

    assert fleet_text(text) == LINES["cat"]["stdout"]
