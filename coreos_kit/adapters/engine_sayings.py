"""What docker and podman say when something is wrong, and what it means."""

from dataclasses import dataclass

from coreos_kit.adapters.command_line import fate

_NOT_FOUND = {126, 127}


@dataclass(frozen=True, slots=True)
class Saying:
    """A complaint: any of `words` in its text, in lower case, and `about`.

    The remedy may name {program} and {where}; {on} is the option for that machine's engine, {or_on} says when
    it is needed.
    """

    words: tuple[str, ...]
    meaning: str
    remedy: str
    about: str = ""


_PUSH = "coreos-kit image build && coreos-kit image push{or_on}"
_UNREACHABLE = (
    "no such host",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "no route to host",
    "client.timeout exceeded",
)


_SAYINGS = (
    Saying(
        ("cannot connect to the docker daemon", "is the docker daemon running", "error during connect"),
        "its docker daemon is not running",
        "Start it on {where} (systemctl start docker), or use another machine's engine: --on MACHINE",
    ),
    Saying(
        ("permission denied while trying to connect", "docker.sock: connect: permission denied"),
        "this user may not use docker",
        "Add the user to the group docker, or run the kit as root.",
    ),
    Saying(
        (
            "unauthorized",
            "authentication required",
            "requested access to the resource is denied",
            "no basic auth credentials",
        ),
        "the registry wants a login, or this login may not do it",
        "Log in on {where} ({program} login REGISTRY), and check image_prefix in coreos-kit.toml.",
    ),
    Saying(
        (
            "manifest unknown",
            "pull access denied",
            "repository does not exist",
            "name unknown",
            "not found: manifest",
        ),
        "the registry does not have it",
        f"Build and push it first: {_PUSH}",
    ),
    Saying(
        ("http response to https client", "first record does not look like a tls handshake"),
        "the registry speaks plain HTTP",
        "Name it among the insecure registries of {program} on {where}.",
    ),
    Saying(
        ("x509:", "certificate signed by unknown authority"),
        "the registry's certificate is not trusted",
        "Give {program} on {where} the registry's authority.",
    ),
    # Of a mirror docker tells nothing: it goes on to the Hub, whether the mirror lacks the image or is down.
    Saying(
        _UNREACHABLE,
        "Docker Hub can't be reached, and no mirror of it helped",
        f"If the image was never pushed to the mirror: {_PUSH}. "
        "Otherwise look at what {where} can reach: curl -v https://registry-1.docker.io/v2/",
        about="registry-1.docker.io/v2/",
    ),
    Saying(
        _UNREACHABLE,
        "the registry can't be reached",
        "Try it on {where}: curl -v https://REGISTRY/v2/. Check image_prefix and push_to.",
    ),
    Saying(("no space left on device",), "its disk is full", "Make room on {where}: {program} system prune"),
    Saying(
        ("an image does not exist locally", "image not known", "no such image"),
        "it has not been built there",
        "Build it first: coreos-kit image build{on}",
    ),
)


def explain(said: str, code: int, program: str, machine: str) -> tuple[str, str]:
    """Say what the complaint of a machine's engine means, and what to do about it; "": the workstation's."""
    where, on = machine or "this workstation", f" --on {machine}" if machine else ""
    or_on = f", both with{on} where this workstation has no docker" if machine else ""
    if is_missing(code, said):
        hint = f"Install it on {where} (apt-get install docker.io), or use a machine's engine: --on MACHINE"
        return f"there is no {program} there", hint
    text = said.lower()
    for saying in _SAYINGS:
        if saying.about in text and any(words in text for words in saying.words):
            return saying.meaning, saying.remedy.format(program=program, where=where, on=on, or_on=or_on)
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return (lines[-1].strip() if lines else f"{program} {fate(code)}"), ""


def is_missing(code: int, said: str) -> bool:
    """Whether there is no such program: a shell's code for it, or sudo's words."""
    return code in _NOT_FOUND or (code != 0 and "command not found" in said and "sudo:" in said)
