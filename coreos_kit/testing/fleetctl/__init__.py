"""A `fleetctl` for tests: it keeps a cluster in a folder and answers as fleet 1.0.0 does, traps included.

Nothing is run: units, machines and their states are only told of. tests/contracts/test_fleetctl_replay.py
holds it to the record, tests/lab/test_fleetctl_real.py to a real fleet where there is one.

From Python, with a clock of your own:

    state = StateFolder(folder, clock)
    state.create({"305932de…": ("192.0.2.13", {"region": "lab"})})
    code = Fleetctl(state, working_directory, out=out, err=err).run(["list-machines"])

As a program: `python -m coreos_kit.testing.fleetctl list-machines`, which finds the folder in
COREOS_KIT_FLEETCTL_STATE and runs COREOS_KIT_FLEETCTL_SPEED times as fast as the world. `packing.packed()`
is the same in one file, for a machine that has python3 and no coreos_kit.
"""

from coreos_kit.testing.fleetctl.processes import Story
from coreos_kit.testing.fleetctl.program import Fleetctl
from coreos_kit.testing.fleetctl.state import StateFolder

__all__ = ["Fleetctl", "StateFolder", "Story"]
