"""fleetctl's command line: which flags each command takes, and what it says of others.

Up to 0.12 fleetctl read its flags with Go's `flag` (one dash or two, before the arguments, code 2 for a
wrong one); since 0.13 with pflag: two dashes, anywhere, and code 0 for a wrong one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BLOCKING = {"no-block": False, "block-attempts": 0}
_LISTING = {"full": False, "l": False, "no-legend": False, "fields": ""}
_SSH = {"ssh-port": 22}
_GLOBAL: Mapping[str, object] = {
    "debug": False,
    "driver": "API",
    "endpoint": "unix:///var/run/fleet.sock",
    "request-timeout": 3.0,
    "ssh-timeout": 10.0,
    "ssh-username": "core",
    "strict-host-key-checking": True,
    "known-hosts-file": "",
    "tunnel": "",
    "version": False,
}
COMMANDS: Mapping[str, Mapping[str, object]] = {
    "cat": {},
    "destroy": _BLOCKING,
    "journal": {"lines": 10, "follow": False, "f": False, "sudo": False, "output": "short", **_SSH},
    "list-machines": {**_LISTING, "fields": "machine,ip,metadata"},
    "list-unit-files": {
        **{flag: value for flag, value in _LISTING.items() if flag != "l"},
        "fields": "unit,hash,dstate,state,target",
    },
    "list-units": {**_LISTING, "fields": "unit,machine,active,sub"},
    "load": {**_BLOCKING, "replace": False, "sign": False},
    "restart": {"block-attempts": 0},
    "start": {**_BLOCKING, "replace": False, "sign": False},
    "status": _SSH,
    "stop": _BLOCKING,
    "submit": {"replace": False, "sign": False},
    "unload": _BLOCKING,
    "version": {},
}
SINCE_0_13 = frozenset({"replace"})
SINCE_1_0 = frozenset({"restart"})


class WrongUsage(Exception):
    """fleetctl does not understand its command line; the text is what it prints."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command line as fleetctl understands it."""

    command: str
    args: tuple[str, ...] = ()
    switches: frozenset[str] = frozenset()
    attempts: int = 0
    fields: str = ""
    endpoint: str = "unix:///var/run/fleet.sock"

    @property
    def is_full(self) -> bool:
        """Whether ids and hashes are printed whole."""
        return bool(self.switches & {"full", "l"})


def parse(argv: Sequence[str], version: tuple[int, ...]) -> Asked:
    """Read a command line; raise `WrongUsage` where that version would."""
    if argv[:1] in (["--version"], ["-v"]):
        return Asked("version")
    known, command, args = dict(_GLOBAL), "", []
    words: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            args += rest
            break
        if word.startswith("-") and word != "-":
            name = _flag(word, known, version)
            words[name] = _value(word, name, known[name], rest)
        elif command:
            args.append(word)
        else:
            command = word
            if command not in COMMANDS or (command in SINCE_1_0 and version < (1,)):
                raise WrongUsage(_unknown_command(command, version))
            known |= COMMANDS[command]
    if not command:
        raise WrongUsage("")
    return Asked(
        command,
        tuple(args),
        frozenset(name for name, value in words.items() if known[name] is False and value == "true"),
        int(words.get("block-attempts", 0)),
        words.get("fields", str(known.get("fields", ""))),
        words.get("endpoint", str(known["endpoint"])),
    )


def _flag(word: str, known: Mapping[str, object], version: tuple[int, ...]) -> str:
    """Return a flag's name."""
    name = word.lstrip("-").partition("=")[0]
    if not word.startswith("--") and version >= (0, 13):
        raise WrongUsage(_wrong(f"unknown shorthand flag: {word[1]!r} in {word}"))
    if name not in known or (name in SINCE_0_13 and version < (0, 13)):
        raise WrongUsage(_wrong(f"unknown flag: --{name}"))
    return name


def _value(word: str, name: str, default: object, rest: list[str]) -> str:
    """Return a flag's value, which may be the next word."""
    _, equals, value = word.partition("=")
    if not equals:
        value = "true" if isinstance(default, bool) else rest.pop(0) if rest else ""
    if isinstance(default, int) and not isinstance(default, bool) and not _is_number(value):
        number = f'strconv.ParseInt: parsing "{value}": invalid syntax'
        raise WrongUsage(_wrong(f'invalid argument "{value}" for --{name}: {number}'))
    return value


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit()


def _wrong(said: str) -> str:
    return f"Error: {said}\n\ncannot execute cmdFleet: {said}\n"


def _unknown_command(command: str, version: tuple[int, ...]) -> str:
    if version < (0, 13):
        return f'fleetctl: unknown subcommand: "{command}"\nRun "fleetctl help" for usage.\n'
    said = f'unknown command "{command}" for "fleetctl"'
    alike = [name for name in sorted(COMMANDS) if name.startswith(command)]
    meant = "".join(f"\t{name}\n" for name in alike)
    suggestion = f"\nDid you mean this?\n{meant}\n" if alike else ""
    hint = "Run 'fleetctl --help' for usage."
    return f"Error: {said}\n{suggestion}{hint}\ncannot execute cmdFleet: {said}\n{suggestion}"
