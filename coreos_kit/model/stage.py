"""The stages that an instance goes through while a deploy works on it."""

from enum import StrEnum


class Stage(StrEnum):
    """Where an instance is; in the order in which a running one that changes goes through them."""

    HELD_OUT = "held out"  # its sidekick was asked to deregister it, and to keep it out
    DROPPED = "out of the pool"  # no balancer lists it any more
    STOPPING = "draining and stopping"
    STOPPED = "stopped"
    REPLACING = "draining and replacing"  # stopped, written and started in one go
    REPLACED = "replaced"
    STARTING = "starting"
    STARTED = "started"
    ACTIVE = "active"  # and answering its check
    REGISTERED = "registered"
    IN_POOL = "in the pool"  # of every balancer
    SERVING = "serving"  # a balancer, which passes requests on
    REMOVED = "removed"
    FAILED = "failed"
