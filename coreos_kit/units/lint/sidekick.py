"""Whether a sidekick and its main unit hold together: placed, bound, ordered, and one registration each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coreos_kit.errors import InvalidUnit
from coreos_kit.model.names import UnitName, refusal
from coreos_kit.units import globs, x_fleet
from coreos_kit.units.lint.finding import Finding, Source
from coreos_kit.units.lint.registration import Registration, registration_of
from coreos_kit.units.x_fleet import UnitRequirements

_OF_THE_INSTANCE = ("%i", "%I", "%n", "%N", "%j")

# A key that depends on nothing but the machine's environment, which all its instances share.
_BY_MACHINE = re.compile(r"([^%$]|\$\{[A-Z][A-Z0-9_]*\})+")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A unit and the main unit that it names in MachineOf= or BindsTo=."""

    sidekick: Source
    main: Source
    main_name: str  # as the sidekick has it
    line: int  # where it names it
    registration: Registration | None  # None: it registers nothing, so it follows for reasons of its own

    def finding(self, rule: str, message: str, hint: str) -> Finding:
        """Say it loudly of what registers, and softly of a follower that may be meant so."""
        say = self.sidekick.error if self.registration else self.sidekick.warning
        return say(self.line, rule, message, hint)


def check(sources: Iterable[Source], *, beside: Sequence[Source]) -> Iterator[Finding]:
    """Yield what is wrong between the files; pairs are known by MachineOf= and BindsTo=.

    `sources` are checked, their main units are sought in `beside`.
    """
    by_name = {str(source.name): source for source in beside}
    for source in sources:
        yield from _instance_is_used(source)
        for name, line, is_followed in _mains(source):
            main = by_name.get(name) or by_name.get(_template_of(name))
            if main is source and name == str(source.name):
                yield source.error(line, "machine-of", f"{source.name} waits for itself and is never placed")
            elif main:
                yield from _pair(_Pair(source, main, name, line, registration_of(source)))
            elif is_followed and len(beside) > 1:
                yield source.warning(line, "machine-of", f"{name} is not among the files looked at")


def _mains(source: Source) -> Iterator[tuple[str, int, bool]]:
    """Yield each main unit's name once, the line that names it, and whether MachineOf= does."""
    if source.name is None:
        return
    seen = set()
    for option in source.unit.options(x_fleet.SECTION):
        if option.name in x_fleet.MACHINE_OF:
            for value in x_fleet.split_values(option.value):
                name = source.name.expand(value)
                if name not in seen and refusal(name.replace("%i", "i")) is None:
                    seen.add(name)
                    yield name, option.line, True
    for name, option in source.words("Unit", "BindsTo"):
        if name not in seen:
            seen.add(name)
            yield name, option.line, False


def _template_of(name: str) -> str:
    if refusal(name.replace("%i", "i")) is not None or "@" not in name:
        return ""
    stem, _, type_ = name.rpartition(".")
    return f"{stem.partition('@')[0]}@%i.{type_}"


def _pair(pair: _Pair) -> Iterator[Finding]:
    yield from _instances_match(pair)
    yield from _placed_together(pair)
    yield from _bound_and_ordered(pair)
    if pair.registration:
        yield from _registration(pair, pair.registration)


def _instances_match(pair: _Pair) -> Iterator[Finding]:
    name, template = pair.main_name, f"{pair.main.name}"
    if name.partition("@")[2].startswith("."):
        message = f"{name} is a template unit, which never runs by itself"
        yield pair.sidekick.error(pair.line, "sidekick-instance", message, f"Write {template}.")
    elif pair.sidekick.is_template and pair.main.is_template and name != template:
        message = f"every instance of {pair.sidekick.path.rpartition('/')[2]} would follow {name}"
        yield pair.sidekick.error(pair.line, "sidekick-instance", message, f"Write {template}.")


def _placed_together(pair: _Pair) -> Iterator[Finding]:
    sidekick, main = _requirements(pair.sidekick), _requirements(pair.main)
    if sidekick is None or main is None:
        return  # what fleet refuses is another rule's finding
    if pair.main_name not in sidekick.peers and not main.is_global:
        message = (
            f"{pair.sidekick.name} is bound to {pair.main_name}, but fleet may put it on another machine"
        )
        yield pair.finding("sidekick-machine-of", message, f"Add MachineOf={pair.main_name} to [X-Fleet].")
    for one, other, wanted in ((pair.main, pair.sidekick, main), (pair.sidekick, pair.main, sidekick)):
        for pattern in wanted.conflicts:
            if globs.matches(pattern, str(other.name)):
                line = next((o.line for o in one.unit.options(x_fleet.SECTION) if pattern in o.value), 1)
                message = f"Conflicts={pattern} matches {other.name}, which must run beside it"
                yield one.error(line, "sidekick-conflict", message, "Name the units more narrowly.")


