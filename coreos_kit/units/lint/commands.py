"""What systemd does to command lines before anything runs: specifiers, variables, and no shell."""

import re
from collections.abc import Iterator
from itertools import pairwise

from coreos_kit.units.lint.finding import Finding, Source
from coreos_kit.units.unit_file import Option

# What systemd 252 takes, tried one by one. Another letter or digit after % makes it refuse the line (since
# 236); what is neither is left as it is. %D came with 255, so on Debian 12 it is refused too.
_SPECIFIERS = frozenset("aAbBCdEfgGhHiIjJlLmMnNopPqsStTuUvVwWyY%")
_DEPRECATED = frozenset("crR")
_SPECIFIER = re.compile(r"%([0-9A-Za-z%])")
_DATE_FORMAT = re.compile(r"\bdate\b[^;|&]*\+[\"']?%[A-Za-z]")

_SHELL_SYNTAX = frozenset({"&&", "||", "|", ">", ">>", "<", "2>&1", "&"})
_SHELL = re.compile(r"(.*/)?(ba|da|z|k|a)?sh")
_BRACED = re.compile(r"(?<!\$)(?:\$\$)*\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE_IN_WORD = re.compile(
    r"(?:(?<=[^$])\$([A-Za-z_][A-Za-z0-9_]*)|^\$([A-Za-z_][A-Za-z0-9_]*)(?=[^A-Za-z0-9_]))"
)


def check(source: Source) -> Iterator[Finding]:
    """Yield what will surprise whoever wrote the commands."""
    for option in source.unit.all_options:
        if not option.section.startswith("X-"):
            yield from _specifiers(source, option)
        if option.section == "Service" and option.name.startswith("Exec"):
            yield from _command(source, option)
    for option in source.unit.options("Service"):
        if option.name == "KillMode" and option.value == "none":
            message = (
                "with KillMode=none what ExecStop= leaves running is never killed; today's systemd warns"
            )
            yield source.warning(option.line, "kill-mode-none", message, "Write KillMode=mixed.")


def _specifiers(source: Source, option: Option) -> Iterator[Finding]:
    for found in _SPECIFIER.finditer(option.value):
        if found[1] in _DEPRECATED:
            message = f"{found[0]} in {option.name}= no longer gives what it once did; systemd warns"
            yield source.warning(
                option.line, "specifier", message, f"Write %{found[0]} for {found[0]} as it stands."
            )
        elif found[1] not in _SPECIFIERS:
            message = f"systemd knows no {found[0]} and refuses the whole {option.name}="
            yield source.error(
                option.line, "specifier", message, f"Write %{found[0]} for {found[0]} as it stands."
            )
    if _DATE_FORMAT.search(option.value):
        message = f"{option.name}= formats a date with a single %, which systemd takes for a specifier"
        yield source.error(option.line, "specifier", message, "Write %% for each %.")


def _command(source: Source, option: Option) -> Iterator[Finding]:
    words = split_command(option.value.lstrip("@-+!:"))
    if option.value.lstrip("@-+!").startswith(":"):
        return  # no variables are replaced
    script = shell_script(words)
    for word in words:
        yield from _braced(source, option, word, script)
    if script is None and words:
        yield from _without_shell(source, option, words)


def _braced(source: Source, option: Option, word: str, script: str | None) -> Iterator[Finding]:
    for found in _BRACED.finditer(word):
        name = found[1]
        hint = f"Write $${{{name}}} where the shell is to replace it."
        if ":" in name:  # which ends systemd's interest: the shell sees it as it is written
            if script is None:
                message = f"systemd does not replace ${{{name}}}: it knows no more than ${{NAME}}"
                yield source.error(option.line, "dollar", message, "Write /bin/sh -c '…' around the command.")
        elif not _NAME.fullmatch(name):
            message = f"systemd replaces ${{{name}}} by nothing: it is no variable's name"
            yield source.error(option.line, "dollar", message, hint)
        elif script is not None and _assigns(script, name):
            message = f"systemd replaces ${{{name}}} before the shell has set {name}"
            yield source.error(option.line, "dollar", message, hint)


def _assigns(script: str, name: str) -> bool:
    return (
        re.search(rf"(?:^|[\s;&|(])(?:{name}=|for\s+{name}\b|read\s+(?:-\S+\s+)*{name}\b)", script)
        is not None
    )


def _without_shell(source: Source, option: Option, words: list[str]) -> Iterator[Finding]:
    for word in words[1:]:
        if word in _SHELL_SYNTAX:
            message = f"{option.name}= is run without a shell: {word!r} becomes an argument of {words[0]}"
            yield source.error(option.line, "no-shell", message, "Write /bin/sh -c '…' around it.")
            return
    for word in words:
        if found := _BARE_IN_WORD.search(word):
            name = found[1] or found[2]
            message = f"systemd replaces ${name} only where it stands alone, not within {word!r}"
            yield source.error(option.line, "dollar", message, f"Write ${{{name}}}.")


def shell_script(words: list[str]) -> str | None:
    """Return what a shell is given to run, None if the command is no ``sh -c``."""
    if not words or not _SHELL.fullmatch(words[0]):
        return None
    for option, script in pairwise(words[1:]):
        if re.fullmatch(r"-[a-z]*c", option):
            return script
    return None


def split_command(line: str) -> list[str]:
    """Split a command line into words as systemd does: quotes of both kinds, backslash escapes in either."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(line)
    for character in characters:
        if character == "\\":
            word = (word or "") + next(characters, "")
        elif quote:
            quote, word = ("", word) if character == quote else (quote, (word or "") + character)
        elif character in "\"'":
            quote, word = character, word or ""
        elif not character.isspace():
            word = (word or "") + character
        elif word is not None:
            words.append(word)
            word = None
    return [*words, word] if word is not None else words
