"""The README's tables say what the program has: commands, options, exit codes, keys, defaults, profiles."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from coreos_kit.cli.app import app
from coreos_kit.cli.ssh import KIT_FAILED
from coreos_kit.config import parse_project, schema
from coreos_kit.config.findings import Findings, Place
from coreos_kit.errors import InvalidConfig, KitError
from coreos_kit.model.chain import LinkName
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.services import Health, LoadBalancer, Registration, Rollout, Service
from coreos_kit.ops.build_context import build_context
from coreos_kit.ops.hooks import FOLDER, HookName
from coreos_kit.units.values import extra_values
from tests.docs.readme import ROOT, blocks, codes, table

PRE_DEPLOY, POST_DEPLOY, PRE_INSTANCE, POST_INSTANCE = map(str, HookName)
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

KEYS: dict[str, Mapping[str, Any]] = {
    "PROJECT": schema.PROJECT,
    "SERVICE": schema.SERVICE,
    "HEALTH": schema.HEALTH,
    "REGISTRATION": schema.REGISTRATION,
    "ROLLOUT": schema.ROLLOUT,
    "LOAD_BALANCER": schema.LOAD_BALANCER,
    "CONFD": schema.CONFD,
    "CLUSTER": schema.CLUSTER | dict.fromkeys(schema.CLUSTER_TABLES),
    "NETWORK": {"private": None},
    "MACHINE": schema.MACHINE,
    "ETCD": schema.ETCD,
    "SECRET": schema.SECRET,
    "REGISTRY": schema.REGISTRY,
}
VALUES = {
    "SERVICE": Service,
    "HEALTH": Health,
    "REGISTRATION": Registration,
    "ROLLOUT": Rollout,
    "LOAD_BALANCER": LoadBalancer,
}


def commands() -> Iterator[tuple[str, set[str]]]:
    """Yield every command of the program with its options."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, set[str]]]:
        if hasattr(command, "commands"):
            for word, below in command.commands.items():
                yield from walk(f"{name} {word}".strip(), below)
        else:
            yield name, options(command)

    yield from walk("", typer.main.get_command(app))


def options(command: Any) -> set[str]:
    found = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    return {option for option in found if option.startswith("-")} - {"--help", "-h"}


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) - {"--help", "-h"}


def accepts(reader: Any, value: object) -> bool:
    findings = Findings("coreos-kit.toml", "")
    return reader(value, Place(findings)) is not None


def test_the_commands_and_their_options_are_those_of_the_program() -> None:
    shown = {}
    for row in table("commands"):
        usage = codes(row[0])[0]
        name = " ".join(word for word in usage.split() if re.fullmatch(r"[a-z]+", word))
        shown[name] = options_in(usage)

    assert shown == dict(commands())


def test_the_global_options_are_those_of_the_program() -> None:
    shown = {option for row in table("options", "global") for option in options_in(row[0])}

    assert shown == options(typer.main.get_command(app))


def test_the_exit_codes_are_those_that_the_program_ends_with() -> None:
    def declared(kind: type[KitError]) -> Iterator[int]:
        yield kind.exit_code
        for below in kind.__subclasses__():
            yield from declared(below)

    of_main = {0, 2, 130, 141}  # done, typer's usage errors, Ctrl-C, a closed pipe
    shown = [int(row[0]) for row in table("exit-codes")]

    assert shown == sorted({*declared(KitError), *of_main, KIT_FAILED})


@pytest.mark.parametrize("name", KEYS)
def test_the_keys_of_a_table_are_those_of_the_schema(name: str) -> None:
    shown = [codes(row[0])[0] for row in table("keys", name)]

    assert sorted(shown) == sorted(KEYS[name])


@pytest.mark.parametrize("name", KEYS)
def test_bounds_and_words_that_are_shown_are_those_that_are_accepted(name: str) -> None:
    for key, shown, *_ in table("keys", name):
        reader = KEYS[name][codes(key)[0]]
        if bounds := re.fullmatch(r"(\d+)–(\d+)", shown):
            low, high = int(bounds[1]), int(bounds[2])
            taken = [accepts(reader, value) for value in (low - 1, low, high, high + 1)]
            assert taken == [False, True, True, False], key
        elif re.fullmatch(r"(`[a-z0-9-]+`(, )?)+", shown):
            assert all(accepts(reader, word) for word in codes(shown)), key
            assert not accepts(reader, "nonsense"), key


@pytest.mark.parametrize("name", VALUES)
def test_defaults_that_are_shown_are_those_of_the_values(name: str) -> None:
    shown = {codes(row[0])[0]: codes(row[2])[0] for row in table("keys", name) if codes(row[2])}
    plain = {
        field.name: str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        for field in dataclasses.fields(VALUES[name])
        if field.name in KEYS[name] and isinstance(field.default, str | int) and field.default != ""
    }

    assert {key: shown.get(key, "").strip('"') for key in plain} == plain


