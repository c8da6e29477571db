"""Secrets on their way: read here, sealed under names that give nothing away, put onto the machines."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coreos_kit.errors import InvalidConfig, KitError, Refused, Unreachable
from coreos_kit.model.cluster import Observation
from coreos_kit.model.plan import DesiredUnit, Plan
from coreos_kit.model.project import Cluster, EtcdSettings, Project
from coreos_kit.model.secret import FileNames, Secret, SeenFiles
from coreos_kit.ops.session import Session
from coreos_kit.planning.machine_files import agreed_key, file_changes, wanted_files
from coreos_kit.ports import FileChange, SecretReader
from coreos_kit.units import secret_files


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a cluster's units need from the workstation: environments by service, other files by name."""

    environments: Mapping[str, Secret] = field(default_factory=dict)
    files: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The files under the names that they have on machines, and each one's digest under the project's key."""

    key: Secret
    names: Mapping[str, str]  # service -> its environment file
    contents: Mapping[str, Secret]  # name -> content
    digests: Mapping[str, str]  # name -> digest
    is_new: bool = False  # the key is of this moment: no machine has one yet


def read_secrets(session: Session) -> Secrets:
    """Read every secret that the cluster uses. Raises `InvalidConfig` that names all that are missing."""
    problems: list[InvalidConfig] = []
    environments: dict[str, Secret] = {}
    files: dict[str, Secret] = {}
    for service in session.cluster.services:
        try:
            values = {
                variable: (name, session.read_secret(session.project.secrets[name]))
                for variable, name in service.secrets.items()
            }
            if values:
                environments[service.name] = secret_files.env_text(service.name, values)
        except InvalidConfig as problem:
            problems.append(problem)
    try:
        files = {**_etcd_files(session.cluster.etcd), **_registry_files(session)}
    except InvalidConfig as problem:
        problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        details = [*dict.fromkeys(str(problem) for problem in problems)]
        raise InvalidConfig(
            "secrets are missing, so nothing was touched", details=details, hint=problems[0].hint
        )
    return Secrets(environments, files)


def _etcd_files(etcd: EtcdSettings) -> Mapping[str, Secret]:
    files = {
        name: Secret(_content(key, path))
        for name, key, path in (
            (secret_files.CA, "ca", etcd.ca),
            (secret_files.CERT, "cert", etcd.cert),
            (secret_files.KEY, "key", etcd.key),
        )
        if path
    }
    if etcd.username:
        password = _content("password_file", etcd.password_file).decode("utf-8", "replace").rstrip("\r\n")
        if not password or not password.isprintable():
            raise InvalidConfig(
                f"etcd.password_file {etcd.password_file} does not hold one password on one line"
            )
        files[secret_files.LOGIN] = secret_files.etcd_login_text(etcd.username, password)
    return files


def _content(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidConfig(f"etcd.{key} {path} can't be read: {error.strerror or error}") from error


def _registry_files(session: Session) -> Mapping[str, Secret]:
    login = try_registry_login(session.project, session.cluster, session.read_secret)
    if login is None:
        return {}
    return {secret_files.LOGINS: login}


def try_registry_login(project: Project, cluster: Cluster, read_secret: SecretReader) -> Secret | None:
    """Return the file of logins with which the cluster's machines pull; None where they need none."""
    if cluster.registry is None:
        return None
    password = read_secret(project.secrets[cluster.registry.password_secret])
    return secret_files.registry_text(project.image_prefix, cluster.registry.username, password)


def seal(wanted: Secrets, seen: Mapping[str, SeenFiles | KitError]) -> Sealed:
    """Name and digest every file under the key that the machines have; under a new one where none has any."""
    agreed = agreed_key(files for files in seen.values() if isinstance(files, SeenFiles))
    key = agreed or Secret(secrets.token_bytes(secret_files.KEY_BYTES))
    names = {
        service: secret_files.pinned_name(service, secret_files.digest_of(key, content))
        for service, content in wanted.environments.items()
    }
    contents = {
        **wanted.files,
        **{names[service]: content for service, content in wanted.environments.items()},
        secret_files.KEY_FILE: Secret(key.reveal().hex().encode()),
    }
    digests = {name: secret_files.digest_of(key, content) for name, content in contents.items()}
    return Sealed(key, names, contents, digests, is_new=agreed is None)


def plan_files(
    session: Session,
    made: Plan,
    desired: Collection[DesiredUnit],
    sealed: Sealed,
    seen: Mapping[str, SeenFiles | KitError],
    observed: Observation,
    skipped: Collection[str],
) -> Mapping[str, FileNames]:
    """Return what changes on each machine that is worked on; raise for one that could not be looked at."""
    away = {*skipped, *observed.unreachable}
    machines = [name for name in sorted(observed.machines) if name not in away]
    looked = {}
    for name in machines:
        files = seen[name]
        if isinstance(files, KitError):
            raise Unreachable(
                f"{name}: what root keeps there of the project can't be looked at, so nothing was touched",
                machine=name,
                details=[str(files), *files.details],
                hint=files.hint,
            ) from files
        looked[name] = files
    there = {name for files in looked.values() for name in files.digests if secret_files.is_the_kits(name)}
    wanted = wanted_files(
        session.project.name,
        desired,
        made.placements,
        sorted({*there, *sealed.contents} - {secret_files.KEY_FILE}),
        machines,
        everywhere=bool(observed.scheduler),
    )
    _refuse_lost(wanted, sealed, looked)
    return file_changes(wanted, sealed.digests, sealed.key, looked)


def _refuse_lost(
    wanted: Mapping[str, Collection[str]], sealed: Sealed, looked: Mapping[str, SeenFiles]
) -> None:
    """Refuse where a text that stands names a secret whose content is not the workstation's any more."""
    lost = sorted(
        f"{machine}: {name}"
        for machine, names in wanted.items()
        for name in {*names} - sealed.contents.keys() - looked[machine].digests.keys()
    )
    if lost:
        raise Refused(
            "what stands needs secrets that have changed here since, so nothing was touched",
            details=lost,
            hint="Bring the new ones onto the cluster first: coreos-kit deploy",
        )


def write_files(session: Session, changes: Mapping[str, FileNames], contents: Mapping[str, Secret]) -> None:
    """Put the files onto the machines, before any unit names them. Raises the first failure."""
    _change(
        session,
        "writing",
        {
            machine: FileChange(write={name: contents[name] for name in names.write})
            for machine, names in changes.items()
            if names.write
        },
    )


def remove_files(session: Session, changes: Mapping[str, FileNames]) -> None:
    """Take away what no unit names any more. Raises the first failure."""
    _change(
        session,
        "removing",
        {machine: FileChange(remove=names.remove) for machine, names in changes.items() if names.remove},
    )


def _change(session: Session, doing: str, changes: Mapping[str, FileChange]) -> None:
    if not changes:
        return
    session.progress(f"{doing} secret files on {', '.join(sorted(changes))}")
    for error in session.files.change(changes).values():
        raise error
