"""What is wrong with unit files: each by itself, and a sidekick beside its main unit. Reads no files."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from coreos_kit.model.names import refusal
from coreos_kit.units.lint import commands, settings, sidekick, text, x_fleet
from coreos_kit.units.lint.finding import Finding, Severity, Source

__all__ = ["Finding", "Severity", "lint_units"]


def lint_units(files: Mapping[str, str], *, without: Collection[str] = ()) -> tuple[Finding, ...]:
    """Check unit files, given as path and text, and say what is wrong in the order of paths and lines.

    The base name of a path is the unit's name. Of a template and its instances (links to it, or copies)
    only the first is looked into. `without` names rules to leave out: ``kill-mode-none`` on classic CoreOS.
    """
    sources = [Source.of(path, content) for path, content in sorted(files.items())]
    alone = _without_copies(sources)
    findings = [*_names(sources), *sidekick.check(alone, beside=sources)]
    for source in alone:
        for check in (text.check, settings.check, x_fleet.check, commands.check):
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


def _without_copies(sources: Iterable[Source]) -> list[Source]:
    """Keep one of each template and its instances with the same text, the template itself if it is there."""
    kept: dict[tuple[str, str], Source] = {}
    for source in sorted(sources, key=lambda source: not source.is_template):
        family = str(source.name.template) if source.name and source.name.is_instance else source.path
        kept.setdefault((family, source.unit.text), source)
    return sorted(kept.values(), key=lambda source: source.path)