def test_the_profiles_are_those_of_the_program() -> None:
    names = ("coreos", "flatcar", "fedora-coreos", "debian")
    rows = {row[0]: row[1:] for row in table("profiles")}
    profiles = [PROFILES[name] for name in names]

    def code(text: str) -> str:
        return f"`{text}`" if text else ""

    assert set(names) == set(PROFILES)
    assert rows == {
        "etcd's unit": [code(profile.etcd_unit) for profile in profiles],
        "etcd's API": [code(profile.etcd_api) for profile in profiles],
        "etcdctl": [
            "in etcd's container" if "exec" in profile.etcdctl else "on the machine" for profile in profiles
        ],
        "containers": [code(profile.engine) for profile in profiles],
        "a first process in them": [code("--init" * profile.init) for profile in profiles],
        "environment file": [code(profile.environment_file) for profile in profiles],
        "who writes it": [
            "the kit" if profile.writes_environment_file else "the system" for profile in profiles
        ],
        "`KillMode=`": [code(profile.kill_mode) for profile in profiles],
        "`Restart=`": [code(profile.restart) for profile in profiles],
        "on etcd and docker": [code(f"{profile.dependency}=") for profile in profiles],
        "a failing pull": [
            "does not" if profile.pull_may_fail else "stops the start" for profile in profiles
        ],
    }


def test_the_links_are_those_of_the_chain_in_its_order() -> None:
    assert [codes(row[0])[0] for row in table("links")] == [link.value for link in LinkName]


def test_the_make_targets_are_those_of_the_makefile() -> None:
    shown = [codes(row[0])[0].removeprefix("make ") for row in table("targets", file=CONTRIBUTING)]
    said = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert sorted(shown) == sorted(said)


def test_the_layers_are_those_that_the_imports_are_held_to() -> None:
    block = next(block for block in blocks(CONTRIBUTING) if block.what == "layers")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    shown = [re.split(r"  +", line)[0] for line in block.text.splitlines()]

    assert shown == next(contract["layers"] for contract in contracts if contract["type"] == "layers")


def test_the_hooks_are_those_that_are_run() -> None:
    assert [codes(row[0])[0] for row in table("hooks")] == [
        f"{FOLDER}/{name}" for name in (PRE_DEPLOY, PRE_INSTANCE, POST_INSTANCE, POST_DEPLOY)
    ]
    assert {name.value for name in HookName} == {PRE_DEPLOY, PRE_INSTANCE, POST_INSTANCE, POST_DEPLOY}


def test_the_facts_that_hooks_are_told_are_those_in_their_source() -> None:
    source = (ROOT / "coreos_kit/ops/hooks.py").read_text()

    told = set(re.findall(r'"([A-Z_]{4,})":', source))

    assert {codes(row[0])[0] for row in table("facts")} == {f"COREOS_KIT_{fact}" for fact in told}


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text())

    assert sorted(listed) == sorted(page.name for page in folder.glob("*.md") if page.name != "README.md")


def test_addresses_in_the_documentation_are_for_documentation_or_the_labs_own() -> None:
    allowed = ("192.0.2.", "198.51.100.", "203.0.113.", "10.132.", "127.0.0.1")
    pages = [ROOT / "README.md", CONTRIBUTING, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]

    found = {
        address
        for page in [*pages, ROOT / "coreos-kit.toml"]
        for address in re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", page.read_text())
    }

    assert {address for address in found if not address.startswith(allowed)} == set()


def test_the_words_of_a_unit_of_ones_own_are_those_that_it_is_given(tmp_path: Path) -> None:
    project = parse_project((ROOT / "coreos-kit.toml").read_text(), tmp_path)

    given = extra_values(project, project.clusters["lab"])

    assert words_of("unit") == sorted(given)


def test_the_words_of_an_images_template_are_those_that_its_refusal_lists(tmp_path: Path) -> None:
    project = parse_project((ROOT / "coreos-kit.toml").read_text(), tmp_path)
    (tmp_path / "images/apache").mkdir(parents=True)
    (tmp_path / "images/apache/Dockerfile.j2").write_text("FROM {{ nonsense }}")

    with pytest.raises(InvalidConfig) as refused:
        build_context(project, project.clusters["lab"], "apache")

    assert refused.value.hint == f"A template of an image knows {', '.join(words_of('image'))}."


def words_of(what: str) -> list[str]:
    return sorted(word for row in table("words", what) for word in codes(row[0]))


def test_the_errors_of_the_troubleshooting_are_those_that_the_program_says() -> None:
    sources = "".join(file.read_text() for file in sorted((ROOT / "coreos_kit").rglob("*.py")))
    joined = re.sub(r'"\s*\n\s*f?"', "", sources).replace("{FILE_NAME}", "coreos-kit.toml")
    said = re.sub(r"\{[^{}]*\}", "…", joined)

    shown = [codes(row[0])[0] for row in table("errors") if not row[0].startswith("`verify`")]

    assert [text for text in shown if not re.search(re.escape(text).replace("…", ".*"), said)] == []
