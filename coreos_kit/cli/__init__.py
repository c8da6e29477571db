"""The command line: parse, one call, show. Heavy imports stand inside the commands that need them."""

from coreos_kit.cli.main import main

__all__ = ["main"]
