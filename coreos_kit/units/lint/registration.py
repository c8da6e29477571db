"""What a sidekick's commands do to etcd, as far as their text tells."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from coreos_kit.units.lint.commands import shell_script, split_command
from coreos_kit.units.lint.finding import Source

_SETS = frozenset({"set", "mk", "update", "put"})
_REMOVES = frozenset({"rm", "del"})
_TAKES_VALUE = frozenset(
    {"--ttl", "--lease", "--with-value", "--with-index", "--swap-with-value", "--swap-with-index"}
)
_ASSIGNED = re.compile(r"(?:^|[\s;&|])([A-Za-z_]\w*)=([^\s;&|]+)")
_TTL = re.compile(r"(?:--ttl[ =]|\blease grant |\bttl=)\s*[\"']?(\d+)")
_SLEEP = re.compile(r"\bsleep\s+(\d+)\b")
_V2_URL = re.compile(r"/v2/keys(/[^\s\"'?]+)")
_METHOD = re.compile(r"(?:-X\s*|--request[ =])[\"']?(PUT|POST|DELETE)\b")


@dataclass(frozen=True, slots=True)
class Registration:
    """The keys that a sidekick sets and removes, how long they live, and how often they are renewed."""

    line: int
    sets: frozenset[str]
    removes: frozenset[str]
    is_opaque: bool  # something is done that this can't follow: a transaction, a trap, a variable
    ttl_s: int | None
    renew_s: int | None


def registration_of(source: Source) -> Registration | None:
    """Read the registration from the unit's commands; None for a unit that sets no key."""
    starts = [option for option in source.unit.options("Service") if option.name == "ExecStart"]
    stops = [
        option for option in source.unit.options("Service") if option.name in {"ExecStop", "ExecStopPost"}
    ]
    start = _Script.of(option.value for option in starts)
    stop = _Script.of(option.value for option in stops)
    if not start.sets:
        return None
    return Registration(
        line=starts[0].line,
        sets=start.sets,
        removes=stop.removes,
        is_opaque=start.is_opaque or stop.is_opaque,
        ttl_s=_largest(_TTL, start.text),
        renew_s=_largest(_SLEEP, start.text),
    )


def _largest(pattern: re.Pattern[str], text: str) -> int | None:
    return max((int(found) for found in pattern.findall(text)), default=None)


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sets: frozenset[str]
    removes: frozenset[str]
    is_opaque: bool

    @classmethod
    def of(cls, commands: Iterable[str]) -> "_Script":
        text = " ; ".join(_without_variables(_shell_text(command)) for command in commands)
        found = [_effect(segment) for segment in re.split(r"[;|&\n]+", text)]
        sets = frozenset(key for verb, key in found if verb in _SETS)
        removes = frozenset(key for verb, key in found if verb in _REMOVES)
        unclear = any("$$" in key for key in sets | removes) or re.search(r"\b(trap|txn|kill)\b", text)
        return cls(text, sets, removes, bool(unclear))


def _shell_text(command: str) -> str:
    words = split_command(command.lstrip("@-+!:"))
    script = shell_script(words)
    return " ".join(words) if script is None else script


def _without_variables(script: str) -> str:
    """Put in what the script itself has assigned: ``K=/a; put $$K`` -> ``put /a``."""
    for name, value in _ASSIGNED.findall(script):
        script = re.sub(rf"\$\$?(?:{name}\b|\{{{name}\}})", lambda _, value=value: value, script)  # type: ignore[misc]
    return script


def _effect(segment: str) -> tuple[str, str]:
    """Return (verb, key) of one command, ("", "") if it does nothing to a key."""
    if (url := _V2_URL.search(segment)) and (method := _METHOD.search(segment)):
        return ("del" if method[1] == "DELETE" else "set"), url[1]
    words = iter(split_command(segment.replace("\\", "")))
    if not any(word.rpartition("/")[2] == "etcdctl" for word in words):
        return "", ""
    verb = next((word for word in words if word in _SETS | _REMOVES), "")
    for word in words:
        if word in _TAKES_VALUE:
            next(words, "")
        elif not word.startswith("-"):
            return verb, word
    return "", ""
