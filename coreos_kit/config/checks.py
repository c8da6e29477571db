"""Checks across keys, services and balancers of one cluster."""

from coreos_kit.config.clusters import ClusterDraft


def check_cluster(draft: ClusterDraft) -> None:
    """Check a cluster."""
