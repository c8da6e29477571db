"""Files on their way to a machine and from one, as a tar: packed and looked at in memory, never unpacked.

Whoever packed what comes may have packed anything: only whole, plain files count, and none is larger than
the tar.
"""

import io
import tarfile
from collections.abc import Mapping
from types import MappingProxyType


def packed(
    files: Mapping[str, str | bytes],
    *,
    links: Mapping[str, str] = MappingProxyType({}),
    mode: int = 0o644,
) -> bytes:
    """Pack files by path, then symlinks; a text has the bytes again that `files_of` read it from."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, found in files.items():
            content = found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
        for path, target in links.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return buffer.getvalue()


def files_of(archive: bytes) -> dict[str, tuple[str, float]]:
    """Return each file's text, and when it was written: whole seconds, never later than it was.

    Raises `tarfile.TarError`, and whatever else Python's reader lets through, on what is no tar.
    """
    if not archive:
        return {}
    # "r:", because "r" would also unpack what is compressed, a thousand times the size.
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        return {
            member.name: (content.read().decode("utf-8", "surrogateescape"), float(int(member.mtime)))
            for member in tar
            # Sparse files unpack to any size, and a link's content is looked for under its target's name.
            if member.isreg() and not member.issparse() and member.size <= len(archive)
            if (content := tar.extractfile(member)) is not None
        }
