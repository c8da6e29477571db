"""What an image is called, as registries and engines take it apart."""

import re
from collections.abc import Sequence

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def split_registry(reference: str) -> tuple[str, str]:
    """Split a reference into its registry ("" for Docker Hub) and the rest."""
    first, slash, rest = reference.partition("/")
    has_registry = slash and ("." in first or ":" in first or first == "localhost")
    return (first, rest) if has_registry else ("", reference)


def fully_qualified(reference: str) -> str:
    """Return a reference with its registry: what has none is Docker Hub's, a single word its `library`."""
    registry, path = split_registry(reference)
    if registry:
        return reference
    return f"docker.io/{path}" if "/" in path else f"docker.io/library/{path}"


def repository_of(reference: str) -> str:
    """Return a reference's repository, fully qualified, without tag and digest."""
    name = fully_qualified(reference.partition("@")[0])
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def digests_of(reference: str, repo_digests: Sequence[str]) -> tuple[str, ...]:
    """Choose from an image's RepoDigests those of the repository that it was asked for by.

    A machine says what they are, and all machines' units are pinned to it: what is no digest is left out.
    """
    wanted = repository_of(reference)
    found = (pinned_digest(text) for text in repo_digests if repository_of(text) == wanted)
    return tuple(dict.fromkeys(digest for digest in found if digest))


def pinned_digest(reference: str) -> str:
    """Return the digest that a reference itself names; "" when it names a tag."""
    found = _DIGEST.fullmatch(reference.partition("@")[2])
    return found[0] if found else ""
