"""Whether [X-Fleet] says what its author means: fleet passes over most mistakes without a word."""

from collections.abc import Iterator

from coreos_kit.errors import InvalidUnit
from coreos_kit.model import names
from coreos_kit.spelling import nearest
from coreos_kit.units import globs, x_fleet
from coreos_kit.units.fleet_hash import fleet_options
from coreos_kit.units.lint.finding import Finding, Source
from coreos_kit.units.unit_file import Option

_LEGACY = dict.fromkeys(x_fleet.MACHINE_ID[1:], "MachineID") | {
    keys[0]: keys[1] for keys in (x_fleet.MACHINE_OF, x_fleet.MACHINE_METADATA, x_fleet.CONFLICTS)
}
_MODERN = x_fleet.KEYS - _LEGACY.keys()
_FALSE = frozenset({"false", "no", "0", "off", "f"})


def check(source: Source) -> Iterator[Finding]:
    """Yield what is wrong with the section."""
    try:
        fleet_options(source.unit.text)
    except InvalidUnit:
        return  # what can't be read is another rule's finding
    options = source.unit.options(x_fleet.SECTION)
    if options and (reason := x_fleet.refusal(source.unit.text)):
        yield source.error(_line_of(reason, options), "x-fleet", f"fleet refuses the unit: {reason}")
    for option in options:
        yield from _option(source, option)


def _line_of(reason: str, options: tuple[Option, ...]) -> int:
    """Return the last line that takes part in the contradiction, which is where it arises."""
    words = reason.replace("Peers", "MachineOf").replace("peer ", "MachineOf ").split()
    involved = [o.line for o in options if _LEGACY.get(o.name, o.name) in words]
    return max(involved, default=options[0].line)


def _option(source: Source, option: Option) -> Iterator[Finding]:
    if option.name not in x_fleet.KEYS:
        meant = nearest(option.name, _MODERN, key=str.lower)
        hint = f"Did you mean {meant}=?" if meant else f"fleet knows {', '.join(sorted(_MODERN))}."
        yield source.error(option.line, "x-fleet-key", f"fleet knows no {option.name}= and ignores it", hint)
        return
    if modern := _LEGACY.get(option.name):
        message = f"{option.name}= is the spelling of before fleet 0.8"
        yield source.warning(option.line, "x-fleet-legacy", message, f"Write {modern}=.")
    for value in x_fleet.split_values(option.value):
        if option.name in x_fleet.MACHINE_METADATA:
            yield from _metadata(source, option, value)
        elif option.name in x_fleet.MACHINE_OF:
            yield from _peer(source, option, value)
        elif option.name in x_fleet.CONFLICTS:
            yield from _conflicts(source, option, value)
        elif option.name in x_fleet.REPLACES:
            yield from _glob(source, option, value)
        elif option.name in x_fleet.GLOBAL and value.lower() not in x_fleet.TRUE | _FALSE:
            hint = "Write Global=true."
            yield source.error(option.line, "global", f"Global={value} is taken for false by fleet", hint)


def _metadata(source: Source, option: Option, value: str) -> Iterator[Finding]:
    if x_fleet.metadata_pair(value):
        return
    pairs = [word for word in value.split() if x_fleet.metadata_pair(word)]
    quoted = " ".join(f'"{pair}"' for pair in pairs)
    hint = f"Write MachineMetadata={quoted}." if len(pairs) > 1 else "Write MachineMetadata=key=value."
    yield source.error(
        option.line,
        "metadata-ignored",
        f"{value!r} is not one key=value; fleet ignores it without a word",
        hint,
    )


def _peer(source: Source, option: Option, value: str) -> Iterator[Finding]:
    expanded = source.name.expand(value).replace("%i", "i") if source.name else value
    if reason := names.refusal(expanded):
        several = len(value.split()) > 1
        hint = (
            "Write one MachineOf= line for each unit."
            if several
            else "MachineOf= takes exact names, no patterns."
        )
        message = f"{value!r} can be no unit's name, so this one is never placed: {reason}"
        yield source.error(option.line, "machine-of", message, hint)


def _conflicts(source: Source, option: Option, value: str) -> Iterator[Finding]:
    patterns = value.split()
    if len(patterns) > 1:
        hint = "Write one Conflicts= line for each pattern."
        message = f"{value!r} is several patterns to fleet 1.0 alone; before, it is one that matches nothing"
        yield source.warning(option.line, "conflicts-split", message, hint)
    for pattern in patterns:
        yield from _glob(source, option, pattern)


def _glob(source: Source, option: Option, pattern: str) -> Iterator[Finding]:
    if "[!" in pattern:
        hint = f"Write {pattern.replace('[!', '[^')}."
        message = f"in {option.name}={pattern} the ! is a character like any other; a class is negated by ^"
        yield source.error(option.line, "glob-negation", message, hint)
    elif globs.is_malformed(pattern):
        yield source.error(option.line, "glob", f"{option.name}={pattern} is malformed and matches nothing")
