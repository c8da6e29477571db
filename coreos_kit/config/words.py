"""What the strings of a coreos-kit.toml may look like: names, images, commands, paths.

Every pattern is narrow enough for the value to go where it goes (the name of a unit or container, a key of
etcd, an argument of a command) without changing what stands around it.
"""

import re
import shlex
from typing import Any

from coreos_kit.config.addresses import DOMAIN, HIGHEST_PORT
from coreos_kit.config.findings import Place, kind_of
from coreos_kit.config.reading import LONGEST, checked, matching, unprintable
from coreos_kit.units import globs

NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
NAME_ALLOWED = "lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63"
MACHINE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}"
MACHINE_NAME_ALLOWED = "letters, digits and _ . : -, beginning with a letter or digit, at most 63"
TEMPLATE_UNIT = r"[0-9A-Za-z:_.\\-]{1,200}@\.(?:service|socket|target|timer|path)"
TEMPLATE_UNIT_ALLOWED = "the name of a template unit, such as worker@.service"
ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
ENV_NAME_ALLOWED = "letters, digits and _, not beginning with a digit"
METADATA_WORD = r"[A-Za-z0-9_./:@+~-]{1,255}"
METADATA_ALLOWED = "letters, digits and _ . / : @ + ~ -"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_PREFIX = rf"(?:{DOMAIN}(?::[1-9][0-9]{{0,4}})?|{_COMPONENT})(?:/{_COMPONENT})*"
_PORT_IN_PREFIX = re.compile(r"[^/]*:([0-9]+)")
_LONGEST_REFERENCE = 255

# What the kit sets itself on every container that it runs.
_KITS_OWN_ARGS = ("--name", "--detach", "-d", "--restart", "--cidfile")

name = matching(NAME, NAME_ALLOWED)
lab_name = matching(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", "lower-case letters, digits and -, at most 32")
image = matching(
    rf"{_COMPONENT}(?:/{_COMPONENT})*(?::{_TAG})?",
    "the name of a folder in images/ as name or name:tag",
    longest=_LONGEST_REFERENCE,
)
base_image = matching(
    rf"{_PREFIX}(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?",
    "an image as docker names it, such as debian:bookworm-slim",
)
volume = matching(
    r"(?:/[A-Za-z0-9_./@+~,-]*|[A-Za-z0-9][A-Za-z0-9_.-]*):/[A-Za-z0-9_./@+~,-]*(?::[A-Za-z,]+)?",
    "/path/here:/path/there or volume:/path/there, with :ro or other options behind",
)
health_path = matching(
    r"/[A-Za-z0-9._~/?&=+,:@-]*",
    "a path of a URL that begins with / and has only letters, digits and - . _ ~ / ? & = + , : @",
)
machine_id = matching(
    r"[0-9a-f]{32}|[0-9a-f]{8}", "the 32 lower-case hex digits of /etc/machine-id, or the first 8 of them"
)
metadata_pair = matching(rf"{METADATA_WORD}={METADATA_WORD}", f"key=value, of {METADATA_ALLOWED}")
metadata_value = matching(METADATA_WORD, METADATA_ALLOWED)
sha256 = matching(r"[0-9a-f]{64}", "64 lower-case hex digits")
username = matching(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", "letters, digits and _ . @ -")


def _image_prefix(text: str) -> str | None:
    port = _PORT_IN_PREFIX.match(text)
    valid = re.fullmatch(_PREFIX, text, re.ASCII) and not (port and int(port[1]) > HIGHEST_PORT)
    if not text or (valid and len(text) <= _LONGEST_REFERENCE):
        return None
    return (
        "an account such as user_name, or a registry such as registry.example:5000/team, without / at the end"
    )


image_prefix = checked(_image_prefix)


def _command(text: str) -> str | None:
    if allowed := unprintable(text):
        return allowed
    try:
        words = shlex.split(text)
    except ValueError:
        return "a command whose quotes are closed and that doesn't end in a backslash"
    if text.rstrip().endswith("\\"):
        return "a command that doesn't end in a backslash"
    return "one command: systemd takes a word ; for the end of it" if ";" in words else None


command = checked(_command)


def _run_arg(text: str) -> str | None:
    if not text:
        return "an argument for docker run, not empty"
    if allowed := unprintable(text):
        return allowed
    option, _, value = text.partition(" ")
    if text.startswith("-") and value and "=" not in option:
        return f'one argument an element: "{option}", "{value}"'
    if option.partition("=")[0] in _KITS_OWN_ARGS:
        return f"arguments other than {', '.join(_KITS_OWN_ARGS)}: the kit sets those itself"
    return None


run_arg = checked(_run_arg)


def _conflict(text: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9:_.\\@*?\[\]^-]+", text, re.ASCII):
        return "a unit's name or a pattern of one, such as apache@*.service"
    if globs.is_malformed(text) or text.endswith("\\"):
        return "a well-formed pattern: *, ?, [a-z], [^a-z], with every [ closed"
    return None


conflict = checked(_conflict)


def _prefix(text: str) -> str | None:
    if re.fullmatch(r"(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)+", text, re.ASCII) is None:
        return "a path such as /services/apache, of letters, digits and _ . -, without // and / at the end"
    if text == "/coreos-kit" or text.startswith("/coreos-kit/"):
        return "a path outside /coreos-kit, where the kit keeps its lock and its releases"
    return None


registration_prefix = checked(_prefix)


def _path(text: str) -> str | None:
    return "a path to a file, not empty" if not text else unprintable(text)


path = checked(_path)
env_name = matching(ENV_NAME, ENV_NAME_ALLOWED)


def _command_word(text: str) -> str | None:
    return "a word of a command, not empty" if not text else unprintable(text)


command_word = checked(_command_word)


def secret_name(value: Any, place: Place) -> str | None:
    """Read the name of a secret. It may be the secret itself, put in the wrong place: it is not shown."""
    if isinstance(value, str) and re.fullmatch(NAME, value, re.ASCII):
        return value
    found = "a string that is no name" if isinstance(value, str) else kind_of(value)
    place.refuse_words(found, f"the name of a secret: {NAME_ALLOWED}")
    return None


def env_value(value: Any, place: Place) -> str | None:
    """Read a variable's value. It may be a secret, so a refusal doesn't show it."""
    if isinstance(value, str) and len(value) <= LONGEST and value.isprintable():
        return value
    found = "a string that is too long or not on one line" if isinstance(value, str) else kind_of(value)
    place.refuse_words(
        found, f"a string of at most {LONGEST} characters on one line, without control characters"
    )
    return None
