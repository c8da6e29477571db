"""What agents publish of units, and how they forget: for all machines at once."""

from collections.abc import Iterable

from coreos_kit.testing.fleetctl.members import Member, Published


def publish(member: Member, members: Iterable[Member]) -> bool:
    """Let an agent say what is new to it, units that are gone included; tell whether anything was."""
    states = {name: Published(*member.host.state(name), known.hash) for name, known in member.agent.items()}
    gone = [name for name in member.said if name not in states]
    new = {name: state for name, state in states.items() if member.said.get(name) != state}
    _forget(gone, members)
    member.published |= new
    member.ended = [name for name in member.ended if name not in states] + gone
    member.said = states
    return bool(gone or new)


def repeat(member: Member, members: Iterable[Member]) -> bool:
    """Let an agent say everything again, once more also what is gone; tell whether that changed anything.

    "Gone" makes the registry forget what every machine had said of that name. So a unit that has moved
    vanishes from the lists, until its new machine repeats itself.
    """
    changed = bool(member.ended) or member.published != member.said
    member.published = dict(member.said)
    _forget(member.ended, members)
    member.ended = []
    return changed


def _forget(names: Iterable[str], members: Iterable[Member]) -> None:
    everybody = list(members)
    for name in names:
        for member in everybody:
            member.published.pop(name, None)
