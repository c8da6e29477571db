"""Where the kit keeps its own things in etcd: below /coreos-kit/v1/<project>/, in the API of sidekicks."""

from coreos_kit.model.names import UnitName

DIGITS = 8  # of a release's number, so that etcd's order is theirs


def lock_key(project: str) -> str:
    """Return the key of the lock that whoever changes the cluster holds."""
    return f"{_root(project)}/lock"


def releases_folder(project: str) -> str:
    """Return the folder of the releases' manifests."""
    return f"{_root(project)}/releases"


def release_key(project: str, number: int) -> str:
    """Return the key of one release's manifest."""
    return f"{releases_folder(project)}/{number:0{DIGITS}}"


def texts_folder(project: str) -> str:
    """Return the folder of the texts that manifests name."""
    return f"{_root(project)}/texts"


def text_key(project: str, digest: str) -> str:
    """Return the key of one text, called after its SHA-256."""
    return f"{texts_folder(project)}/{digest}"


def cordons_folder(project: str) -> str:
    """Return the folder of the machines that get nothing new."""
    return f"{_root(project)}/cordons"


def cordon_key(project: str, machine: str) -> str:
    """Return the key that says of one machine that it gets nothing new."""
    return f"{cordons_folder(project)}/{machine}"


def holds_folder(project: str) -> str:
    """Return the folder of the units that stay stopped."""
    return f"{_root(project)}/holds"


def hold_key(project: str, unit: UnitName) -> str:
    """Return the key that says of one unit that it stays stopped."""
    return f"{holds_folder(project)}/{unit}"


def _root(project: str) -> str:
    return f"/coreos-kit/v1/{project}"
