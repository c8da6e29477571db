"""The outside world, one library each. Only `cli.wiring` picks among them."""
