"""Unit files that are not as deploy wrote them: each carries the digest by which that can be told."""

import re
from collections.abc import Iterator

from coreos_kit.chain import Evidence
from coreos_kit.errors import KitError
from coreos_kit.model.cluster import ObservedUnit
from coreos_kit.model.ghosts import Ghost, GhostKind, RewriteUnit
from coreos_kit.units.pin import pin_images, pinned_digests
from coreos_kit.units.secret_files import pin_env_files, pinned_names
from coreos_kit.units.stamp import is_as_deployed, stamp_of, stamped

_KITS_FOLDER = "/etc/systemd/system"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/@:._-]{1,200}")
_LONGEST_LINE = 120


def edited_units(evidence: Evidence) -> Iterator[Ghost]:
    """Look for edits by hand; a configuration that is not deployed yet is none."""
    for name, machine in sorted(evidence.observed.machines.items()):
        if name in evidence.observed.unreachable:
            continue
        for unit in machine.units:
            if unit.project == evidence.project and unit.text is not None:
                text = unit.text if unit.own_file is None else unit.own_file
                if not is_as_deployed(text) or unit.needs_reload:
                    yield _edited(evidence, unit, text)
                if unit.drop_ins:
                    yield _dropped_in(unit)


def deployed_text(evidence: Evidence, unit: ObservedUnit) -> str | None:
    """Return the text that the unit's digest was made of, where it can be found again; None where it can't.

    Another instance of the same template may have it still, or today's configuration gives it, with the
    images' digests that are deployed somewhere.
    """
    stamp = stamp_of(unit.text or "")
    if not stamp:
        return None
    candidates = _candidates(evidence, unit)
    return next((text for text in candidates if stamp_of(text) == stamp and is_as_deployed(text)), None)


def _candidates(evidence: Evidence, unit: ObservedUnit) -> Iterator[str]:
    texts = [
        other.text
        for machine in evidence.observed.machines.values()
        for other in machine.units
        if other.project == evidence.project and other.text
    ]
    yield from texts
    rendered = next((desired for desired in evidence.desired or () if desired.name == unit.name), None)
    if rendered is None:
        return
    for text in (unit.text or "", *texts):
        try:
            pinned = pin_images(rendered.text, pinned_digests(text, rendered.images))
            names = pinned_names(text, evidence.project)
            yield stamped(pin_env_files(pinned, evidence.project, names))
        except KitError:
            return


def _edited(evidence: Evidence, unit: ObservedUnit, text: str) -> Ghost:
    deployed = deployed_text(evidence, unit)
    # What was started after the edit runs it, and a new file would only hide that: a deploy replaces both.
    runs_it = unit.is_active and not unit.is_older_than_file
    is_settled = unit.active_state in ("active", "inactive", "failed")
    is_safe = is_settled and not runs_it and unit.fragment_path == f"{_KITS_FOLDER}/{unit.name}"
    mend = RewriteUnit(unit.machine, unit.name, deployed) if deployed and is_safe else None
    stamp = stamp_of(text)
    return Ghost(
        GhostKind.UNIT_EDITED,
        unit.machine,
        str(unit.name),
        "its file as deploy wrote it" + (f" (sha256 {stamp[:12]}…)" if stamp else ""),
        _what(text, deployed) + ("; it was started since then" if runs_it and unit.own_file is None else ""),
        "coreos-kit verify --fix" if mend else _remedy(unit),
        mend,
    )


def _remedy(unit: ObservedUnit) -> str:
    # What fleet keeps is as it was deployed, so deploy would find nothing to do, and fleet does not look.
    is_fleets = unit.own_file is not None and is_as_deployed(unit.text or "")
    return f"coreos-kit destroy --yes {unit.name} && coreos-kit deploy" if is_fleets else "coreos-kit deploy"


def _what(text: str, deployed: str | None) -> str:
    if is_as_deployed(text):
        return "systemd has not read its file since it was written"
    if not stamp_of(text):
        return "it carries no digest: edited, or not written by this coreos-kit"
    return _difference(deployed, text) if deployed else "it was edited"


def _difference(deployed: str, text: str) -> str:
    """Name the first line that is not as it was."""
    before, after = deployed.splitlines(), text.splitlines()
    gone = [f"-{line[:_LONGEST_LINE]}" for line in before if line not in after]
    come = [f"+{line[:_LONGEST_LINE]}" for line in after if line not in before]
    return "edited: " + (" ".join([*gone[:1], *come[:1]]) or "its lines are in another order")


def _dropped_in(unit: ObservedUnit) -> Ghost:
    remedy = f"coreos-kit ssh {unit.machine}"
    if all(_PLAIN_PATH.fullmatch(path) for path in unit.drop_ins):
        remedy += f" -- sudo sh -c 'rm {' '.join(unit.drop_ins)} && systemctl daemon-reload'"
    return Ghost(
        GhostKind.UNIT_EDITED,
        unit.machine,
        str(unit.name),
        "its file alone, as deploy wrote it",
        f"also {', '.join(unit.drop_ins)}",
        remedy,
    )
