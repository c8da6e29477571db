"""How fleetctl turns arguments into units, by name, file or template, and when it replaces one."""

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import refusal
from coreos_kit.testing.fleetctl.members import INACTIVE, LAUNCHED, LOADED, Job
from coreos_kit.testing.fleetctl.session import Failed, Session, mangled, typed, unit_path
from coreos_kit.units import x_fleet
from coreos_kit.units.fleet_hash import fleet_options

_REPLACEABLE = {"submit": (INACTIVE,), "load": (INACTIVE, LOADED), "start": (INACTIVE, LOADED, LAUNCHED)}
_FAILED = "Error creating units: {}"


def create_units(session: Session) -> None:
    """Make sure that each unit asked for is in the registry, and wait until the new ones are seen there.

    What is there already stays as it is: another text on disk is only warned of, unless --replace is given.
    """
    created: list[str] = []
    for arg in session.asked.args:
        path, name = typed(arg), mangled(arg)
        if _is_to_be_created(session, name, path):
            _put(session, name, _text_of(session, name, path))
            created.append(name)
    session.wait_until(created, lambda cluster, name: session.has_state(cluster, name, INACTIVE), attempts=0)


def _is_to_be_created(session: Session, name: str, path: str) -> bool:
    job = session.unit(name, f"Error creating units: error retrieving Unit({name}) from Registry: {{}}")
    if job is None:
        return True
    differs = _differs(session, job, path)
    if not session.has("replace"):
        return False
    if differs is None:
        why = (
            f"stat {template}: no such file or directory"
            if (template := template_path(path))
            else f"error Unit {path} does not seem to be a template unit"
        )
        raise Failed(_FAILED.format(why))
    if not differs:
        session.say(f"Found same Unit({name}) in Registry, nothing to do")
        return False
    if job.desired in _REPLACEABLE.get(session.asked.command, ()):
        return True
    remedy = "use the appropriate command"
    session.complain(f"Warning: can not replace Unit({name}) in state '{job.desired}', {remedy}")
    return False


def _differs(session: Session, job: Job, path: str) -> bool | None:
    """Compare with the file at that path, or with its template's; None where there is neither."""
    for file, what in ((path, "local unit file"), (template_path(path), "local template unit file")):
        try:
            text = session.read(file) if file else None
        except InvalidUnit:  # fleetctl does not compare with what it can't read, and does not say so
            continue
        if text is None:
            continue
        if text != job.text and not session.has("replace"):
            remedy = ". Add --replace to override." if session.version >= (0, 13) else ""
            session.complain(f"WARNING: Unit {job.name} in registry differs from {what} {path}{remedy}")
        return text != job.text
    return None


def _text_of(session: Session, name: str, path: str) -> str:
    """Find a unit's text: its file, its template in the registry, its template beside the path."""
    try:
        text = session.read(path)
    except InvalidUnit as error:
        raise Failed(_FAILED.format(f"failed getting Unit({path}) from file: {error}")) from error
    if text is not None:
        return text
    template = template_path(path)
    if not template:
        raise Failed(_FAILED.format(f"unable to find Unit({name}) in Registry or on filesystem"))
    job = session.unit(mangled(template), _FAILED)
    if job is not None:
        _differs(session, job, path)
        return job.text
    text = session.read(template)
    if text is None:
        missing = f"unable to find template Unit({mangled(template)}) in Registry or on filesystem"
        raise Failed(_FAILED.format(f"failed getting Unit({path}) from template: {missing}"))
    return text


def _put(session: Session, name: str, text: str) -> None:
    if reason := refusal(name) or x_fleet.refusal(text):
        raise Failed(_FAILED.format(reason))
    unknown = [
        option.name
        for option in fleet_options(text)
        if option.section == x_fleet.SECTION and option.name not in x_fleet.KEYS
    ]
    if unknown:  # of several, fleetctl names the first, and creates the unit all the same
        said = f'unrecognized requirement in [X-Fleet] section: "{unknown[0]}"'
        session.log("WARN fleetctl.go:674", f"Unit {name}: {said}")
    with session.registry(unit_path(name), _FAILED) as cluster:
        job = cluster.jobs.get(name)
        conflict = ""
        if not text:
            conflict = "unit does not exist and options field empty"
        elif job is not None and job.text == text:
            conflict = "must provide DesiredState to update existing unit"
        if conflict:
            raise Failed(_FAILED.format(f"failed creating unit {name}: googleapi: Error 409: {conflict}"))
        cluster.create(name, text)


def template_path(path: str) -> str:
    """Return the path of an instance's template, beside it; "" for what is no instance."""
    folder, slash, name = path.rpartition("/")
    stem, _, type_ = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return f"{folder}{slash}{prefix}@.{type_}" if at and instance else ""
