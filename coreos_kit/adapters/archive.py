"""Files that a machine sends in a tar: looked at in memory, never unpacked.

Whoever packed it may have packed anything: only whole, plain files count, and none is larger than the tar.
"""

import io
import tarfile


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
