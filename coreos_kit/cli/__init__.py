"""The command line: parse, one call, show. Heavy imports stand inside the commands that need them."""
