"""The secrets of a coreos-kit.toml: where each comes from, and that whoever asks for one can have it.

Never their values: they are read when a plan is made, and a value that stands in the file is not shown back.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from coreos_kit.config import schema
from coreos_kit.config.clusters import ClusterDraft
from coreos_kit.config.findings import Place, listed, nearest
from coreos_kit.config.reading import Fields, Reader, table
from coreos_kit.model.secret import SecretSource
from coreos_kit.model.services import Watcher

_ALLOWED = 'one of env = "VARIABLE", file = "path" and command = ["program", "argument"]'


def secret_reader() -> Reader:
    """Return the reader of one `[secrets.NAME]`: exactly one source."""
    read_table = table(schema.SECRET)

    def read(value: Any, place: Place) -> Fields | None:
        fields: Fields | None = read_table(value, place)
        if fields is None:
            return None
        given = [key for key in schema.SECRET if key in value]
        if not given and not value.keys() - schema.SECRET.keys():
            place.refuse_missing(_ALLOWED)
        elif len(given) > 1:
            place.object_to(" and ".join(given), _ALLOWED)
        elif fields.get("command") == ():
            place.at("command").object_to("no words", "a program and its arguments")
        return fields

    return read


def sources_of(tables: Mapping[str, Fields]) -> Mapping[str, SecretSource]:
    """Return the values that the tables make."""
    return {name: SecretSource(name, **fields) for name, fields in tables.items()}


def check_secrets(draft: ClusterDraft, declared: Iterable[str]) -> None:
    """Check whatever a cluster takes from `[secrets]`, and that nothing is given twice."""
    known = sorted(declared)
    for entry in draft.services.values():
        env = entry.fields.get("env", {})
        for variable, name in entry.fields.get("secrets", {}).items():
            place = entry.place("secrets", variable)
            _check_known(name, known, place)
            if variable in env:
                place.object_to(f"{variable}, which env sets as well", "each variable once")
    if name := draft.fields.get("registry", {}).get("password_secret"):
        _check_known(name, known, draft.place.at("registry", "password_secret"))
    _check_balancers(draft)


def _check_known(name: str, known: list[str], place: Place) -> None:
    if name not in known and place.findings.is_sound(("secrets", name)):
        # Only what resembles a name is shown back: it may be the secret itself, put in the wrong place.
        near = nearest(name, known)
        place.object_to(
            "a name that no secret has", listed(known) or "none here: add [secrets.NAME]", nearest=near
        )


def _check_balancers(draft: ClusterDraft) -> None:
    """Refuse confd where etcd wants a login: confd takes it as an argument, for all to see."""
    etcd = draft.fields.get("etcd", {})
    secure = [key for key in ("ca", "cert", "username") if key in etcd]
    secure += ["https"] if any(url.startswith("https:") for url in etcd.get("endpoints", ())) else []
    if not secure:
        return
    for entry in draft.load_balancers.values():
        if entry.fields.get("watcher") is Watcher.CONFD:
            entry.place("watcher").object_to(
                f"confd beside etcd.{secure[0]}" if secure[0] != "https" else "confd beside https endpoints",
                'watcher = "kit", which speaks TLS and logs in',
            )
