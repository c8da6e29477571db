"""Whether systemd knows the settings, and can read what they are given: what it can't, it ignores.

It says so in the journal, and runs the unit without the line. A name that is not in the table may be of a
newer systemd; a value is an error only if no version that the table has can read it.
"""

import re
from collections.abc import Iterator

from coreos_kit.spelling import nearest
from coreos_kit.units.lint.finding import Finding, Source
from coreos_kit.units.lint.known_settings import SETTINGS, WORDS, sections_of
from coreos_kit.units.unit_file import Option

_FATAL = frozenset(
    {"DynamicUser"}
)  # without the line the unit would run as root, so systemd runs it not at all
_FOREIGN_PREFIX = "X-"  # systemd.unit(5): left alone

_BOOLEANS = frozenset({"1", "yes", "y", "true", "t", "on", "0", "no", "n", "false", "f", "off"})

# systemd.time(7). A number without a unit ends at a blank; the units are case-sensitive.
_TIME_UNITS = (
    "usec|us|µs|μs|msec|ms|seconds|second|sec|s|minutes|minute|min|months|month|M|m|hours|hour|hr|h|"
    "days|day|d|weeks|week|w|years|year|y"
)
_TIME = re.compile(
    rf"infinity|(?:(?:\+?[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[ \t]*(?:{_TIME_UNITS})[ \t]*|[ \t]+|\Z))+"
)

_NUMBER = re.compile(r"[+-]?[0-9][0-9A-Za-z]*")
_OCTAL = re.compile(r"(?<![0-9A-Za-z])0(?=[0-9])")
_LARGEST_NUMBER = 2**32 - 1

# signal(7), without the aliases (CLD, POLL, IOT), which systemd does not know.
_SIGNAL_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN "
    "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
_SIGNALS = frozenset(f"SIG{name}" for name in _SIGNAL_NAMES.split())
_FAR_SIGNALS = frozenset({"SIGRTMIN+30", "SIGRTMAX-30"})
_REAL_TIME_SIGNAL = re.compile(r"RT(?:MIN(\+.+)?|MAX(-.+)?)")
_LAST_SIGNAL, _REAL_TIME_SIGNALS = 64, 31

_COMMENT = re.compile(r"[ \t][#;]")
_HINTS = {
    "boolean": "Write {name}=yes or {name}=no.",
    "time": "Write seconds, a time like 1min 30s, or infinity.",
    "number": f"Write a whole number up to {_LARGEST_NUMBER}.",
    "signal": "Write a signal's name or its number, e.g. SIGTERM or 15.",
}


def check(source: Source) -> Iterator[Finding]:
    """Yield what systemd ignores within its own sections; whole sections are another rule's finding."""
    if source.name is None:
        return
    sections = sections_of(source.name.type)
    for option in source.unit.all_options:
        if option.section not in sections or option.name.startswith(_FOREIGN_PREFIX):
            continue
        kind = SETTINGS[option.section].get(option.name)
        if kind is None:
            message = f"systemd knows no setting {option.name}= in [{option.section}] and ignores it"
            yield source.warning(option.line, "setting", message, _meant_name(option, sections))
        elif not _is_readable(kind, option):
            does = "refuses the unit" if option.name in _FATAL else "ignores it"
            message = f"systemd can't read {option.name}={option.value} and {does}"
            yield source.error(option.line, "setting-value", message, _meant_value(kind, option))


def _meant_name(option: Option, sections: frozenset[str]) -> str:
    homes = [section for section in SETTINGS if option.name in SETTINGS[section]]
    for section in homes:
        if section in sections:
            return f"{option.name}= belongs in [{section}]."
    if homes:
        return f"{option.name}= belongs in [{homes[0]}] of a {homes[0].lower()} unit."
    known = {name: section for section in sorted(sections) for name in SETTINGS[section]}
    known |= dict.fromkeys(SETTINGS[option.section], option.section)
    meant = nearest(option.name, known, key=str.lower)
    if not meant:
        return ""
    where = "" if known[meant] == option.section else f" in [{known[meant]}]"
    return f"Did you mean {meant}={where}?"


def _meant_value(kind: str, option: Option) -> str:
    if _COMMENT.search(option.value):
        return "Give the comment a line of its own: here it is part of the value."
    known = WORDS[option.name] if kind == "word" else frozenset()
    choices = _SIGNALS | _FAR_SIGNALS if kind == "signal" else known
    if meant := nearest(option.value, choices, key=str.lower):
        return f"Did you mean {option.name}={meant}?"
    if kind == "word":
        return f"It takes {', '.join(sorted(known))}."
    return _HINTS[kind].format(name=option.name)


def _is_readable(kind: str, option: Option) -> bool:
    value = option.value
    if not value or "%" in value:  # a reset; or what it becomes is not known here
        return True
    match kind:
        case "word":
            return any(_is_word(value, word) for word in WORDS[option.name])
        case "boolean":
            return value.lower() in _BOOLEANS
        case "time":
            return _TIME.fullmatch(value) is not None
        case "number":
            return 0 <= _number(value, otherwise=-1) <= _LARGEST_NUMBER
        case "signal":
            return _is_signal(value)
    return True


def _is_word(value: str, word: str) -> bool:
    stem = word.removesuffix("…")
    return value == word if stem == word else value.startswith(stem)


def _number(text: str, *, otherwise: int) -> int:
    """Read a number as C does, where 010 is 8."""
    if not _NUMBER.fullmatch(text):
        return otherwise
    try:
        return int(_OCTAL.sub("0o", text), 0)
    except ValueError:
        return otherwise


def _is_signal(value: str) -> bool:
    if 1 <= _number(value, otherwise=0) <= _LAST_SIGNAL:
        return True
    name = value.removeprefix("SIG")
    if found := _REAL_TIME_SIGNAL.fullmatch(name):
        return abs(_number(found[1] or found[2] or "0", otherwise=99)) < _REAL_TIME_SIGNALS
    return f"SIG{name}" in _SIGNALS
