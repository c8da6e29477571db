"""What etcd says before anything is planned: what is held still, and who is at work."""

from dataclasses import dataclass, field

from coreos_kit.errors import Unreachable
from coreos_kit.model.holding import Holding
from coreos_kit.ops.holding import read_holding
from coreos_kit.ops.lock import HeldLock, who_holds
from coreos_kit.ops.session import Session
from coreos_kit.ops.status import registration_prefixes


@dataclass(frozen=True, slots=True)
class EtcdWord:
    """What is held still and who is at work, as etcd says; or why it can't be asked."""

    holding: Holding = field(default_factory=Holding)
    lock: HeldLock | None = None
    error: Unreachable | None = None


def ask_etcd(session: Session) -> EtcdWord:
    """Ask in the API that sidekicks write, whether or not it answers.

    Raises `Refused` where it does not serve that API.
    """
    try:
        for prefix in registration_prefixes(session):
            session.store().entries(prefix)
        return EtcdWord(read_holding(session), who_holds(session))
    except Unreachable as error:
        return EtcdWord(error=error)
