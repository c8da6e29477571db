"""Rollback: to a release that machines vouch for, from the texts that were deployed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from coreos_kit.config import parse_project
from coreos_kit.errors import InvalidConfig, Refused
from coreos_kit.model.plan import DesiredUnit
from coreos_kit.model.project import Cluster
from coreos_kit.model.release import Release
from coreos_kit.ops.carrying_out import Order
from coreos_kit.ops.deploy import DeployOptions
from coreos_kit.ops.plan import Prepared, prepare_texts
from coreos_kit.ops.releases import History, Recorded, read_history, read_texts
from coreos_kit.ops.session import Session
from coreos_kit.ops.vouching import ask_who_vouches
from coreos_kit.planning import PlanOptions


@dataclass(frozen=True, slots=True)
class Target:
    """The release to go back to, with the cluster as its configuration had it and every unit's text."""

    release: Release
    session: Session
    desired: tuple[DesiredUnit, ...]
    configuration: str

    def prepare(self, options: PlanOptions) -> Prepared:
        """Plan the way to this release."""
        return prepare_texts(self.session, self.desired, self.release.digests, self.configuration, options)

    def order(
        self,
        session: Session,
        planning: PlanOptions,
        on_change: Callable[[Prepared], None],
        lock_wait_s: int,
        options: DeployOptions,
    ) -> Order:
        """Return how it is carried out; the machines are asked once more whether they vouch for it."""
        number = self.release.number
        return Order(
            f"coreos-kit rollback {number}",
            lambda: find_target(session, number).prepare(planning),
            on_change,
            lock_wait_s,
            options,
            number,
            self.release.revision,
        )


def find_target(session: Session, number: int | None) -> Target:
    """Find the release to go back to; without a number the one before the last that differs from it.

    Raises `Refused` for one that most machines do not vouch for, whatever etcd says of it.
    """
    history = read_history(session)
    recorded = _the_one_before(history) if number is None else history.find(number)
    release = recorded.release
    if not release.is_deployed:
        raise Refused(
            f"{release.number} can't be gone back to: that deploy ended as {release.outcome}",
            hint="See which can: coreos-kit history",
        )
    _refuse_unsealed(session, recorded)
    texts = read_texts(session, release.texts)
    configuration = texts[release.configuration]
    cluster = _cluster_of(session, release, configuration)
    desired = tuple(
        DesiredUnit(unit.name, texts[unit.text.digest], unit.text.service, unit.text.kind, unit.text.images)
        for unit in release.units
    )
    return Target(release, replace(session, cluster=cluster), desired, configuration)


def _the_one_before(history: History) -> Recorded:
    current = history.current
    if current is None:
        raise Refused("there is no release yet, so none to go back to", hint="coreos-kit deploy records one.")
    before = current.number if current.back_to is None else current.back_to
    for recorded in reversed(history.deployed):
        if recorded.release.number < before and recorded.release.content != current.content:
            return recorded
    raise Refused(
        f"there is no release before {before} that differs from it", hint="See them: coreos-kit history"
    )


def _refuse_unsealed(session: Session, recorded: Recorded) -> None:
    vouched = ask_who_vouches(session, recorded)
    if not vouched.seal.holds:
        raise Refused(
            f"release {recorded.number} is not what was deployed, as far as the machines know;"
            " nothing was touched",
            details=tuple(vouched.lines()),
            hint="Somebody may have written it into etcd by hand. Check out that revision, and deploy it.",
        )


def _cluster_of(session: Session, release: Release, configuration: str) -> Cluster:
    """Return the cluster with the services that the release had; where it is and how it is reached, as now.

    Nor are secrets' sources taken from there: they name commands to run here.
    """
    try:
        project = parse_project(configuration, session.project.root, file=f"release {release.number}")
    except InvalidConfig as error:
        raise Refused(
            f"the configuration of release {release.number} is not one that this version understands",
            details=[str(error), *error.details],
            hint=f"It was deployed with coreos-kit {release.kit}.",
        ) from error
    then = project.clusters.get(session.cluster.name)
    if then is None:
        raise Refused(f"the configuration of release {release.number} has no cluster {session.cluster.name}")
    missing = sorted(
        {name for service in then.services for name in service.secrets.values()}
        - session.project.secrets.keys()
    )
    if missing:
        raise InvalidConfig(
            f"release {release.number} needs secrets that are not configured any more: {', '.join(missing)}",
            hint=f"Say where it comes from: [secrets.{missing[0]}]",
        )
    return replace(session.cluster, services=then.services, load_balancers=then.load_balancers)
