"""fleet without fleet: its registry, its engine and its agents, as fleet 1.0.0 was seen to behave.

Everything happens at the moment it is due, and `advance` brings the cluster to a moment. The delays are
fleet's own (its watches sleep a second, its rounds come every two and five): most traps are made of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil

from coreos_kit.model.names import UnitName
from coreos_kit.placement import Placements, PlacementUnit, place
from coreos_kit.testing.fleetctl import publishing
from coreos_kit.testing.fleetctl.host import Host
from coreos_kit.testing.fleetctl.members import (
    HEARTBEAT_S,
    INACTIVE,
    LAUNCHED,
    LOADED,
    Job,
    Loaded,
    Member,
    Watch,
)

ENGINE_ROUND_S = 2.0
AGENT_ROUND_S = 5.0
PUBLISH_ROUND_S = 1.0
AGENT_TTL_S = 30.0
_QUIET_S = 2 * AGENT_ROUND_S + ENGINE_ROUND_S  # after that much silence nothing more comes of it


@dataclass(slots=True)
class FleetCluster:
    """A cluster at a moment, `now`."""

    members: list[Member]
    jobs: dict[str, Job] = field(default_factory=dict)
    now: float = 0.0
    engine: Watch = field(default_factory=Watch)
    changed_at: float = 0.0

    def member(self, id_: str) -> Member | None:
        """Return the machine of that id."""
        return next((member for member in self.members if member.id == id_), None)

    @property
    def listed(self) -> list[Member]:
        """The machines that the cluster takes for alive, by id."""
        return sorted((member for member in self.members if member.is_listed), key=lambda member: member.id)

    def state_of(self, job: Job) -> str:
        """Return STATE: where a unit stands between inactive and launched; "" of a global unit."""
        if job.is_global:
            return ""
        member = self.member(job.target)
        if member is None or job.name not in member.published:
            return INACTIVE
        return LAUNCHED if job.heartbeat == job.target else LOADED

    def create(self, name: str, text: str) -> None:
        """Put a unit into the registry, or another text in its place; either way it becomes inactive."""
        job = self.jobs.setdefault(name, Job(name, text))
        job.text, job.desired = text, INACTIVE
        self._changed(
            is_of_interest=False
        )  # the text comes first, and for a second nobody hears of the state
        self._changed()

    def set_desired(self, name: str, desired: str) -> None:
        """Change what a unit shall be."""
        self.jobs[name].desired = desired
        self._changed()

    def destroy(self, name: str) -> None:
        """Forget a unit. That is no change of interest: engine and agent find out in their rounds."""
        del self.jobs[name]
        self._changed(is_of_interest=False)

    def _changed(self, *, is_of_interest: bool = True) -> None:
        """Let engine and agents know of a change in the registry."""
        self.changed_at = self.now
        for watch in (self.engine, *(member.watch for member in self.members)):
            watch.hear(self.now, is_of_interest=is_of_interest)

    def stop_fleetd(self, member: Member) -> None:
        """Stop a machine's fleetd as systemd does: it unloads its units and takes leave of the cluster."""
        for name in sorted(member.agent):
            self._beat(name, "")
            member.host.unload(name, self.now)
        member.agent = {}
        member.has_fleetd = False
        self._forget(member)

    def cut_power(self, member: Member) -> None:
        """Let a machine die; the cluster takes it for dead when nothing was heard of it for a while."""
        member.has_power = member.has_fleetd = False
        member.host, member.agent = Host(stories=member.host.stories), {}
        member.gone_at = self.now + AGENT_TTL_S
        self.changed_at = self.now

    def _forget(self, member: Member) -> None:
        member.gone_at, member.is_listed = None, False
        member.published, member.said, member.ended = {}, {}, []
        self.changed_at = self.now

    def start_fleetd(self, member: Member) -> None:
        """Let a machine with its fleetd come back."""
        member.has_power = member.has_fleetd = member.is_listed = True
        member.gone_at = None
        member.watch = Watch(self.now)
        self.changed_at = self.now

    def advance(self, to: float) -> None:
        """Let everything happen that is due until then, in order."""
        while (due := min((at for at, _ in self._due()), default=to)) < to:
            if due > self.changed_at + _QUIET_S and not self._has_timers():
                break
            self._happen(max(due, self.now))
        self.now = to
        # Rounds in which nothing could happen are not gone through, but keep their beat.
        self.engine.at = _next_round(self.engine.at, ENGINE_ROUND_S, to)
        for member in self.members:
            member.watch.at = _next_round(member.watch.at, AGENT_ROUND_S, to)
            member.publish_at = _next_round(member.publish_at, PUBLISH_ROUND_S, to)
            member.repeat_at = _next_round(member.repeat_at, HEARTBEAT_S, to)
            member.heartbeat_at = _next_round(member.heartbeat_at, HEARTBEAT_S, to)

    def _due(self) -> Iterator[tuple[float, Member | None]]:
        if any(member.is_working for member in self.members):
            yield self.engine.at, None
        for member in self.members:
            if member.is_working:
                yield member.watch.at, member
                yield member.publish_at, member
                yield member.heartbeat_at, member
                yield member.repeat_at, member
            if member.gone_at is not None:
                yield member.gone_at, member
            if (at := member.host.next_step) is not None:
                yield at, member

    def _has_timers(self) -> bool:
        return any(
            member.gone_at is not None
            or member.host.next_step is not None
            or (member.is_working and (bool(member.ended) or member.said != member.published))
            or self._misses_heartbeat(member)
            for member in self.members
        )

    def _misses_heartbeat(self, member: Member) -> bool:
        return member.is_working and any(
            known.launched and (job := self.jobs.get(name)) is not None and job.heartbeat != member.id
            for name, known in member.agent.items()
        )

    def _happen(self, now: float) -> None:
        self.now = now
        for member in self.members:
            if member.host.step(now):
                self.changed_at = now
            if member.gone_at is not None and member.gone_at <= now:
                self._forget(member)
        if self.engine.at <= now and any(member.is_working for member in self.members):
            self.engine.at = now + ENGINE_ROUND_S
            self._schedule()
        for member in self.members:
            if member.is_working:
                self._agent(member)

    def _agent(self, member: Member) -> None:
        if member.watch.at <= self.now:
            member.watch.at = self.now + AGENT_ROUND_S
            self._reconcile(member)
        if member.heartbeat_at <= self.now:
            member.heartbeat_at = self.now + HEARTBEAT_S
            for name, known in member.agent.items():
                if known.launched:
                    self._beat(name, member.id)
        if member.publish_at <= self.now:
            member.publish_at = self.now + PUBLISH_ROUND_S
            if publishing.publish(member, self.members):
                self.changed_at = self.now
        if member.repeat_at <= self.now:
            member.repeat_at = self.now + HEARTBEAT_S
            if publishing.repeat(member, self.members):
                self.changed_at = self.now

    def _schedule(self) -> None:
        wanted = [job for job in self.jobs.values() if job.desired != INACTIVE]
        units = [PlacementUnit(UnitName.parse(job.name), job.requirements) for job in wanted]
        placements = place(
            units, [member.as_machine() for member in self.listed], current=self._placements(wanted)
        )
        moved = False
        for job in self.jobs.values():
            name = UnitName.parse(job.name)
            target = "" if job.desired == INACTIVE else placements.machine_of.get(name, "")
            everywhere = sorted(placements.globals.get(name, frozenset())) if job.desired != INACTIVE else []
            moved = moved or job.target != target  # where a global unit goes is for the agents to find out
            job.target, job.everywhere = target, everywhere
        if moved:
            self._changed()

    @staticmethod
    def _placements(jobs: Iterable[Job]) -> Placements:
        return Placements(
            machine_of={UnitName.parse(job.name): job.target for job in jobs if job.target},
            globals={UnitName.parse(job.name): frozenset(job.everywhere) for job in jobs if job.everywhere},
        )

    def _reconcile(self, member: Member) -> None:
        """Bring a machine to what the registry says: unload, then load, then start and stop.

        systemd has forgotten a unit that was unloaded, unless it failed or is still dying. fleetd then asks
        it to reset the unit, takes its answer for a failure, and leaves the rest for the next round.
        """
        here = {
            name: job
            for name, job in sorted(self.jobs.items())
            if job.desired != INACTIVE and (job.target == member.id or member.id in job.everywhere)
        }
        for name, known in sorted(member.agent.items()):
            if name in here and known.hash == here[name].hash:
                continue
            del member.agent[name]
            self._beat(name, "")
            self.changed_at = self.now
            if not member.host.unload(name, self.now):
                return
        for name, job in here.items():
            if name not in member.agent:
                member.agent[name] = Loaded(job.hash)
                member.host.load(name, job.text)
                self.changed_at = self.now
        for name, job in here.items():
            known = member.agent[name]
            if known.launched != (job.desired == LAUNCHED):
                known.launched, self.changed_at = job.desired == LAUNCHED, self.now
                self._beat(name, member.id if known.launched else "")
                (member.host.start if known.launched else member.host.stop)(name, self.now)

    def _beat(self, name: str, machine_id: str) -> None:
        job = self.jobs.get(name)
        if job is not None and job.heartbeat != machine_id:
            job.heartbeat = machine_id
            self._changed(is_of_interest=False)


def _next_round(at: float, every_s: float, now: float) -> float:
    return at if at >= now else at + ceil((now - at) / every_s) * every_s
