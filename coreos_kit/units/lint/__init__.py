"""What is wrong with unit files: each by itself, and a sidekick beside its main unit. Reads no files."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from coreos_kit.model.names import refusal
from coreos_kit.units.lint import commands, sidekick, text, x_fleet
from coreos_kit.units.lint.finding import Finding, Severity, Source

__all__ = ["Finding", "Severity", "lint_units"]


def lint_units(files: Mapping[str, str], *, without: Collection[str] = ()) -> tuple[Finding, ...]:
    """Check unit files, given as path and text, and say what is wrong in the order of paths and lines.

    The base name of a path is the unit's name. An instance that equals its template (a link to it) is
    checked by its name alone. `without` names rules to leave out: ``kill-mode-none`` on classic CoreOS.
    """
    sources = [Source.of(path, content) for path, content in sorted(files.items())]
    alone = [source for source in sources if not _is_link(source, sources)]
    findings = [*_names(sources), *sidekick.check(alone)]
    for source in alone:
        for check in (text.check, x_fleet.check, commands.check):
            findings += check(source)
    kept = {finding for finding in findings if finding.rule not in without}
    return tuple(
        sorted(kept, key=lambda finding: (finding.path, finding.line, finding.rule, finding.message))
    )


def _names(sources: Iterable[Source]) -> Iterator[Finding]:
    for source in sources:
        if source.name is None:
            base = source.path.rpartition("/")[2]
            yield source.error(1, "name", f"{base!r} is not a unit name: {refusal(base)}")


def _is_link(source: Source, sources: Iterable[Source]) -> bool:
    if source.name is None or not source.name.is_instance or source.is_template:
        return False
    return any(
        other.is_template
        and other.name
        and other.name.template == source.name.template
        and other.unit == source.unit
        for other in sources
    )
