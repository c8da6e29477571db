"""Exec lines as systemd reads them, from Exec…= to argv, so that a test can run what a unit would run.

Facts: systemd 252, src/basic/extract-word.c, src/basic/env-util.c (replace_env_argv), man systemd.service.
"""

import re
from collections.abc import Iterator, Mapping

_BLANK = " \t\n\r"
# fmt: off
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}
# fmt: on
_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_WORD_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def exec_argv(value: str, specifiers: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return the argv of one Exec line, without the prefix that says how failure counts.

    `value` is the directive's, with continued lines joined; `specifiers` maps letters: ``{"i": "7777"}``.
    Raises `ValueError` for what systemd refuses.
    """
    argv: list[str] = []
    for word in _words(value.lstrip("@-:+!")):
        expanded = _specified(word, specifiers)
        if whole := _WORD_VARIABLE.fullmatch(expanded):
            argv += environment.get(whole[1], "").split()
        else:
            argv.append(_VARIABLE.sub(lambda found: found[1] or environment.get(found[2], ""), expanded))
    return argv


def _words(line: str) -> Iterator[str]:
    at = 0
    while at < len(line):
        if line[at] in _BLANK:
            at += 1
            continue
        if line[at] == ";" and line[at + 1 : at + 2] in {"", *_BLANK}:
            raise ValueError("a second command begins")
        word, at = _word(line, at)
        yield word


def _word(line: str, at: int) -> tuple[str, int]:
    word, quote = "", ""
    while at < len(line):
        char = line[at]
        at += 1
        if char == "\\":
            text, at = _unescaped(line, at)
            word += text
        elif char == quote:
            quote = ""
        elif quote:
            word += char
        elif char in "'\"":
            quote = char
        elif char in _BLANK:
            return word, at
        else:
            word += char
    if quote:
        raise ValueError(f"a {quote} is never closed")
    return word, at


def _unescaped(line: str, at: int) -> tuple[str, int]:
    letter = line[at : at + 1]
    if letter in _ESCAPES and letter:
        return _ESCAPES[letter], at + 1
    if letter == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", line[at + 1 : at + 3]):
        return chr(int(line[at + 1 : at + 3], 16)), at + 3
    raise ValueError(f"systemd knows no escape \\{letter}")


def _specified(word: str, specifiers: Mapping[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        letter = found[1]
        if letter == "%":
            return "%"
        if letter not in specifiers:
            raise ValueError(f"no value for %{letter}")
        return specifiers[letter]

    return re.sub(r"%([A-Za-z0-9%])", one, word)
