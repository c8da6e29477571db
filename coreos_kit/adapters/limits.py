"""How much the kit takes in before it says that something is wrong."""

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
"""What one command may print: far above any snapshot, far below what a workstation has."""

MAX_KEYS = 100_000
"""How many etcd keys one question may bring."""
