"""The lab's SSH keys: one that lets people in, and each machine's own, known from the start."""

import os
from pathlib import Path

from coreos_kit.adapters.nspawn.host import run
from coreos_kit.model.lab import Lab


def ensure_keys(lab: Lab) -> None:
    """Make the keys that are missing and write known_hosts anew; the identity is for whoever called sudo."""
    _ensure_key(lab.identity_file, f"coreos-kit lab {lab.name}")
    owner = int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))
    os.chown(lab.identity_file, *owner)
    lines = []
    for machine in lab.all_machines:
        key = host_key(lab, machine.name)
        _ensure_key(key, machine.name)
        kind, text, *_ = key.with_suffix(".pub").read_text("utf-8").split()
        lines.append(f"{machine.name},{machine.private_ip},{machine.public_ip} {kind} {text}\n")
    lab.known_hosts_file.write_text("".join(lines), "utf-8")


def host_key(lab: Lab, machine: str) -> Path:
    """Return the file that holds a machine's private host key."""
    return lab.folder / "host_keys" / machine


def _ensure_key(file: Path, comment: str) -> None:
    if file.exists() and file.with_suffix(".pub").exists():
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)])
