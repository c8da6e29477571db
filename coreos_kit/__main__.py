"""The way in, as `coreos-kit` and as `python -m coreos_kit`."""

from coreos_kit.cli.main import main

if __name__ == "__main__":
    main()
