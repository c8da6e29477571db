"""The files of mode 0600 below /etc/coreos-kit/<project>/ on the machines: their names, and who names them.

A service's environment file is called after its content: `apache.env` in the workspace's units,
`apache.<digest>.env` in those that are deployed. So a changed secret is a changed unit, the old file stays as
long as a unit runs from it, and nothing but a keyed digest is in any text. docs/decisions/secrets.md.
"""

import base64
import hmac
import json
import re
from collections.abc import Mapping

from coreos_kit.errors import InvalidConfig
from coreos_kit.model.image_names import split_registry
from coreos_kit.model.keys import DIGITS
from coreos_kit.model.secret import Secret
from coreos_kit.units.unit_file import UnitFile

KEY_FILE = "digest.key"
KEY_BYTES = 32
ETCD = "etcd"
CA, CERT, KEY, LOGIN = (f"{ETCD}/{name}" for name in ("ca.pem", "cert.pem", "key.pem", "login"))
REGISTRY = "registry"
LOGINS = f"{REGISTRY}/config.json"  # what docker calls it; podman takes the same format

SEALS = "releases"

_ROOT = "/etc/coreos-kit"
_IN_A_NAME = 16  # hex digits of a digest; whoever finds another content for it has the key
_ENV_FILE = re.compile(rf"([a-z0-9][a-z0-9_-]*)\.([0-9a-f]{{{_IN_A_NAME}}})\.env", re.ASCII)
_SEAL = re.compile(rf"{SEALS}/[0-9]{{{DIGITS}}}", re.ASCII)
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f]")
_DOCKER_HUB = "https://index.docker.io/v1/"  # what docker.io is called in these files


def folder(project: str) -> str:
    """Return where a project's files lie on a machine."""
    return f"{_ROOT}/{project}"


def env_file(project: str, service: str) -> str:
    """Return what a rendered unit calls the environment file of its service."""
    return f"{folder(project)}/{service}.env"


def seal_name(number: int) -> str:
    """Return the name below the folder of the file that holds the digest of a release's manifest."""
    return f"{SEALS}/{number:0{DIGITS}}"


def is_seal(path: str) -> bool:
    """Whether a file below the folder is a release's seal; secrets come and go without it."""
    return _SEAL.fullmatch(path) is not None


def is_the_kits(path: str) -> bool:
    """Whether a file below the folder is one that the kit writes for units, and may remove with them."""
    return path in (CA, CERT, KEY, LOGIN, LOGINS, KEY_FILE) or _ENV_FILE.fullmatch(path) is not None


def digest_of(key: Secret, content: Secret) -> str:
    """Return the keyed digest of a content: without the key, no guess at a short secret can be tried."""
    return hmac.new(key.reveal(), content.reveal(), "sha256").hexdigest()


def pinned_name(service: str, digest: str) -> str:
    """Return the name below the folder of a service's environment file with this content."""
    return f"{service}.{digest[:_IN_A_NAME]}.env"


def pin_env_files(text: str, project: str, names: Mapping[str, str]) -> str:
    """Put each service's pinned name into a unit; `names` maps services to names below the folder."""
    if not any(env_file(project, service) in text for service in names):
        return text
    unit = UnitFile.parse(text)
    for service, name in names.items():
        unit = unit.replace_word(env_file(project, service), f"{folder(project)}/{name}")
    return unit.text


def pinned_names(text: str, project: str) -> Mapping[str, str]:
    """Return what `pin_env_files` put into a text: names below the folder, by service."""
    found = re.finditer(rf"{re.escape(folder(project))}/({_ENV_FILE.pattern})", text, re.ASCII)
    return {match[2]: match[1] for match in found}


def unpinned(text: str, project: str) -> str:
    """Return a text as it was before `pin_env_files`; its stamp is not right any more then."""
    unit = UnitFile.parse(text)
    for service, name in pinned_names(text, project).items():
        unit = unit.replace_word(f"{folder(project)}/{name}", env_file(project, service))
    return unit.text


def bare_name(path: str) -> str:
    """Return a file's name below the folder without the digest that `pinned_name` put into it."""
    match = _ENV_FILE.fullmatch(path)
    return f"{match[1]}.env" if match else path


def names_file(text: str, project: str, path: str) -> bool:
    """Whether a unit needs a file below the folder: it names the file, or the folder that it lies in."""
    inside, slash, _ = path.partition("/")
    return f"{folder(project)}/{inside if slash else path}" in text


def env_text(service: str, values: Mapping[str, tuple[str, Secret]]) -> Secret:
    """Write a service's environment file; `values` maps variables to a secret's name and content.

    docker's format: a line each, everything behind the = as it is. There is no way to write a newline in it.
    """
    lines: list[bytes] = []
    for variable, (name, secret) in sorted(values.items()):
        try:
            text = secret.reveal().decode()
        except UnicodeDecodeError:
            problem = "is not UTF-8"
        else:
            problem = _problem(text)
        if problem:
            raise InvalidConfig(
                f"the secret {name} can't be {variable} of {service}: it {problem}",
                hint="Give the service one line of it: command may be a script that takes it apart.",
            )
        lines.append(f"{variable}={text}\n".encode())
    return Secret(b"".join(lines))


def _problem(text: str) -> str:
    if "\n" in text:
        return "has several lines, and an environment file can't hold a newline"
    return "holds a control character" if _UNSPEAKABLE.search(text) else ""


def registry_text(image_prefix: str, username: str, password: Secret) -> Secret:
    """Write the logins of docker and podman, with one for the registry that the images come from."""
    registry, _ = split_registry(f"{image_prefix}/image")
    pair = base64.b64encode(username.encode() + b":" + password.reveal()).decode()
    return Secret(json.dumps({"auths": {registry or _DOCKER_HUB: {"auth": pair}}}).encode())


def etcd_login_text(username: str, password: str) -> Secret:
    """Write etcd's login as its clients take it: user:password."""
    return Secret(f"{username}:{password}".encode())
