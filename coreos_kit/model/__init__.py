"""Frozen values, checked where they enter and passed on as they are."""
