"""Whether systemd and fleet can read the file, and read the same."""

import re
from collections.abc import Iterator

from coreos_kit.spelling import nearest
from coreos_kit.units.fleet_hash import FleetRefusal, fleet_options
from coreos_kit.units.lint.finding import Finding, Source
from coreos_kit.units.lint.known_settings import sections_of

_IGNORED_PREFIX = "X-"  # systemd.unit(5): sections and options that begin so are left alone
_KIT_SECTIONS = frozenset({"X-Fleet", "X-CoreosKit"})
_STARTERS = ("ExecStart", "ExecStop", "SuccessAction")


def check(source: Source) -> Iterator[Finding]:
    """Yield what is wrong with the file as text."""
    yield from _systemd(source)
    try:
        fleet = [(o.section, o.name, _joined(o.value)) for o in fleet_options(source.unit.text)]
    except FleetRefusal as refusal:
        if not any(problem.fatal for problem in source.unit.problems):
            yield source.error(
                refusal.line, "parse", f"fleet refuses the file: {refusal}", _hint(source, refusal.line)
            )
    else:
        yield from _two_readings(source, fleet)
    yield from _sections(source)


def _systemd(source: Source) -> Iterator[Finding]:
    for problem in source.unit.problems:
        if problem.fatal:
            yield source.error(problem.line, "parse", f"systemd refuses the file: {problem.message}")
        else:
            yield source.warning(problem.line, "parse", problem.message)


def _hint(source: Source, line: int) -> str:
    above = source.unit.text.split("\n")[: line - 1]
    while above and above[-1].lstrip().startswith(("#", ";")):
        above.pop()
    if above and above[-1].endswith("\\"):
        return "Move comments out of the continued lines: to fleet they are part of the value."
    return ""


def _joined(value: str) -> str:
    return re.sub(r"\\\n", " ", value).strip()


def _two_readings(source: Source, fleet: list[tuple[str, str, str]]) -> Iterator[Finding]:
    systemd = [(o.section, o.name, o.value) for o in source.unit.all_options]
    if systemd == fleet:
        return
    same = next((i for i, (one, other) in enumerate(zip(systemd, fleet, strict=False)) if one != other), None)
    if same is None:
        same = min(len(systemd), len(fleet))
    line = source.unit.all_options[same].line if same < len(systemd) else len(source.unit.text.splitlines())
    what = f"{systemd[same][1]}=" if same < len(systemd) else f"{fleet[same][1]}="
    hint = "Look for a comment or a carriage return beside a line that ends in a backslash."
    yield source.warning(
        line, "two-readings", f"from {what} on, fleet reads the file otherwise than systemd", hint
    )


def _sections(source: Source) -> Iterator[Finding]:
    if source.name is None:
        return
    known = sections_of(source.name.type)
    for section, line in source.unit.section_lines:
        if section in known | _KIT_SECTIONS:
            continue
        meant = nearest(section, known | _KIT_SECTIONS, key=str.lower)
        if section.startswith(_IGNORED_PREFIX) and meant not in _KIT_SECTIONS:
            continue
        hint = f"Did you mean [{meant}]?" if meant else ""
        yield source.error(line, "section", f"[{section}] means nothing in a {source.name.type} unit", hint)
    if source.name.type == "service" and not any(source.unit.values("Service", key) for key in _STARTERS):
        yield source.error(
            1, "exec-start", f"{source.path.rpartition('/')[2]} has no ExecStart=; systemd refuses it"
        )
