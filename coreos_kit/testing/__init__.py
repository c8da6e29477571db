"""Fakes that keep the promises of `coreos_kit.ports`, for our tests and for yours."""
