"""Where a lab's things lie, who may work on them, and `lab.json`. Starts and stops nothing."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from coreos_kit.errors import InvalidConfig, KitError
from coreos_kit.model.lab import Lab, LabWork

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def state_folder() -> Path:
    """Return where labs are kept; `COREOS_KIT_STATE_DIR` moves it."""
    return Path(os.environ.get("COREOS_KIT_STATE_DIR") or "/var/lib/coreos-kit")


def cache_folder() -> Path:
    """Return where root file systems are kept between labs; `COREOS_KIT_CACHE_DIR` moves it."""
    return Path(os.environ.get("COREOS_KIT_CACHE_DIR") or "/var/cache/coreos-kit")


def lab_folder(name: str) -> Path:
    """Return the folder of the lab of that name, whether it is there or not."""
    if not _NAME.fullmatch(name):
        raise InvalidConfig(
            f"{name!r} is no name for a lab",
            hint="Use lower-case letters, digits and -, a letter first, such as trial-2.",
        )
    return state_folder() / "labs" / name


def read_lab(name: str) -> Lab:
    """Return the lab of that name, running or not; needs no root."""
    lab = try_read_lab(name)
    if lab is None:
        if (work := try_work(name)) and work.verb == "up":
            raise KitError(
                f"lab {name} is being brought up: {work}",
                hint=f"Wait for it; coreos-kit lab status{_name_option(name)} says when it is up.",
            )
        hint = f"coreos-kit lab up{_name_option(name)}{_instead()}"
        raise KitError(f"there is no lab {name} on this workstation", hint=hint)
    return lab


def try_read_lab(name: str) -> Lab | None:
    """Return the lab of that name, or None where there is none."""
    file = lab_folder(name) / "lab.json"
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KitError(f"can't read {file}: {error.strerror}") from error
    try:
        return msgspec.json.decode(text, type=Lab, dec_hook=_decode)
    except msgspec.DecodeError as error:
        hint = f"Take the lab away and make it anew: coreos-kit lab down{_name_option(name)}"
        raise KitError(f"{file} is damaged: {error}", hint=hint) from error


def write_lab(lab: Lab) -> None:
    """Write `lab.json` in one step: whoever reads it sees the old one or the new one."""
    file = lab.folder / "lab.json"
    draft = file.with_suffix(".part")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(lab, enc_hook=str), indent=2) + b"\n")
    draft.chmod(0o644)
    draft.replace(file)


def lab_numbers() -> set[int]:
    """Return the subnet numbers that the labs of this state folder hold, running or not."""
    return {lab.number for lab in _labs()}


def lab_roots() -> set[Path]:
    """Return the root file systems that the labs of this state folder lie over."""
    return {lab.root for lab in _labs()}


def lock_file(name: str) -> Path:
    """Return the file that whoever changes a lab holds locked."""
    return lab_folder(name).with_suffix(".lock")


def try_work(name: str) -> LabWork | None:
    """Return which command is at work on a lab, or None; needs no root."""
    try:
        with lock_file(name).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _try_parse(file.read(100))
    except FileNotFoundError:
        pass
    return None


def _try_parse(text: bytes) -> LabWork | None:
    pid, _, verb = text.decode("ascii", "replace").partition(" ")
    return LabWork(verb, int(pid)) if pid.isdecimal() and verb else None  # it has not written it yet


@contextmanager
def locked(file: Path, on_wait: Callable[[], None] = lambda: None, doing: str = "") -> Iterator[None]:
    """Hold a lock file, unlinked at the end so that nothing stays behind; the kernel frees it on kill -9.

    `on_wait` is called once where somebody else holds it. The file says which process that is, and what it is
    `doing`.
    """
    waited = False
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue  # the last holder has just removed the folder too
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                on_wait()
            waited = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_same_file(descriptor, file):
            break
        os.close(descriptor)  # unlinked by its last holder while we waited
    try:
        with suppress(OSError):  # on a full disk a lab is taken away all the same
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {doing}".encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def _labs() -> list[Lab]:
    labs = (try_read_lab(file.parent.name) for file in sorted(state_folder().glob("labs/*/lab.json")))
    return [lab for lab in labs if lab is not None]


def _instead() -> str:
    names = sorted(file.parent.name for file in state_folder().glob("labs/*/lab.json"))
    if not names:
        return ""
    first, here = names[0], ", ".join(names)
    return (
        f'; or take one that is here ({here}): lab = "{first}" for the cluster in coreos-kit.toml,'
        f" --name {first} for coreos-kit lab"
    )


def _is_same_file(descriptor: int, file: Path) -> bool:
    try:
        return file.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _decode(kind: type, value: object) -> object:
    return kind(value)


def _name_option(name: str) -> str:
    return "" if name == "default" else f" --name {name}"
