"""Unit files as text: parsed, serialised, hashed, rendered, linted. Nothing here runs one."""
