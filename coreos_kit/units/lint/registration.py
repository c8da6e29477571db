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
_KEY_VARIABLE = re.compile(r"(?:^|[\s;&|])key=([^\s;&|]+)", re.IGNORECASE)
_REACHES_ETCD = re.compile(r"\betcdctl\b|/v2/keys/|/v3/kv/")
_WRITES = re.compile(r"\b(set|mk|update|put|PUT)\b")
_UNCLEAR = re.compile(r"\b(trap|txn|kill)\b")
_TTL = re.compile(r"(?:--ttl[ =]|\blease grant |\bttl=)\s*[\"']?(\d+)\b")
_RENEW = re.compile(r"\brenew=(\d+)\b")
_SLEEP = re.compile(r"\bsleep\s+[\"']?(\d+)(?![\d.])")
_V2_URL = re.compile(r"/v2/keys(/[^\s\"'?]+)")
_METHOD = re.compile(r"(?:-X\s*|--request[ =])[\"']?(PUT|POST|DELETE)\b")
_VARIABLE = re.compile(r"\$+\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Registration:
    """The keys that a sidekick sets and removes, how long they live, and how often they are renewed."""

    line: int
    sets: frozenset[str]
    removes: frozenset[str]
    is_opaque: bool  # something is done that this can't follow: a transaction, a trap, a signal
    ttl_s: int | None
    renew_s: int | None


def registration_of(source: Source) -> Registration | None:
    """Read the registration from the unit's commands; None for a unit that registers nothing."""
    starts = [option for option in source.unit.options("Service") if option.name == "ExecStart"]
    stops = [
        option for option in source.unit.options("Service") if option.name in {"ExecStop", "ExecStopPost"}
    ]
    start = _text_of(option.value for option in starts)
    stop = _text_of(option.value for option in stops)
    if not (_REACHES_ETCD.search(start) and _WRITES.search(start)):
        return None
    sets = _keys(start, _SETS)
    return Registration(
        line=starts[0].line,
        sets=sets,
        removes=_keys(stop, _REMOVES),
        is_opaque=not sets or bool(_UNCLEAR.search(start) or _UNCLEAR.search(stop)),
        ttl_s=_largest(_TTL, start),
        renew_s=_largest(_RENEW, start) or _largest(_SLEEP, start),
    )


def _largest(pattern: re.Pattern[str], text: str) -> int | None:
    return max((int(found) for found in pattern.findall(text)), default=None)


def _text_of(commands: Iterable[str]) -> str:
    return " ; ".join(_without_variables(_shell_text(command)) for command in commands)


def _keys(text: str, verbs: frozenset[str]) -> frozenset[str]:
    """Return the keys that commands of these verbs name; failing those, what a variable `key` holds."""
    effects = [_effect(segment) for segment in re.split(r"[;|&\n]+", text)]
    keys = {key for verb, key in effects if verb in verbs}
    if not keys and _REACHES_ETCD.search(text):
        keys = set(_KEY_VARIABLE.findall(text))
    return frozenset(_plain(key) for key in keys)


def _plain(key: str) -> str:
    return _VARIABLE.sub(r"${\1}", re.sub(r"[\"'\\]", "", key))


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
