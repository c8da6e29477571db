"""The one place where an error becomes a message and an exit code."""

import sys
from collections.abc import Sequence

from coreos_kit.cli.app import app
from coreos_kit.cli.settings import hoist, wants_json
from coreos_kit.errors import KitError


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; show any `KitError` once, here, and exit with its code."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        app(args=hoist(words), prog_name="coreos-kit")
    except KitError as error:
        from coreos_kit.cli.output import show_error

        show_error(error, as_json=wants_json(words))
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        sys.stderr.close()
        raise SystemExit(141) from None
