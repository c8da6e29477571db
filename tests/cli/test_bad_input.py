"""Bad input, one case a line: what is wrong, and the message, the hint and the exit code that it gets.

Nothing is ever touched. The same at its source, in more variants: tests/unit/test_config_*.py (every key's values),
tests/unit/test_link.py and test_render_workspace.py (what is in the way), tests/unit/test_engine.py (what engines say),
tests/unit/test_build_context.py. What needs a server is in tests/real: test_bad_input.py (SSH, sudo, a full disk),
test_ssh_host_keys.py, test_ssh_connections.py, test_etcd_stores.py.
"""
# ruff: noqa: E501 - a message is one string, however long

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Kit

EACH_LINE = "Each line says where it is, what was found and what is allowed; nothing was touched."
NAME = "allowed: lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63"
IMAGE = "allowed: the name of a folder in images/ as name or name:tag"
PORT = "allowed: an integer from 1 to 65535"
INSTANCE = f"{PORT}, or a word of lower-case letters, digits, _ and - that begins with a letter"

Preparation = Callable[[Kit], None]


@dataclass(frozen=True)
class Case:
    """`message` and `hint` are lines of stderr as they begin; WS is the workspace."""

    title: str
    prepare: Preparation
    command: str
    code: int
    message: str
    hint: str


def edited(path: str, before: str, after: str) -> Preparation:
    return lambda kit: kit.edit(path, before, after)


def configured(before: str, after: str) -> Preparation:
    return edited("coreos-kit.toml", before, after)


def removed(path: str) -> Preparation:
    return lambda kit: (kit.workspace / path).unlink()