def _requirements(source: Source) -> UnitRequirements | None:
    try:
        return UnitRequirements.of(source.name or UnitName(""), source.unit.text)
    except InvalidUnit:
        return None


def _bound_and_ordered(pair: _Pair) -> Iterator[Finding]:
    main, name, own = pair.main_name, str(pair.sidekick.name), str(pair.main.name)

    def sidekick_names(*keys: str) -> bool:
        return main in {word for word, _ in pair.sidekick.words("Unit", *keys)}

    def main_names(*keys: str) -> bool:
        return name in {word for word, _ in pair.main.words("Unit", *keys)}

    if not sidekick_names("BindsTo"):
        message = f"{name} goes on running when {main} has stopped"
        yield pair.finding("sidekick-binds-to", message, f"Add BindsTo={main} to [Unit].")
    if sidekick_names("Before") or main_names("After"):
        message = f"{name} is started before {main} and stopped after it, so it registers what is not there"
        yield pair.finding("sidekick-order", message, f"Write After={main} in [Unit] of {name}.")
    elif not sidekick_names("After"):
        hint = f"Add After={main} to [Unit]."
        if main_names("Before"):
            message = f"only {own} orders the two; {name} alone would not wait for it"
            yield pair.sidekick.warning(pair.line, "sidekick-order", message, hint)
        else:
            message = f"nothing makes {name} start after {main} and stop before it"
            yield pair.finding("sidekick-order", message, hint)
    if pair.registration and not main_names("Wants", "Requires", "BindsTo", "Upholds"):
        message = f"starting {own} leaves {name} behind, and the instance unregistered"
        yield pair.main.warning(1, "main-wants-sidekick", message, f"Add Wants={name} to [Unit].")


def _registration(pair: _Pair, registration: Registration) -> Iterator[Finding]:
    yield from _key_is_removed(pair, registration)
    yield from _ttl(pair, registration)
    yield from _key_is_own(pair, registration)


def _key_is_removed(pair: _Pair, registration: Registration) -> Iterator[Finding]:
    left = registration.sets - registration.removes
    if not left:
        return
    key = min(left)
    if registration.removes:
        message = f"sets {key} but on stop removes {min(registration.removes)}"
        yield pair.sidekick.error(
            registration.line, "sidekick-key", message, "Remove in ExecStop= what ExecStart= sets."
        )
    elif not registration.is_opaque:
        message = f"nothing removes {key} on stop; it stays in the pool until its TTL has passed"
        yield pair.sidekick.warning(
            registration.line, "sidekick-key", message, "Remove the key in ExecStop=."
        )


def _ttl(pair: _Pair, registration: Registration) -> Iterator[Finding]:
    ttl_s, renew_s, line = registration.ttl_s, registration.renew_s, registration.line
    if ttl_s is None:
        if not registration.is_opaque:
            message = "the registration has no TTL: a machine that dies stays in the pool for ever"
            yield pair.sidekick.warning(line, "sidekick-ttl", message, "Set a TTL, e.g. --ttl 30.")
    elif renew_s is not None and renew_s >= ttl_s:
        message = f"renewed every {renew_s} s, but gone after {ttl_s} s"
        yield pair.sidekick.error(line, "sidekick-ttl", message, f"Renew every {max(1, ttl_s // 3)} s.")
    elif renew_s is not None and renew_s * 2 >= ttl_s:
        message = f"renewed every {renew_s} s with a TTL of {ttl_s} s: one late renewal and the key is gone"
        hint = f"Renew in less than half the TTL, e.g. every {max(1, ttl_s // 3)} s."
        yield pair.sidekick.warning(line, "sidekick-ttl", message, hint)


def _key_is_own(pair: _Pair, registration: Registration) -> Iterator[Finding]:
    """A key by address alone is one a machine, so no two instances may share a machine."""
    shared = [key for key in registration.sets if _BY_MACHINE.fullmatch(key)]
    wanted = _requirements(pair.main)
    if not shared or wanted is None or pair.main.name is None:
        return
    if pair.main.is_template and not any(
        globs.matches(glob, str(pair.main.name)) for glob in wanted.conflicts
    ):
        own = f"{pair.main.name.prefix}@*.{pair.main.name.type}"
        message = f"two instances on one machine would overwrite each other's {min(shared)}"
        hint = f"Add Conflicts={own} to [X-Fleet], or put %i into the key."
        yield pair.main.error(1, "sidekick-shared-key", message, hint)


def _instance_is_used(source: Source) -> Iterator[Finding]:
    if not source.is_template:
        return
    values = [option.value for option in source.unit.all_options if option.name != "Description"]
    if not any(specifier in value for value in values for specifier in _OF_THE_INSTANCE):
        message = "nothing in this template depends on the instance (%i), so two instances do the same thing"
        yield source.warning(1, "instance-unused", message)
