"""Read a workspace's coreos-kit.toml and make a `Project` of it, or refuse it with every error."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from coreos_kit.config import checks, instances, schema, words
from coreos_kit.config.clusters import Bases, ClusterDraft, read_cluster, without_cluster
from coreos_kit.config.entries import load_balancer_of, service_of
from coreos_kit.config.findings import Findings, Place
from coreos_kit.config.reading import Fields, Reader, mapping, table
from coreos_kit.config.secrets import check_secrets, secret_reader, sources_of
from coreos_kit.errors import InvalidConfig
from coreos_kit.model.names import UnitName
from coreos_kit.model.project import Project

FILE_NAME = "coreos-kit.toml"
DEFAULT_BASE_IMAGE = "debian:bookworm-slim"

_POSITION = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_NO_CLUSTER = "a table for each cluster, such as [clusters.lab]"


def load_project(root: Path) -> Project:
    """Read `root`/coreos-kit.toml. Raises `InvalidConfig` with every error that it holds."""
    root = root.resolve()
    file = root / FILE_NAME
    shown = FILE_NAME if root == Path.cwd() else str(file)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise InvalidConfig(
            f"no {FILE_NAME} in {root}", hint=f"Write one with: coreos-kit init {root}"
        ) from None
    except OSError as error:
        hint = "Look at its type and its permissions."
        raise InvalidConfig(f"{shown} can't be read: {error.strerror or error}", hint=hint) from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidConfig(
            f"{shown} is not UTF-8",
            hint="TOML files are UTF-8: convert it, or write the line anew.",
            details=[f"{shown}:{line}: found the byte 0x{data[error.start]:02x}; allowed: UTF-8"],
        ) from error
    return parse_project(text, root, file=shown)


def parse_project(text: str, root: Path, *, file: str = FILE_NAME) -> Project:
    """Read the text of a coreos-kit.toml; `file` is what errors call it."""
    raw = _parsed(text, file)
    findings = Findings(file, text)
    project = _project(raw, Place(findings), root)
    findings.raise_if_any()
    return replace(project, text=text)


def _parsed(text: str, file: str) -> dict[str, Any]:
    hint = "Mend the syntax at that place; strings stand in quotes, tables in [brackets]."
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InvalidConfig(
            f"{file} is not valid TOML", hint=hint, details=[f"{file}: nested too deeply"]
        ) from None
    except ValueError as error:  # tomllib's own, and Python's for a number of thousands of digits
        found = _POSITION.fullmatch(str(error))
        what = found["what"] if found else str(error)
        end = f"{text.count(chr(10)) + 1}"
        at = f":{found['line']}:{found['column']}" if found and found["line"] else f":{end}" if found else ""
        detail = f"{file}{at}: {what[:1].lower()}{what[1:]}"
        raise InvalidConfig(f"{file} is not valid TOML", hint=hint, details=[detail]) from error


def _project(raw: dict[str, Any], top: Place, root: Path) -> Project:
    for key in raw:
        if key not in schema.ROOT_TABLES:
            top.refuse_unknown(key, schema.ROOT_TABLES)
    fields = _table(
        raw, top, "project", table(schema.PROJECT, required={"name": words.NAME_ALLOWED}), needed=True
    )
    service_tables = _table(raw, top, "services", _named(schema.SERVICE, schema.SERVICE_REQUIRED))
    balancer_tables = _table(
        raw, top, "load_balancers", _named(schema.LOAD_BALANCER, schema.LOAD_BALANCER_REQUIRED)
    )
    secret_tables = _table(raw, top, "secrets", mapping(words.NAME, words.NAME_ALLOWED, secret_reader()))
    unit_tables = _table(
        raw, top, "units", mapping(words.TEMPLATE_UNIT, words.TEMPLATE_UNIT_ALLOWED, instances.of_template)
    )
    bases = Bases(service_tables, balancer_tables)
    clusters = raw.get("clusters", {})
    drafts = _clusters(clusters, top.at("clusters"), bases)
    for draft in list(drafts.values()) or [without_cluster(top, bases)]:
        checks.check_cluster(draft)
        check_secrets(draft, secret_tables)
    _check_base_images(fields, bases, top.at("project", "base_images"))
    default = _default_cluster(fields, clusters, top.at("project", "default_cluster"))
    return Project(
        root=root,
        name=fields.get("name", ""),
        image_prefix=fields.get("image_prefix", ""),
        base_image=fields.get("base_image", DEFAULT_BASE_IMAGE),
        default_cluster=default,
        unit_instances={UnitName.parse(unit): tuple(names) for unit, names in unit_tables.items()},
        clusters={
            name: draft.cluster(
                root,
                tuple(service_of(entry) for entry in draft.services.values()),
                tuple(load_balancer_of(entry) for entry in draft.load_balancers.values()),
            )
            for name, draft in drafts.items()
        },
        base_images=fields.get("base_images", {}),
        secrets=sources_of(secret_tables),
    )


def _named(keys: dict[str, Reader], required: dict[str, str]) -> Reader:
    return mapping(words.NAME, words.NAME_ALLOWED, table(keys, required=required))


def _table(raw: dict[str, Any], top: Place, key: str, read: Reader, *, needed: bool = False) -> Fields:
    if key not in raw and not needed:
        return {}
    fields: Fields | None = read(raw.get(key, {}), top.at(key))
    return fields or {}


def _clusters(raw: object, place: Place, bases: Bases) -> dict[str, ClusterDraft]:
    read = mapping(words.NAME, words.NAME_ALLOWED, lambda value, _: value)(raw, place)
    if not raw:
        place.refuse_missing(_NO_CLUSTER)
    return {name: read_cluster(name, table, place.at(name), bases) for name, table in (read or {}).items()}


def _check_base_images(fields: Fields, bases: Bases, place: Place) -> None:
    tables = (*bases.services.values(), *bases.load_balancers.values())
    images = {table["image"].partition(":")[0] for table in tables if "image" in table}
    for image in fields.get("base_images", {}):
        if image not in images:
            place.refuse_unknown(image, images)


def _default_cluster(fields: Fields, clusters: object, place: Place) -> str:
    written = clusters if isinstance(clusters, dict) else {}
    names = [name for name in written if re.fullmatch(words.NAME, name, re.ASCII)]
    chosen = fields.get("default_cluster")
    if chosen is None:
        if len(names) > 1 and place.findings.is_sound(place.path):
            place.refuse_missing(f"one of {', '.join(names)}")
        return names[0] if names else ""
    if names and chosen not in names:
        place.refuse(chosen, ", ".join(names), choices=names)
    return str(chosen)