def written(path: str, text: str | bytes) -> Preparation:
    def prepare(kit: Kit) -> None:
        file = kit.workspace / path
        file.unlink(missing_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    return prepare


def led_out(path: str) -> Preparation:
    """Put what is at `path` beside the workspace, and a link in its place."""

    def prepare(kit: Kit) -> None:
        here = kit.workspace / path
        outside = kit.workspace.parent / "outside"
        here.rename(outside)
        here.symlink_to(outside)

    return prepare


def docker(push: str) -> Preparation:
    """Put a docker first in PATH whose every push ends with these words."""

    def prepare(kit: Kit) -> None:
        folder = kit.workspace.parent / "bin"
        folder.mkdir()
        program = folder / "docker"
        program.write_text(
            f'#!/bin/sh\n[ "$1" = push ] || {{ echo 20.10; exit; }}\ncat >&2 <<"END"\n{push}\nEND\nexit 1\n'
        )
        program.chmod(0o755)
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"

    return prepare


def both(*preparations: Preparation) -> Preparation:
    def prepare(kit: Kit) -> None:
        for preparation in preparations:
            preparation(kit)

    return prepare


def building(*preparations: Preparation) -> Preparation:
    return both(*preparations, docker(push=""))


def no_programs(kit: Kit) -> None:
    os.environ["PATH"] = str(kit.workspace / "images")


def refused(title: str, before: str, after: str, place: str, found: str, allowed: str) -> Case:
    """Return a case that the configuration's own checks find."""
    message = f"       coreos-kit.toml:{place}: found {found}; {allowed}"
    return Case(title, configured(before, after), "plan", 3, message, EACH_LINE)


def service_named(title: str, written_as: str, shown: str, path: str) -> Case:
    return refused(
        f"a service's name with {title}",
        "[services.apache]",
        f"[services.{written_as}]",
        f"11: services.{path}",
        f"the name {shown}",
        NAME,
    )


def image_named(title: str, written_as: str) -> Case:
    return refused(
        f"an image's name with {title}",
        'image = "apache"',
        f'image = "{written_as}"',
        "12: services.apache.image",
        f'"{written_as}"',
        IMAGE,
    )


def instances(title: str, values: str, place: str, found: str, allowed: str) -> Case:
    at = f"15: services.apache.instances[{place}]"
    return refused(title, "instances = [7777, 8888]  ", f"instances = {values}  ", at, found, allowed)


CASES = [
    # The configuration as a file
    Case("no configuration", removed("coreos-kit.toml"), "plan", 3,
         "error: no coreos-kit.toml in WS", "Write one with: coreos-kit init WS"),
    Case("broken TOML", configured("[project]", "[project"), "plan", 3,
         "       coreos-kit.toml:4:9: expected ']' at the end of a table declaration",
         "Mend the syntax at that place; strings stand in quotes, tables in [brackets]."),
    Case("a configuration that is a folder", both(removed("coreos-kit.toml"), lambda kit: (kit.workspace / "coreos-kit.toml").mkdir()),
         "plan", 3, "error: coreos-kit.toml can't be read: Is a directory", "Look at its type and its permissions."),
    Case("a configuration in Latin-1", written("coreos-kit.toml", b'[project]\nname = "caf\xe9"\n'), "plan", 3,
         "       coreos-kit.toml:2: found the byte 0xe9; allowed: UTF-8", "TOML files are UTF-8: convert it, or write the line anew."),
    # Keys and values
    refused("an unknown key", "container_port", "contaner_port",
            "14: services.apache.contaner_port", "an unknown key",
            "allowed: command, conflicts, container_port, env, global, health, image, instances, machine_id, "
            "machine_metadata, registration, rollout, run_args, secrets, stop_signal, stop_timeout_s, volumes; "
            "did you mean container_port?"),
    refused("a wrong type", "ttl_s = 30", 'ttl_s = "30"',
            "29: services.apache.registration.ttl_s", '"30"', "allowed: an integer from 3 to 86400"),
    refused("a port that is text", "container_port = 80", 'container_port = "80"',
            "14: services.apache.container_port", '"80"', PORT),
    refused("a balancer's port 0", "port = 80\nbind", "port = 0\nbind", "37: load_balancers.nginx_lb.port", "0", PORT),
    refused("a balancer's port 65536", "port = 80\nbind", "port = 65536\nbind",
            "37: load_balancers.nginx_lb.port", "65536", PORT),
    instances("an instance at port 0", "[0, 8888]", "0", "0", INSTANCE),
    instances("an instance at port 65536", "[65536, 8888]", "0", "65536", INSTANCE),
    instances("a port twice", "[7777, 7777]", "1", "7777 a second time", "allowed: each instance once"),
    instances("an instance that is no word", '["77 77", 8888]', "0", '"77 77"', INSTANCE),
    # Names that would mean something to systemd, a path or a shell
    service_named("a newline", '"a\\nb"', '"a\\nb"', '"a\\nb"'),
    service_named("%", '"a%b"', '"a%b"', '"a%b"'),
    service_named("@", '"a@b"', '"a@b"', '"a@b"'),
    service_named("a blank", '"a b"', '"a b"', '"a b"'),
    service_named("nothing but ..", '".."', '".."', '".."'),
    service_named("a slash", '"a/b"', '"a/b"', '"a/b"'),
    service_named("nothing in it", '""', '""', '""'),
    image_named("a semicolon", "a; reboot"),
    image_named("a command substitution", "$(reboot)"),
    image_named("backquotes", "a`reboot`"),
    image_named("a pipe", "a|b"),
    image_named("a newline", "a\\nb"),
    image_named("an option's dash", "--privileged"),
    image_named("..", "../a"),
    refused("an image prefix with a command substitution", '"user_name"  ', '"$(reboot)"  ',
            "6: project.image_prefix", '"$(reboot)"',
            "allowed: an account such as user_name, or a registry such as registry.example:5000/team, without / at the end"),
    # Templates
    Case("a template with a syntax error", edited("unit_templates/service@.service.j2", "[Service]", "[Service]\n{% if %}"),
         "render", 3, "error: unit_templates/service@.service.j2:26: expected an expression, got 'end of statement block'",
         "Mend the template at that line; its language is Jinja2."),
    Case("a template with an undefined variable", edited("unit_templates/service@.service.j2", "[Service]", "[Service]\nUser={{ user }}"),
         "render", 3, "error: unit_templates/service@.service.j2:26: 'user' is undefined", "It can place after, "),
    Case("a template that reaches for Python", edited("unit_templates/service@.service.j2", "[Service]", "[Service]\n{{ ''.__class__.__mro__ }}"),
         "render", 3, "error: unit_templates/service@.service.j2:26: access to attribute '__class__' of 'str' object is unsafe",
         "It can place after, "),
    Case("an image's template with a syntax error", building(edited("images/apache/Dockerfile.j2", "FROM", "{% if %}\nFROM")),
         "image build", 3, "error: WS/images/apache/Dockerfile.j2:2: expected an expression", "Mend the template at that line; its language is Jinja2."),
    Case("an image's template with an undefined variable", building(edited("images/apache/Dockerfile.j2", "FROM", "{{ user }}\nFROM")),
         "image build", 3, "error: WS/images/apache/Dockerfile.j2:2: 'user' is undefined", "A template of an image knows "),
    Case("an image's template that reaches for Python", building(edited("images/apache/Dockerfile.j2", "FROM", "{{ ''.__class__.__mro__ }}\nFROM")),
         "image build", 3, "error: WS/images/apache/Dockerfile.j2:2: access to attribute '__class__'", "A template of an image knows "),
    # Files and links
    Case("a file where a link should be", written("instances/apache@7777.service", "mine"), "link", 3,
         "       WS/instances/apache@7777.service is no symlink; wanted: a link to ../templates/apache@.service",
         "Move them out of the way, then: coreos-kit --project WS link"),
    Case("instances/ that leads out of the workspace", led_out("instances"), "link", 3,
         "       WS/instances leads out of the workspace", "Move them out of the way, then: coreos-kit --project WS link"),
    Case("templates/ that leads out of the workspace", led_out("templates"), "render", 3,
         "error: WS/templates leads out of WS", "Replace it by a folder: rm WS/templates && mkdir WS/templates"),
    Case("unit_templates/ that leads out of the workspace", led_out("unit_templates"), "render", 3,
         "error: WS/unit_templates leads out of WS", "Replace it by the file that it points to."),
    Case("a template that leads out of the workspace", led_out("unit_templates/service@.service.j2"), "render", 3,
         "error: WS/unit_templates/service@.service.j2 leads out of WS", "Replace it by the file that it points to."),
    Case("a file of an image that leads out of the workspace", building(led_out("images/apache/index.html")), "image build", 3,
         "error: WS/images/apache/index.html is a link to ", "Copy the file into the image's folder."),
    Case("an image's folder that leads out of the workspace", building(led_out("images/apache")), "image build", 3,
         "error: WS/images/apache leads out of WS", "Replace it by a folder: rm WS/images/apache && mkdir WS/images/apache"),
    # Engines and registries
    Case("no docker and no podman", no_programs, "image build", 1,
         "error: there is neither docker nor podman on this workstation",
         "Install one (apt-get install docker.io), or use a machine's: --on MACHINE"),
    Case("a registry that is down", docker("dial tcp 10.132.1.10:5000: connect: connection refused"), "image push", 1,
         "error: pushing 10.132.1.10:5000/user_name/apache on this workstation failed: the registry can't be reached",
         "Try it on this workstation: curl -v https://REGISTRY/v2/. Check image_prefix and push_to."),
    Case("a registry that nobody knows", docker("dial tcp: lookup registry.example: no such host"), "image push", 1,
         "error: pushing 10.132.1.10:5000/user_name/apache on this workstation failed: the registry can't be reached",
         "Try it on this workstation: curl -v https://REGISTRY/v2/. Check image_prefix and push_to."),
    Case("a registry that refuses the login", docker("denied: requested access to the resource is denied"), "image push", 1,
         "error: pushing 10.132.1.10:5000/user_name/apache on this workstation failed: the registry wants a login",
         "Log in on this workstation (docker login REGISTRY), and check image_prefix in coreos-kit.toml."),
]  # fmt: skip


def everything(folder: Path) -> dict[str, str | bytes]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_it_is_refused_with_a_message_a_hint_and_the_exit_code_and_nothing_is_touched(
    kit: Kit, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])  # what a case changes ends with it
    case.prepare(kit)
    before = everything(kit.workspace.parent)

    code, out, err = kit(*case.command.split())

    lines = err.replace(str(kit.workspace), "WS").splitlines()
    assert (code, out) == (case.code, "")
    assert [line for line in lines if line.startswith(case.message)], err
    assert [line for line in lines if line.startswith(f"hint:  {case.hint}")], err
    assert everything(kit.workspace.parent) == before


def test_every_case_has_a_title_of_its_own() -> None:
    assert len({case.title for case in CASES}) == len(CASES)
