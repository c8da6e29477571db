"""The double in one file, and the script that calls it: what it takes to put it on a machine."""

import io
import shlex
import zipfile
from pathlib import Path

import coreos_kit

_PARTS = (
    "__init__.py", "errors.py", "ports.py", "model", "units", "placement",
    "testing/__init__.py", "testing/fleetctl",
)  # fmt: skip
_MAIN = "from coreos_kit.testing.fleetctl.__main__ import main\n\nmain()\n"


def packed() -> bytes:
    """Return the double as one program for any python3 of 3.11 or later; it needs nothing else."""
    root = Path(coreos_kit.__file__).parent
    program = io.BytesIO()
    program.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(program, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN)
        for part in _PARTS:
            for file in sorted((root / part).glob("*.py")) if (root / part).is_dir() else [root / part]:
                archive.write(file, f"coreos_kit/{file.relative_to(root)}")
    return program.getvalue()


def script(
    program: str, state: str, *, speed: float = 1, machine_id: str = "", python: str = "python3"
) -> str:
    """Return a script to be called `fleetctl`: the double, told where its state is and on whose machine."""
    settings = {
        "COREOS_KIT_FLEETCTL_STATE": state,
        "COREOS_KIT_FLEETCTL_SPEED": f"{speed:g}",
        "COREOS_KIT_FLEETCTL_MACHINE": machine_id,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    return f'#!/bin/sh\nexec env {shlex.join([*words, *shlex.split(python), program])} "$@"\n'
