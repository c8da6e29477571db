"""What a deploy brings to the machines before it touches a unit: images, environment files."""

from coreos_kit.errors import DeployFailed, KitError
from coreos_kit.model.plan import Verb
from coreos_kit.ops.plan import Prepared
from coreos_kit.ops.session import Session
from coreos_kit.parallel import on_each
from coreos_kit.ports import Change
from coreos_kit.units.pin import pinned_digests


def pull_images(session: Session, prepared: Prepared) -> None:
    """Bring the pinned images to every machine that will run them, before anything is stopped."""
    wanted: dict[str, set[str]] = {}
    images = {unit.name: unit.images for unit in prepared.desired}
    observed = prepared.observed
    # A scheduler may put a unit that has to go and come again onto any machine.
    everywhere = sorted(observed.machines.keys() - observed.silent) if observed.scheduler else ()
    for change in prepared.plan.changes:
        if change.after is not None and change.verb is not Verb.RESTART:
            digests = pinned_digests(change.after, images[change.name])
            for machine in everywhere or (change.machine,):
                wanted.setdefault(machine, set()).update(
                    f"{reference}@{digest}" for reference, digest in digests.items()
                )
    if not any(wanted.values()):
        return
    session.progress(f"pulling images on {', '.join(sorted(wanted))}")

    def pull(machine: str) -> None:
        for reference in sorted(wanted[machine]):
            session.engines[machine].pull(reference)

    failures = [error for error in on_each(sorted(wanted), pull).values() if isinstance(error, KitError)]
    if failures:
        raise DeployFailed(
            f"nothing was touched: {failures[0]}", details=failures[0].details, hint=failures[0].hint
        ) from failures[0]


def write_environments(session: Session, prepared: Prepared) -> None:
    """Write the environment file where it is not as it should be, on all machines at once."""
    environments = prepared.plan.environments
    if not environments:
        return
    session.progress(
        f"writing {session.cluster.profile.environment_file} on {', '.join(sorted(environments))}"
    )
    results = on_each(
        sorted(environments),
        lambda machine: session.driver.apply(Change(machine, environment=environments[machine])),
    )
    for result in results.values():
        if isinstance(result, KitError):
            raise result
